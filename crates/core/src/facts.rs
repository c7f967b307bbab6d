//! What a decision may look at. A ledger loads it before it asks for the decision.

use crate::customer::Customer;
use crate::id::{CustomerId, IdempotencyKey, OrderId, OrderRef, ParcelId, ProductId, RecordId};
use crate::idempotency::{self, RefRecord};
use crate::order::Order;
use crate::parcel::Parcel;
use crate::product::Product;
use crate::record::Record;
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
    fn idempotency(&self, key: &IdempotencyKey) -> Option<&idempotency::Record>;
    /// The customer of this id.
    fn customer(&self, id: &CustomerId) -> Option<&Customer>;
    /// The parcel of this name.
    fn parcel(&self, id: &ParcelId) -> Option<&Parcel>;
    /// The record of this id.
    fn record(&self, id: RecordId) -> Option<&Record>;
}
