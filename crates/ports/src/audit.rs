//! What the auditor reads: the stored records as they are, without the code that serves them.
//!
//! All of it blocks and is meant for a thread of its own. A snapshot is one consistent moment of the ledger; the ledger may go on
//! being written meanwhile.

use ordermill_core::Timestamp;
use ordermill_core::customer::Customer;
use ordermill_core::event::Recorded;
use ordermill_core::id::{CustomerId, OrderId, OrderRef, ParcelId, ProductId, RecordId};
use ordermill_core::idempotency;
use ordermill_core::mail::MailKind;
use ordermill_core::order::Status;
use ordermill_core::parcel::ParcelStatus;
use ordermill_core::payment::PaymentKey;
use ordermill_core::product::Product;
use ordermill_core::record::Stored;
use ordermill_core::stock::StockLevel;
use thiserror::Error;

/// A record that cannot be read.
#[derive(Debug, Clone, Error)]
#[error("{0}")]
pub struct AuditError(pub String);

/// An order's row: what lists and searches go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRow {
    /// The order.
    pub id: OrderId,
    /// As stored in the row.
    pub status: Status,
    /// As stored in the row.
    pub attention: bool,
    /// As stored in the row.
    pub customer_id: CustomerId,
    /// As stored in the row.
    pub open: bool,
    /// The number of its events, as stored in the row.
    pub version: u32,
}

/// An order's row, with the events stored for it, oldest first.
#[derive(Debug, Clone)]
pub struct OrderHistory {
    /// The row; `None` when events are stored for an order without one.
    pub row: Option<OrderRow>,
    /// The order.
    pub id: OrderId,
    /// The events.
    pub events: Vec<Recorded>,
}

/// A product's rows, with the events stored for it, oldest first.
#[derive(Debug, Clone)]
pub struct ProductHistory {
    /// The product.
    pub id: ProductId,
    /// The catalogue's row.
    pub product: Option<Product>,
    /// The stock's row.
    pub stock: Option<StockLevel>,
    /// The events.
    pub events: Vec<Recorded>,
}

/// A customer's row, with the events stored for it, oldest first.
#[derive(Debug, Clone)]
pub struct CustomerHistory {
    /// The customer.
    pub id: CustomerId,
    /// The row; `None` when events are stored for a customer without one.
    pub row: Option<Customer>,
    /// The events.
    pub events: Vec<Recorded>,
}

/// A parcel's row: what lists and searches go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParcelRow {
    /// As stored in the row.
    pub status: ParcelStatus,
    /// The number of its events, as stored in the row.
    pub version: u32,
}

/// A parcel's row, with the events stored for it, oldest first.
#[derive(Debug, Clone)]
pub struct ParcelHistory {
    /// The parcel.
    pub id: ParcelId,
    /// The row; `None` when events are stored for a parcel without one.
    pub row: Option<ParcelRow>,
    /// The events.
    pub events: Vec<Recorded>,
}

/// A record's row: what lists and searches go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRow {
    /// Its object, as stored in the row.
    pub stored: Option<Stored>,
    /// The number of its events, as stored in the row.
    pub version: u32,
}

/// A record's row, with the events stored for it, oldest first.
#[derive(Debug, Clone)]
pub struct RecordHistory {
    /// The record.
    pub id: RecordId,
    /// The row; `None` when events are stored for a record without one.
    pub row: Option<RecordRow>,
    /// The events.
    pub events: Vec<Recorded>,
}

/// One consistent moment of a ledger. Each visitor stops at the first `Err` of its callback.
pub trait LedgerSnapshot: Send {
    /// Every order, by id.
    fn each_order(&mut self, visit: &mut dyn FnMut(OrderHistory) -> Result<(), AuditError>) -> Result<(), AuditError>;
    /// These orders alone, by id; ids without an order are passed over. `ids` are sorted. Left as it is, it reads every order.
    fn each_order_of(
        &mut self,
        ids: &[OrderId],
        visit: &mut dyn FnMut(OrderHistory) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        self.each_order(&mut |history| if ids.binary_search(&history.id).is_ok() { visit(history) } else { Ok(()) })
    }
    /// Every product, by id.
    fn each_product(
        &mut self,
        visit: &mut dyn FnMut(ProductHistory) -> Result<(), AuditError>,
    ) -> Result<(), AuditError>;
    /// Every customer, by id.
    fn each_customer(
        &mut self,
        visit: &mut dyn FnMut(CustomerHistory) -> Result<(), AuditError>,
    ) -> Result<(), AuditError>;
    /// Every parcel, in no promised order.
    fn each_parcel(&mut self, visit: &mut dyn FnMut(ParcelHistory) -> Result<(), AuditError>)
    -> Result<(), AuditError>;
    /// Every record, by id.
    fn each_record(&mut self, visit: &mut dyn FnMut(RecordHistory) -> Result<(), AuditError>)
    -> Result<(), AuditError>;
    /// Every order reference.
    fn each_order_ref(
        &mut self,
        visit: &mut dyn FnMut(OrderRef, OrderId) -> Result<(), AuditError>,
    ) -> Result<(), AuditError>;
    /// Every idempotency record.
    fn each_key(
        &mut self,
        visit: &mut dyn FnMut(&str, idempotency::Record) -> Result<(), AuditError>,
    ) -> Result<(), AuditError>;
    /// Where the last committed mail ends in the local mail file, in bytes.
    fn mailbox_end(&mut self) -> Result<Option<u64>, AuditError>;
    /// Orders in the ledger, for progress.
    fn order_count(&mut self) -> Result<u64, AuditError>;
    /// Problems the storage itself reports about its files.
    fn storage_problems(&mut self) -> Result<Vec<String>, AuditError>;
    /// What the visits up to now passed over because it cannot be read, in words, each once. Left as it is: nothing, as its visits end
    /// there.
    fn passed_over(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// One entry of the payment provider's own journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderEntry {
    /// The key it was asked under.
    pub key: PaymentKey,
    /// In minor units.
    pub amount_minor: i64,
    /// Whether the provider carried it out, or refused it.
    pub succeeded: bool,
    /// When.
    pub at: Timestamp,
}

/// A mail found in the mail store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMail {
    /// Its Message-ID, with angle brackets.
    pub message_id: String,
    /// The order it names.
    pub order_id: Option<OrderId>,
    /// The kind it names.
    pub kind: Option<MailKind>,
    /// Where it ends in the mail file, in bytes, where there is one.
    pub end: Option<u64>,
}
