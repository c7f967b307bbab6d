//! Checked inputs about what is not an order: products, customers, parcels and records.

use serde_json::Value;

use crate::Timestamp;
use crate::event::RecordReceived;
use crate::id::{CorrelationId, CustomerId, ParcelId, ProductId, RecordId};
use crate::mail::Email;
use crate::money::Money;
use crate::parcel::ParcelStatus;

/// A checked report of a carrier.
#[derive(Debug, Clone)]
pub struct ParcelReport {
    /// What the carrier calls the order.
    pub parcel_id: ParcelId,
    /// Where the parcel is.
    pub status: ParcelStatus,
    /// When the carrier saw it there.
    pub seen_at: Timestamp,
    /// Given by the caller.
    pub correlation_id: Option<CorrelationId>,
}

/// A checked record.
#[derive(Debug, Clone)]
pub struct TakeRecord {
    /// The id it will have, made by the caller of the ledger.
    pub record_id: RecordId,
    /// What is to be stored.
    pub received: RecordReceived,
}

/// A checked customer.
#[derive(Debug, Clone)]
pub struct PutCustomer {
    /// The customer's id.
    pub customer_id: CustomerId,
    /// How they are called.
    pub name: Box<str>,
    /// Where mails go.
    pub email: Option<Email>,
    /// Where parcels go.
    pub address: Option<Value>,
    /// The shop's own data.
    pub metadata: Option<Value>,
    /// The version the caller has read; refused if another is found.
    pub expected_version: Option<u64>,
}

/// A checked product.
#[derive(Debug, Clone)]
pub struct PutProduct {
    /// The product's id.
    pub product_id: ProductId,
    /// Shown in mails and lists.
    pub name: Box<str>,
    /// Of one unit.
    pub price: Money,
    /// Longer text.
    pub description: Option<Box<str>>,
    /// Whether it can be ordered.
    pub active: bool,
    /// Units to open its stock with; applies only where no stock was ever set.
    pub opening_stock: Option<i64>,
    /// The version the caller has read; refused if another is found.
    pub expected_version: Option<u64>,
}
