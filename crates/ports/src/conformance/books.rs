//! The suite's own books: the feed folded with core alone, to hold against what an adapter says.

use std::collections::BTreeMap;

use ordermill_core::Timestamp;
use ordermill_core::customer::Customer;
use ordermill_core::event::{Event, Recorded, Subject};
use ordermill_core::facts::Facts;
use ordermill_core::id::{CustomerId, IdempotencyKey, OrderId, OrderRef, ParcelId, ProductId, RecordId};
use ordermill_core::idempotency::{self, Answer, RefRecord};
use ordermill_core::invariant::{StockTotals, check_order};
use ordermill_core::order::{Order, Status};
use ordermill_core::parcel::Parcel;
use ordermill_core::product::Product;
use ordermill_core::record::Record;
use ordermill_core::reservation::Reservation;
use ordermill_core::stock::{StockChange, StockLevel};

use crate::queries::Counts;

/// Everything the feed tells.
#[derive(Default)]
pub struct Books {
    /// Every order.
    pub orders: BTreeMap<OrderId, Order>,
    /// Every product.
    pub products: BTreeMap<ProductId, Product>,
    /// The stock of every product that ever had any.
    pub stock: BTreeMap<ProductId, StockLevel>,
    /// Every customer.
    pub customers: BTreeMap<CustomerId, Customer>,
    /// Every parcel.
    pub parcels: BTreeMap<ParcelId, Parcel>,
    /// The parcels in the order of their first events.
    pub parcels_by_age: Vec<ParcelId>,
    /// Every record.
    pub records: BTreeMap<RecordId, Record>,
    /// The greatest end of a mail in the local mail file.
    pub mailbox_end: Option<u64>,
    order_refs: BTreeMap<OrderRef, RefRecord>,
    keys: BTreeMap<IdempotencyKey, idempotency::Record>,
    versions: BTreeMap<Subject, u32>,
    totals: BTreeMap<ProductId, StockTotals>,
}

impl Books {
    /// Takes the next event of the feed.
    ///
    /// # Panics
    /// When it does not follow on the events of its subject before it.
    pub fn take(&mut self, recorded: &Recorded) {
        let version = self.versions.entry(recorded.subject.clone()).or_default();
        *version += 1;
        assert_eq!(recorded.version, *version, "the events of {:?} are counted without a gap", recorded.subject);
        match &recorded.subject {
            Subject::Order(id) => self.take_of_order(*id, &recorded.event, recorded.at),
            Subject::Product(id) => self.take_of_product(id, &recorded.event),
            Subject::Customer(id) => {
                let customer = Customer::after(self.customers.remove(id), &recorded.event);
                let customer = customer.expect("a customer's first event is customer.put");
                assert_eq!(customer.version, recorded.version, "each event of a customer is a change");
                self.customers.insert(id.clone(), customer);
            }
            Subject::Parcel(id) => self.take_of_parcel(id, &recorded.event, recorded.at),
            Subject::Record(id) => self.take_of_record(*id, &recorded.event, recorded.at),
        }
    }

    fn take_of_parcel(&mut self, id: &ParcelId, event: &Event, at: Timestamp) {
        if let Some(parcel) = self.parcels.get_mut(id) {
            parcel.evolve(event, at);
            return;
        }
        let parcel = Parcel::begin(id.clone(), event, at).expect("a parcel's first event is tracking.moved");
        self.parcels.insert(id.clone(), parcel);
        self.parcels_by_age.push(id.clone());
    }

    fn take_of_record(&mut self, id: RecordId, event: &Event, at: Timestamp) {
        if let Some(record) = self.records.get_mut(&id) {
            record.evolve(event, at);
            return;
        }
        let record = Record::fold(id, [(event, at)]).expect("a record's first event is record.received");
        self.records.insert(id, record);
    }

    fn take_of_product(&mut self, id: &ProductId, event: &Event) {
        let available = match event {
            Event::ProductPut(_) | Event::ProductDeleted(_) => {
                let product = Product::after(self.products.remove(id), event);
                self.products.insert(id.clone(), product.expect("what is deleted was put before"));
                return;
            }
            Event::StockSet(set) => set.to - set.from,
            Event::StockAdjusted(adjusted) => adjusted.delta,
            other => panic!("{:?} is no event of a product", other.kind()),
        };
        self.totals.entry(id.clone()).or_default().add_event(event);
        self.change_stock(StockChange { product_id: id.clone(), available, reserved: 0, sold: 0 });
    }

    fn take_of_order(&mut self, id: OrderId, event: &Event, at: Timestamp) {
        if let Event::OrderPlaced(placement) = event {
            let order = Order::place(id, std::sync::Arc::clone(placement), at);
            if let Some(order_ref) = &placement.order_ref {
                let taken = RefRecord { order_id: id, fingerprint: placement.fingerprint };
                let before = self.order_refs.insert(order_ref.clone(), taken);
                assert_eq!(before, None, "an order reference stands for one order");
            }
            let before = self.orders.insert(id, order);
            assert!(before.is_none(), "an order is placed once");
            return;
        }
        let order = self.orders.get_mut(&id).expect("an order's first event is order.placed");
        let changes = stock_changes(order, event);
        order.evolve(event, at);
        if let Event::NotificationSent(sent) = event {
            self.mailbox_end = self.mailbox_end.max(sent.mailbox_end);
        }
        if let Event::OrderReturned(returned) = event
            && returned.restocked
        {
            for line in &returned.lines {
                self.totals.entry(line.product_id.clone()).or_default().returned += line.quantity;
            }
        }
        changes.into_iter().for_each(|change| self.change_stock(change));
    }

