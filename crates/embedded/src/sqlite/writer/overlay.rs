//! What one commit changes, kept apart from what is committed. It is merged into memory after the commit, or dropped.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ordermill_core::Timestamp;
use ordermill_core::customer::Customer;
use ordermill_core::event::Placement;
use ordermill_core::facts::Facts;
use ordermill_core::id::{CustomerId, IdempotencyKey, OrderId, OrderRef, ParcelId, ProductId, RecordId};
use ordermill_core::idempotency::{self, RefRecord};
use ordermill_core::order::{Order, Status};
use ordermill_core::parcel::Parcel;
use ordermill_core::process::Role;
use ordermill_core::product::Product;
use ordermill_core::record::Record;
use ordermill_core::stock::{StockChange, StockLevel};
use ordermill_ports::bus::Delivery;

use super::super::catalogue::{Catalogue, Item};
use super::super::feed::Entry;
use super::super::hash::IdMap;
use super::super::memory::Held;
use super::super::totals::Totals;
use super::super::trail::Trail;
use super::customers::CustomersChange;
use super::subjects::{StagedCustomer, StagedParcel, StagedRecord};
use super::write_back::Written;

/// An order as it was before this commit: what its row says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    pub(super) open: bool,
    pub(super) status: Status,
    pub(super) attention: bool,
    pub(super) overdue: Option<Status>,
}

impl Before {
    fn of(order: &Order) -> Self {
        let attention = order.attention.is_some();
        Self { open: order.is_open(), status: order.status, attention, overdue: order.overdue }
    }
}

/// An order that this commit looks at, perhaps changes.
#[derive(Debug)]
pub(super) struct StagedOrder {
    pub(super) order: Arc<Order>,
    pub(super) trail: Trail,
    /// `None` for an order that this commit places.
    pub(super) before: Option<Before>,
    pub(super) changed: bool,
}

impl StagedOrder {
    /// An order that this commit places, with no more room than it needs: it may stay in memory for long.
    pub(super) fn placed(id: OrderId, placement: &Arc<Placement>, at: Timestamp) -> Self {
        let mut order = Order::place(id, Arc::clone(placement), at);
        order.payment.operations.shrink_to_fit();
        Self { order: Arc::new(order), trail: Trail::default(), before: None, changed: true }
    }

    /// An order as committed.
    pub(super) fn committed(held: Held) -> Self {
        let before = Some(Before::of(&held.order));
        Self { order: held.order, trail: held.trail, before, changed: false }
    }
}

/// A product that this commit changes, or whose stock it changes.
#[derive(Debug)]
pub(super) struct StagedItem {
    pub(super) item: Item,
    pub(super) product_changed: bool,
    pub(super) stock_changed: bool,
}

/// What of an event is only for its row.
#[derive(Debug)]
pub(super) struct EventData {
    pub(super) cause: Option<u32>,
    /// JSON.
    pub(super) data: String,
}

/// What becomes of a delivery with this commit.
#[derive(Debug)]
pub(super) enum Fate {
    /// It is gone.
    Done,
    /// It has a row in `parked` and comes again then.
    Parked(Delivery, Timestamp),
    /// It has a row in `parked`, and is handed out all the same.
    Stored,
}

/// Everything one commit changes.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    /// Orders looked at; `None` = there is no such order.
    pub(super) orders: IdMap<Option<StagedOrder>>,
    pub(super) items: HashMap<ProductId, StagedItem>,
    pub(super) refs: HashMap<OrderRef, RefRecord>,
    pub(super) keys: HashMap<IdempotencyKey, idempotency::Record>,
    /// Customers, parcels and records looked at; `None` = there is none.
    pub(super) customers_seen: HashMap<CustomerId, Option<StagedCustomer>>,
    pub(super) parcels: HashMap<ParcelId, Option<StagedParcel>>,
    pub(super) records: HashMap<RecordId, Option<StagedRecord>>,
    /// Rows of parcels that this commit writes.
    pub(super) written: Written,
    /// Keys stored by this commit, with their rows.
    pub(super) new_keys: Vec<(IdempotencyKey, i64)>,
    /// Keys deleted by this commit, with their rows.
    pub(super) old_keys: Vec<(String, i64)>,
    /// The events, in the order of their positions.
    pub(super) events: Vec<Entry>,
    /// The rest of each event.
    pub(super) data: Vec<EventData>,
    /// The types of the events.
    pub(super) kinds: u64,
    pub(super) mailbox_end: Option<u64>,
    /// The difference to the totals.
    pub(super) totals: Totals,
    /// What changes in the index by customer.
    pub(super) customers: CustomersChange,
    /// What becomes of deliveries.
    pub(super) fates: Vec<(Role, u64, Fate)>,
    /// Deliveries among them that are settled.
    pub(super) settled: HashSet<(Role, u64)>,
    /// Deliveries among them that got a row and stay handed out.
    pub(super) spilled: HashSet<(Role, u64)>,
    /// Cursors that move.
    pub(super) cursors: Vec<(Role, u64)>,
}

