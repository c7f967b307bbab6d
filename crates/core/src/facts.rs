//! What a decision may look at. A ledger loads it before it asks for the decision.

use crate::id::{IdempotencyKey, OrderId, OrderRef, ProductId};
use crate::idempotency::{Record, RefRecord};
use crate::order::Order;
use crate::product::Product;
use crate::stock::StockLevel;

/// The committed state, with the decisions before this one in the same commit already applied.
pub trait Facts {
    /// The order of this id.
    fn order(&self, id: OrderId) -> Option<&Order>;
    /// The order this reference stands for.
    fn order_ref(&self, order_ref: &OrderRef) -> Option<RefRecord>;
    /// The product of this id.
    fn product(&self, id: &ProductId) -> Option<&Product>;
    /// The stock of this product; `None` until it is set for the first time.
    fn stock(&self, id: &ProductId) -> Option<&StockLevel>;
    /// What this key was used for, unless it has expired.
    fn idempotency(&self, key: &IdempotencyKey) -> Option<&Record>;
}