    fn change_stock(&mut self, change: StockChange) {
        let none = || StockLevel::none(change.product_id.clone());
        let level = self.stock.entry(change.product_id.clone()).or_insert_with(none);
        level.apply(&change);
        assert!(level.available >= 0, "stock is never sold twice: {level:?} after {change:?}");
        assert!(level.reserved >= 0 && level.sold >= 0, "no units come from nowhere: {level:?} after {change:?}");
    }

    /// Keeps the record of a key, which is in no event.
    pub fn keep(&mut self, key: IdempotencyKey, record: idempotency::Record) {
        self.keys.insert(key, record);
    }

    /// The orders by state.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let count = |status| self.orders.values().filter(|order| order.status == status).count() as u64;
        let by_status = Status::ALL.into_iter().map(|status| (status, count(status))).filter(|(_, n)| *n > 0).collect();
        let attention = self.orders.values().filter(|order| order.attention.is_some()).count() as u64;
        Counts { by_status, attention }
    }

    /// Checks what must always hold.
    ///
    /// # Panics
    /// When something does not.
    pub fn check(&self) {
        let mut totals = self.totals.clone();
        for order in self.orders.values() {
            let violations = check_order(order);
            assert!(violations.is_empty(), "{violations:?}");
            for (product_id, units) in order.units() {
                let of_product = totals.entry(product_id.clone()).or_default();
                match order.reservation {
                    Reservation::Held { .. } => of_product.reserved += units,
                    Reservation::Sold => of_product.sold += units,
                    Reservation::None | Reservation::Released | Reservation::Expired => {}
                }
            }
        }
        for (product_id, level) in &self.stock {
            let total = totals.get(product_id).copied().unwrap_or_default();
            assert_eq!(level.reserved, total.reserved, "reserved units of {product_id}");
            assert_eq!(level.sold, total.sold, "sold units of {product_id}");
            assert_eq!(level.available, total.available(), "available units of {product_id}");
        }
    }

    /// The books as a decision sees them.
    #[must_use]
    pub const fn at(&self, now: Timestamp) -> BooksAt<'_> {
        BooksAt { books: self, now }
    }
}

/// What one event of an order does to stock: the mirror image of what core decides.
fn stock_changes(order: &Order, event: &Event) -> Vec<StockChange> {
    let held = matches!(order.reservation, Reservation::Held { .. });
    let parts = |units: i64| match event {
        Event::InventoryReserved(_) => Some((-units, units, 0)),
        Event::OrderConfirmed(_) => Some((0, -units, units)),
        Event::InventoryReleased(_) if held => Some((units, -units, 0)),
        Event::InventoryReleased(_) => Some((units, 0, -units)),
        Event::InventoryExpired(_) => Some((units, -units, 0)),
        _ => None,
    };
    let change = |product_id: &ProductId, (available, reserved, sold)| {
        let product_id = product_id.clone();
        StockChange { product_id, available, reserved, sold }
    };
    match event {
        Event::OrderReturned(returned) if returned.restocked => {
            returned.lines.iter().map(|line| change(&line.product_id, (line.quantity, 0, 0))).collect()
        }
        _ => order.units().into_iter().filter_map(|(id, units)| Some(change(id, parts(units)?))).collect(),
    }
}

/// The books at one time.
pub struct BooksAt<'a> {
    books: &'a Books,
    now: Timestamp,
}

impl Facts for BooksAt<'_> {
    fn order(&self, id: OrderId) -> Option<&Order> {
        self.books.orders.get(&id)
    }

    fn order_ref(&self, order_ref: &OrderRef) -> Option<RefRecord> {
        self.books.order_refs.get(order_ref).copied()
    }

    fn product(&self, id: &ProductId) -> Option<&Product> {
        self.books.products.get(id)
    }

    fn stock(&self, id: &ProductId) -> Option<&StockLevel> {
        self.books.stock.get(id)
    }

    fn idempotency(&self, key: &IdempotencyKey) -> Option<&idempotency::Record> {
        let record = self.books.keys.get(key)?;
        let undecided = match &record.answer {
            Answer::Order(id) => self.order(*id).is_some_and(|order| order.status.is_undecided()),
            Answer::Stock(_) | Answer::Record(_) => false,
        };
        (undecided || record.expires_at > self.now).then_some(record)
    }

    fn customer(&self, id: &CustomerId) -> Option<&Customer> {
        self.books.customers.get(id)
    }

    fn parcel(&self, id: &ParcelId) -> Option<&Parcel> {
        self.books.parcels.get(id)
    }

    fn record(&self, id: RecordId) -> Option<&Record> {
        self.books.records.get(&id)
    }
}
