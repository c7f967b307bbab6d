//! Which mails an order's customer is owed.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{OrderId, check_text};
use crate::limits::EMAIL_CHARS_MAX;

/// The kinds of mail, each with a template of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailKind {
    /// The order is paid and in stock.
    Confirmed,
    /// The order cannot be fulfilled; says why.
    Rejected,
    /// The order was cancelled.
    Cancelled,
    /// Money went back.
    Refunded,
    /// The parcel is on its way.
    Shipped,
    /// The carrier reports a problem.
    DeliveryIssue,
    /// The parcel has arrived.
    Delivered,
}

impl MailKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Confirmed,
        Self::Rejected,
        Self::Cancelled,
        Self::Refunded,
        Self::Shipped,
        Self::DeliveryIssue,
        Self::Delivered,
    ];

    /// The name in events, templates and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Refunded => "refunded",
            Self::Shipped => "shipped",
            Self::DeliveryIssue => "delivery_issue",
            Self::Delivered => "delivered",
        }
    }
}

/// How far a mail has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailState {
    /// To be sent.
    Due,
    /// The mail store or server took it, and that is committed.
    Sent,
    /// Not sent, as the order has no address.
    Skipped,
    /// Refused for good; waits for a person.
    Failed,
}

/// One mail owed to the customer: one per order, kind and version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwedMail {
    /// What it says.
    pub kind: MailKind,
    /// 1 for the first of its kind; a second refund or a resend is 2.
    pub version: u16,
    /// How far it has come.
    pub state: MailState,
}

/// The stable name of a mail: the same order, kind and version give the same Message-ID, however often it is sent.
#[must_use]
pub fn message_id(order: OrderId, kind: MailKind, version: u16) -> String {
    format!("<{order}.{}.{version}@ordermill>", kind.as_str())
}

/// A mail address: one `@` with text on both sides, no spaces, no control characters, at most 254 characters.
/// Whether it can be reached only the mail server can tell.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Box<str>", into = "Box<str>")]
pub struct Email(Box<str>);

impl Email {
    /// Takes a caller's text.
    ///
    /// # Errors
    /// What is wrong with the text, to be shown behind the field's name.
    pub fn new(text: &str) -> Result<Self, String> {
        check_text(text, EMAIL_CHARS_MAX).map_err(|error| error.to_string())?;
        // Header injection and list syntax are shut out here once, so that no mailer has to think of it.
        let plain = text.is_ascii() && !text.contains([' ', ',', ';', '<', '>', '"', '(', ')', '\\']);
        match text.split_once('@') {
            Some((local, domain)) if plain && !local.is_empty() && !domain.is_empty() && !domain.contains('@') => {
                Ok(Self(text.into()))
            }
            _ => Err("must be a mail address such as name@example.com".to_owned()),
        }
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Shown without the person: `…@example.com`, so that a log line that prints it gives nobody away.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "…@{}", self.0.rsplit('@').next().unwrap_or_default())
    }
}

impl TryFrom<Box<str>> for Email {
    type Error = String;

    fn try_from(text: Box<str>) -> Result<Self, String> {
        Self::new(&text)
    }
}

impl From<Email> for Box<str> {
    fn from(email: Email) -> Self {
        email.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_could_forge_headers_are_refused() {
        for bad in ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\nBcc: x@y", "a@b,c@d", "\"x\"@y", "ä@b"] {
            assert!(Email::new(bad).is_err(), "{bad:?}");
        }
        assert!(Email::new("household-900@example.com").is_ok());
    }
}
