//! The catalogue: what can be ordered, and at what price.

use serde::{Deserialize, Serialize};

use crate::id::ProductId;
use crate::money::Money;

/// A product that can be ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// The shop's id of it.
    #[serde(rename = "product_id")]
    pub id: ProductId,
    /// Shown in mails and lists.
    pub name: Box<str>,
    /// Of one unit.
    pub price: Money,
    /// Longer text, where the shop gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Box<str>>,
    /// Whether it can be ordered at present. A product is never deleted, as orders name it.
    pub active: bool,
    /// Counts the changes; the first is 1.
    pub version: u32,
}
