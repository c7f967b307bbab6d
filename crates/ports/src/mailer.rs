//! The mail server or the local mail store.

use async_trait::async_trait;
use ordermill_core::Timestamp;
use ordermill_core::id::OrderId;
use ordermill_core::mail::{Email, MailKind};
use thiserror::Error;

/// A mail, complete.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Its stable name, with angle brackets; see [`ordermill_core::mail::message_id`].
    pub message_id: String,
    /// The order it is about; travels as `X-Order-Id`.
    pub order_id: OrderId,
    /// What it says.
    pub kind: MailKind,
    /// Which of its kind.
    pub version: u16,
    /// To whom.
    pub to: Email,
    /// The subject line.
    pub subject: String,
    /// The text part.
    pub text: String,
    /// The HTML part.
    pub html: String,
    /// When it was made; the `Date` header.
    pub at: Timestamp,
}

/// Handed over, durably.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Receipt {
    /// Where the mail ends in the local mail file, in bytes, where there is one.
    pub mailbox_end: Option<u64>,
}

/// Not handed over.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MailError {
    /// Refused for good, for instance as the address does not exist.
    #[error("the mail was refused: {0}")]
    Refused(String),
    /// Not now.
    #[error("the mail could not be handed over: {0}")]
    Unavailable(String),
}

/// Takes mails.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Hands over mails, durably; one result per mail, in order. One bad mail never keeps back the others.
    ///
    /// One call at a time: the caller commits the receipts, or calls [`Self::roll_back`], before the next. A mailer with
    /// [`Self::is_exactly_once`] relies on that.
    async fn deliver(&self, mails: &[Mail]) -> Vec<Result<Receipt, MailError>>;

    /// Takes back everything behind the last committed mail, as the commit of its receipts failed.
    ///
    /// # Errors
    /// When the store cannot be brought back; then nothing more may be delivered.
    async fn roll_back(&self, _mailbox_end: Option<u64>) -> Result<(), MailError> {
        Ok(())
    }

    /// Mails in one call at the most.
    fn batch_max(&self) -> usize;

    /// Whether a mail that was handed over and not committed is taken back, so that none is ever doubled.
    fn is_exactly_once(&self) -> bool {
        false
    }
}
