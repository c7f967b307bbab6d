//! Identifiers. Ours are time-ordered UUIDs with a typed prefix in text; callers' are checked text.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;
use uuid::Uuid;

use crate::limits::ID_CHARS_MAX;

/// Why a text is no identifier.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdError {
    /// The text is empty or blank.
    #[error("must not be blank")]
    Blank,
    /// The text is longer than its limit.
    #[error("must have at most {max} characters, has {actual}")]
    TooLong {
        /// The limit in characters.
        max: usize,
        /// The length found, in characters.
        actual: usize,
    },
    /// The text holds a control character.
    #[error("must not hold control characters")]
    Control,
    /// The text does not have the form of an order id.
    #[error("must be an order id: `ord_` and 32 hexadecimal digits")]
    NotAnOrderId,
    /// The text does not have the form of a record id.
    #[error("must be a record id: `rec_` and 32 hexadecimal digits")]
    NotARecordId,
}

/// Refuses blank text, control characters and more than `max` characters.
///
/// # Errors
/// [`IdError`] says which of the three it was.
pub fn check_text(text: &str, max: usize) -> Result<(), IdError> {
    if text.trim().is_empty() {
        return Err(IdError::Blank);
    }
    // The byte length bounds the character count from above, so most texts need no count.
    if text.len() > max {
        let actual = text.chars().count();
        if actual > max {
            return Err(IdError::TooLong { max, actual });
        }
    }
    if text.chars().any(char::is_control) {
        return Err(IdError::Control);
    }
    Ok(())
}

/// Cuts a text that goes into an event to `max` characters. Callers' texts are checked long before; those of providers and mail
/// servers are as long as these like.
pub(crate) fn clip_text(text: &str, max: usize) -> Box<str> {
    let end = text.char_indices().nth(max).map_or(text.len(), |(end, _)| end);
    text[..end].into()
}

macro_rules! uuid_id {
    ($(#[$meta:meta])* $name:ident, $prefix:literal, $error:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            const PREFIX: &str = $prefix;

            /// Takes a UUID, which should be of version 7 so that ids sort by time.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID inside.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }

            /// The sixteen bytes, big-endian: they sort as the id does.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The id with these sixteen bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The smallest id that could be made at `at`; every id made earlier sorts before it.
            #[must_use]
            pub fn first_at(at: crate::Timestamp) -> Self {
                let millis = u64::try_from(at.as_millisecond()).unwrap_or(0);
                let mut bytes = [0; 16];
                bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Self::PREFIX)?;
                self.0.as_simple().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix(Self::PREFIX)
                    .filter(|hex| hex.len() == 32)
                    .and_then(|hex| Uuid::try_parse(hex).ok())
                    .map(Self)
                    .ok_or(IdError::$error)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

uuid_id! {
    /// The id of an order: `ord_` and a version 7 UUID in hexadecimal, so ids sort by the time they were made.
    OrderId, "ord_", NotAnOrderId
}
uuid_id! {
    /// The id of a record: `rec_` and a version 7 UUID in hexadecimal, so ids sort by the time they were made.
    RecordId, "rec_", NotARecordId
}

macro_rules! text_id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes a caller's text.
            ///
            /// # Errors
            /// [`IdError`] when the text is blank, too long, or holds control characters.
            pub fn new(text: &str) -> Result<Self, IdError> {
                check_text(text, ID_CHARS_MAX)?;
                Ok(Self(text.into()))
            }

            /// The text as the caller gave it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::new(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

text_id! {
    /// A product's id, as the shop names it.
    ProductId
}
text_id! {
    /// A customer's id, as the shop names it.
    CustomerId
}
text_id! {
    /// What a carrier calls a parcel's order: our id of it, the shop's reference, or a name of its own.
    ParcelId
}
text_id! {
    /// The shop's own number of an order; unique per installation.
    OrderRef
}
text_id! {
    /// What a caller gives to make a request safe to send again.
    IdempotencyKey
}
text_id! {
    /// Ties together what one request caused, in logs, events and mails.
    CorrelationId
}
text_id! {
    /// How the customer pays: a token of the payment provider, or one of the sandbox's magic words.
    PaymentMethod
}
text_id! {
    /// A payment provider's name for an authorization, a capture, a void or a refund.
    ProviderRef
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_id_survives_text_and_sorts_by_time() {
        let id = OrderId::from_uuid(Uuid::now_v7());
        assert_eq!(id.to_string().parse(), Ok(id));
        let later = crate::Timestamp::now() + jiff::SignedDuration::from_secs(1);
        assert!(id < OrderId::first_at(later));
        assert!(id >= OrderId::first_at(later - jiff::SignedDuration::from_secs(60)));
    }

    #[test]
    fn text_is_checked() {
        assert_eq!(ProductId::new(" "), Err(IdError::Blank));
        assert_eq!(ProductId::new("a\nb"), Err(IdError::Control));
        assert_eq!(ProductId::new(&"ä".repeat(129)), Err(IdError::TooLong { max: 128, actual: 129 }));
        assert!(ProductId::new(&"ä".repeat(128)).is_ok());
        assert_eq!("ord_12".parse::<OrderId>(), Err(IdError::NotAnOrderId));
    }
}
