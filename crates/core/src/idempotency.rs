//! The idempotency contract: the same key and the same body give the first answer; another body is refused.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::Timestamp;
use crate::id::{OrderId, RecordId};
use crate::stock::StockLevel;

/// The first 16 bytes of the SHA-256 of a request's meaning: its validated content, so white space and field order do not count.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 16]);

impl Fingerprint {
    /// Of any content that serializes the same way each time.
    ///
    /// # Panics
    /// Never: the types given here serialize to JSON without fail.
    #[must_use]
    pub fn of(content: &impl Serialize) -> Self {
        let json = serde_json::to_vec(content).expect("inputs are plain data with text keys, which always serialize");
        let digest = Sha256::digest(&json);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(bytes)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let hex = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let number = u128::from_str_radix(&hex, 16).map_err(serde::de::Error::custom)?;
        Ok(Self(number.to_be_bytes()))
    }
}

/// What a key was first answered with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// This order was placed or changed.
    Order(OrderId),
    /// The stock was this after the change.
    Stock(StockLevel),
    /// This record was taken.
    Record(RecordId),
}

/// One used key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Of the request that used it first.
    pub fingerprint: Fingerprint,
    /// What it was answered with.
    pub answer: Answer,
    /// From then on the key is free again.
    pub expires_at: Timestamp,
}

/// The order an order reference stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefRecord {
    /// The order.
    pub order_id: OrderId,
    /// Of the request that placed it.
    pub fingerprint: Fingerprint,
}
