//! What one transaction has loaded, and what it changes: the facts of its decisions.

use std::collections::HashMap;
use std::sync::Arc;

use ordermill_core::Timestamp;
use ordermill_core::customer::Customer;
use ordermill_core::event::{EventType, Subject};
use ordermill_core::facts::Facts;
use ordermill_core::id::{CustomerId, IdempotencyKey, OrderId, OrderRef, ParcelId, ProductId, RecordId};
use ordermill_core::idempotency::{self, RefRecord};
use ordermill_core::order::{Order, Status};
use ordermill_core::parcel::Parcel;
use ordermill_core::product::Product;
use ordermill_core::record::Record;
use ordermill_core::stock::{StockChange, StockLevel};
use parking_lot::Mutex;

/// Something that was looked at, as this transaction leaves it so far.
#[derive(Debug)]
pub(crate) struct Staged<T> {
    /// It; `None` while there is none.
    pub(crate) now: Option<T>,
    /// Whether it has a row.
    pub(crate) has_row: bool,
    /// Whether its row has to be written.
    pub(crate) changed: bool,
}

impl<T> Staged<T> {
    /// As committed.
    pub(crate) const fn found(now: Option<T>) -> Self {
        let has_row = now.is_some();
        Self { now, has_row, changed: false }
    }

    /// It is this from now on.
    pub(crate) fn set(&mut self, now: T) {
        (self.now, self.changed) = (Some(now), true);
    }
}

/// An order, and what the sums say of it before this transaction.
#[derive(Debug)]
pub(crate) struct StagedOrder {
    pub(crate) order: Staged<Arc<Order>>,
    /// Its status, and whether it waits for a person; `None` for one that this transaction places.
    pub(crate) before: Option<(Status, bool)>,
}

impl StagedOrder {
    pub(crate) fn found(order: Option<Arc<Order>>) -> Self {
        let before = order.as_ref().map(|order| (order.status, order.attention.is_some()));
        Self { order: Staged::found(order), before }
    }
}

/// A product with the number of its events, those of its stock included.
#[derive(Debug)]
pub(crate) struct StagedProduct {
    pub(crate) product: Staged<Arc<Product>>,
    pub(crate) events: u32,
}

/// A new event, without its position.
#[derive(Debug)]
pub(crate) struct NewEvent {
    pub(crate) subject: Subject,
    pub(crate) version: u32,
    pub(crate) kind: EventType,
    pub(crate) at: Timestamp,
    pub(crate) cause: Option<u32>,
    /// JSON.
    pub(crate) data: String,
}

/// Everything one transaction has looked at and changes.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    pub(crate) orders: HashMap<OrderId, StagedOrder>,
    pub(crate) products: HashMap<ProductId, StagedProduct>,
    pub(crate) stock: HashMap<ProductId, Staged<StockLevel>>,
    pub(crate) customers: HashMap<CustomerId, Staged<Arc<Customer>>>,
    pub(crate) parcels: HashMap<ParcelId, Staged<Arc<Parcel>>>,
    pub(crate) records: HashMap<RecordId, Staged<Arc<Record>>>,
    pub(crate) refs: HashMap<OrderRef, RefRecord>,
    pub(crate) keys: HashMap<IdempotencyKey, idempotency::Record>,
    /// What is stored and cannot be read, with the reason.
    pub(crate) broken: HashMap<Subject, String>,
    /// References stored by this transaction.
    pub(crate) new_refs: Vec<(OrderRef, RefRecord)>,
    /// Keys stored by this transaction.
    pub(crate) new_keys: Vec<(IdempotencyKey, idempotency::Record)>,
    /// Keys found that count no more.
    pub(crate) expired_keys: Vec<IdempotencyKey>,
    /// The events, in order; for a new parcel the index of its first one is its place among them.
    pub(crate) events: Vec<NewEvent>,
    pub(crate) mailbox_end: Option<u64>,
    /// Stock that a decision asked for and that was not loaded: the transaction has to begin again with it.
    missed: Mutex<Vec<ProductId>>,
}

impl Overlay {
    /// An order that was looked at and is there.
    pub(crate) fn staged_order(&self, id: OrderId) -> Option<&Arc<Order>> {
        self.orders.get(&id)?.order.now.as_ref()
    }

    /// Applies changes of stock. What was not loaded is noted, as the transaction cannot go on so.
    pub(crate) fn apply_stock(&mut self, changes: &[StockChange]) {
        for change in changes {
            match self.stock.get_mut(&change.product_id) {
                Some(staged) => {
                    let level = staged.now.get_or_insert_with(|| StockLevel::none(change.product_id.clone()));
                    level.apply(change);
                    staged.changed = true;
                }
                None => self.missed.get_mut().push(change.product_id.clone()),
            }
        }
    }

    /// The stock that decisions asked for and that was not loaded.
    pub(crate) fn take_missed(&mut self) -> Vec<ProductId> {
        std::mem::take(self.missed.get_mut())
    }

    /// Adds an event, of this time and cause.
    pub(crate) fn append(
        &mut self,
        subject: &Subject,
        version: u32,
        (at, cause): (Timestamp, Option<u32>),
        event: &ordermill_core::event::Event,
    ) {
        let (kind, data) = (event.kind(), event.data());
        self.events.push(NewEvent { subject: subject.clone(), version, kind, at, cause, data });
    }
}

impl Facts for Overlay {
    fn order(&self, id: OrderId) -> Option<&Order> {
        self.staged_order(id).map(|order| &**order)
    }

    fn order_ref(&self, order_ref: &OrderRef) -> Option<RefRecord> {
        self.refs.get(order_ref).copied()
    }

    fn product(&self, id: &ProductId) -> Option<&Product> {
        self.products.get(id)?.product.now.as_deref()
    }

    fn stock(&self, id: &ProductId) -> Option<&StockLevel> {
        let staged = self.stock.get(id);
        if staged.is_none() {
            self.missed.lock().push(id.clone());
        }
        staged?.now.as_ref()
    }

    fn idempotency(&self, key: &IdempotencyKey) -> Option<&idempotency::Record> {
        self.keys.get(key)
    }

    fn customer(&self, id: &CustomerId) -> Option<&Customer> {
        self.customers.get(id)?.now.as_deref()
    }

    fn parcel(&self, id: &ParcelId) -> Option<&Parcel> {
        self.parcels.get(id)?.now.as_deref()
    }

    fn record(&self, id: RecordId) -> Option<&Record> {
        self.records.get(&id)?.now.as_deref()
    }
}
