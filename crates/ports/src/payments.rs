//! The payment provider.

use async_trait::async_trait;
use ordermill_core::input::PaymentAnswer;
use ordermill_core::payment::{PaymentKey, PaymentRequest};
use thiserror::Error;

/// There is no definite answer. The request may have been carried out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PaymentError {
    /// No answer in time.
    #[error("the payment provider did not answer in time")]
    Timeout,
    /// The provider could not be reached, or failed.
    #[error("the payment provider is not available: {0}")]
    Unavailable(String),
    /// Calls are held back for a while, as too many have failed; this one was not sent.
    #[error("calls to the payment provider are held back after repeated failures")]
    BreakerOpen,
}

/// A payment provider. It de-duplicates by key: the same key again gives the first answer.
#[async_trait]
pub trait Payments: Send + Sync {
    /// Carries out one request, or repeats the answer to its key. Never gives [`PaymentAnswer::Unknown`]: that is the `Err`.
    async fn perform(&self, request: &PaymentRequest) -> Result<PaymentAnswer, PaymentError>;

    /// Looks up what became of a key. `None` = the provider does not know it now, which is no proof that it never will.
    async fn look_up(&self, key: &PaymentKey) -> Result<Option<PaymentAnswer>, PaymentError>;
}
