//! Stock: how many units of a product can be promised, are promised, and are gone.

use serde::{Deserialize, Serialize};

use crate::id::ProductId;

/// The stock of one product.
///
/// Only `available` decides anything. `reserved` and `sold` are projections of the reservations, kept beside it for people and for
/// the auditor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockLevel {
    /// The product.
    pub product_id: ProductId,
    /// Units that an order can still reserve; never below zero.
    pub available: i64,
    /// Units held for orders that are not paid yet.
    pub reserved: i64,
    /// Units of orders that are paid.
    pub sold: i64,
    /// Counts the changes; the first is 1.
    pub version: u64,
}

impl StockLevel {
    /// No stock of a product, before its first change.
    #[must_use]
    pub fn none(product_id: ProductId) -> Self {
        Self { product_id, available: 0, reserved: 0, sold: 0, version: 0 }
    }

    /// Applies a change that [`crate::decide::decide`] made from this level.
    pub fn apply(&mut self, change: &StockChange) {
        self.available += change.available;
        self.reserved += change.reserved;
        self.sold += change.sold;
        self.version += 1;
    }
}

/// What one decision does to the stock of one product, as differences in units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockChange {
    /// The product.
    pub product_id: ProductId,
    /// Difference of the units that can be promised.
    pub available: i64,
    /// Difference of the units held for orders.
    pub reserved: i64,
    /// Difference of the units sold.
    pub sold: i64,
}