impl Overlay {
    /// Empty, with the room it has come to need.
    pub(super) fn clear(&mut self) {
        let Self { orders, items, refs, keys, new_keys, old_keys, events, data, .. } = self;
        let Self { customers_seen, parcels, records, fates, settled, spilled, cursors, .. } = self;
        orders.clear();
        items.clear();
        refs.clear();
        keys.clear();
        new_keys.clear();
        old_keys.clear();
        events.clear();
        data.clear();
        customers_seen.clear();
        parcels.clear();
        records.clear();
        fates.clear();
        settled.clear();
        spilled.clear();
        cursors.clear();
        self.kinds = 0;
        self.mailbox_end = None;
        self.totals = Totals::default();
        self.customers = CustomersChange::default();
        self.written = Written::default();
    }

    /// The product as this commit leaves it so far, to be changed.
    pub(super) fn item(&mut self, id: &ProductId, catalogue: &Catalogue) -> &mut StagedItem {
        self.items.entry(id.clone()).or_insert_with(|| {
            let item = catalogue.get(id).cloned().unwrap_or_default();
            StagedItem { item, product_changed: false, stock_changed: false }
        })
    }

    /// Applies changes of stock.
    pub(super) fn apply_stock(&mut self, changes: &[StockChange], catalogue: &Catalogue) {
        for change in changes {
            let staged = self.item(&change.product_id, catalogue);
            let level = staged.item.stock.get_or_insert_with(|| StockLevel::none(change.product_id.clone()));
            level.apply(change);
            staged.stock_changed = true;
        }
    }

    /// An order that was looked at.
    pub(super) fn staged(&self, id: OrderId) -> Option<&StagedOrder> {
        self.orders.get(&id).and_then(Option::as_ref)
    }

    /// A customer that was looked at.
    pub(super) fn customer(&self, id: &CustomerId) -> Option<&StagedCustomer> {
        self.customers_seen.get(id).and_then(Option::as_ref)
    }

    /// A parcel that was looked at.
    pub(super) fn parcel(&self, id: &ParcelId) -> Option<&StagedParcel> {
        self.parcels.get(id).and_then(Option::as_ref)
    }

    /// A record that was looked at.
    pub(super) fn record(&self, id: RecordId) -> Option<&StagedRecord> {
        self.records.get(&id).and_then(Option::as_ref)
    }
}

/// Parcels that a commit changes.
pub(super) fn changed_parcels(overlay: &Overlay) -> impl Iterator<Item = &StagedParcel> {
    overlay.parcels.values().flatten().filter(|staged| staged.changed)
}

/// The committed state with the decisions before this one already applied.
pub(super) struct View<'a> {
    pub(super) overlay: &'a Overlay,
    pub(super) catalogue: &'a Catalogue,
}

impl View<'_> {
    fn item(&self, id: &ProductId) -> Option<&Item> {
        self.overlay.items.get(id).map(|staged| &staged.item).or_else(|| self.catalogue.get(id))
    }
}

impl Facts for View<'_> {
    fn order(&self, id: OrderId) -> Option<&Order> {
        self.overlay.staged(id).map(|staged| &*staged.order)
    }

    fn order_ref(&self, order_ref: &OrderRef) -> Option<RefRecord> {
        self.overlay.refs.get(order_ref).copied()
    }

    fn product(&self, id: &ProductId) -> Option<&Product> {
        self.item(id)?.product.as_deref()
    }

    fn stock(&self, id: &ProductId) -> Option<&StockLevel> {
        self.item(id)?.stock.as_ref()
    }

    fn idempotency(&self, key: &IdempotencyKey) -> Option<&idempotency::Record> {
        self.overlay.keys.get(key)
    }

    fn customer(&self, id: &CustomerId) -> Option<&Customer> {
        self.overlay.customer(id).map(|staged| &*staged.customer)
    }

    fn parcel(&self, id: &ParcelId) -> Option<&Parcel> {
        self.overlay.parcel(id).map(|staged| &*staged.parcel)
    }

    fn record(&self, id: RecordId) -> Option<&Record> {
        self.overlay.record(id).map(|staged| &*staged.record)
    }
}
