//! The catalogue: what can be ordered, and at what price.

use serde::{Deserialize, Serialize};

use crate::event::Event;
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
    /// Whether it can be ordered at present.
    pub active: bool,
    /// Deleted: it cannot be ordered and is shown only to those who ask for it. Kept, as orders name it; put again, it is back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// Counts the changes; the first is 1.
    pub version: u32,
}

impl Product {
    /// The product after one more event of it; `present` is the one before. Deleting counts as a change. `None` while none was put:
    /// stock is no part of a product. Total: an event of any type is taken.
    #[must_use]
    pub fn after(present: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::ProductPut(product) => Some(product.clone()),
            Event::ProductDeleted(_) => {
                present.map(|product| Self { deleted: true, version: product.version.saturating_add(1), ..product })
            }
            _ => present,
        }
    }

    /// Whether it can be ordered.
    #[must_use]
    pub const fn is_for_sale(&self) -> bool {
        self.active && !self.deleted
    }
}
