//! A ledger in a few maps. It applies what was decided, and checks after each step everything that must always hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use ordermill_core::Timestamp;
use ordermill_core::customer::Customer;
use ordermill_core::decide::{Decision, decide};
use ordermill_core::event::{Event, Subject};
use ordermill_core::facts::Facts;
use ordermill_core::id::{CustomerId, IdempotencyKey, OrderId, OrderRef, ParcelId, ProductId, RecordId};
use ordermill_core::idempotency::{self, RefRecord};
use ordermill_core::input::{Body, Input, PutProduct};
use ordermill_core::invariant::{StockTotals, check_order};
use ordermill_core::money::{Currency, Money};
use ordermill_core::order::{Order, Status};
use ordermill_core::parcel::Parcel;
use ordermill_core::payment::OperationState;
use ordermill_core::policy::Policy;
use ordermill_core::product::Product;
use ordermill_core::record::Record;
use ordermill_core::refusal::Refusal;
use ordermill_core::reservation::Reservation;
use ordermill_core::stock::StockLevel;

use super::books::Books;
use super::kept::Kept;

/// Everything committed so far.
#[derive(Clone)]
pub struct World {
    pub policy: Policy,
    pub now: Timestamp,
    pub orders: BTreeMap<OrderId, Order>,
    pub history: BTreeMap<OrderId, Vec<(Event, Timestamp)>>,
    refs: BTreeMap<OrderRef, RefRecord>,
    products: BTreeMap<ProductId, Product>,
    stock: BTreeMap<ProductId, StockLevel>,
    totals: BTreeMap<ProductId, StockTotals>,
    keys: BTreeMap<IdempotencyKey, idempotency::Record>,
    pub kept: Kept,
}

impl Facts for World {
    fn order(&self, id: OrderId) -> Option<&Order> {
        self.orders.get(&id)
    }

    fn order_ref(&self, order_ref: &OrderRef) -> Option<RefRecord> {
        self.refs.get(order_ref).copied()
    }

    fn product(&self, id: &ProductId) -> Option<&Product> {
        self.products.get(id)
    }

    fn stock(&self, id: &ProductId) -> Option<&StockLevel> {
        self.stock.get(id)
    }

    fn idempotency(&self, key: &IdempotencyKey) -> Option<&idempotency::Record> {
        self.keys.get(key).filter(|record| record.expires_at > self.now)
    }

    fn customer(&self, id: &CustomerId) -> Option<&Customer> {
        self.kept.customers.get(id)
    }

    fn parcel(&self, id: &ParcelId) -> Option<&Parcel> {
        self.kept.parcels.get(id)
    }

    fn record(&self, id: RecordId) -> Option<&Record> {
        self.kept.records.get(&id)
    }
}

impl World {
    /// A catalogue of `(product, price in cents, units in stock)`.
    pub fn new(catalogue: &[(&str, i64, i64)]) -> Self {
        let mut world = Self {
            policy: Policy::default(),
            now: super::start(),
            orders: BTreeMap::new(),
            history: BTreeMap::new(),
            refs: BTreeMap::new(),
            products: BTreeMap::new(),
            stock: BTreeMap::new(),
            totals: BTreeMap::new(),
            keys: BTreeMap::new(),
            kept: Kept::default(),
        };
        for &(id, amount_minor, units) in catalogue {
            let put = put_product(id, Money { amount_minor, currency: Currency::USD }, Some(units));
            world.submit(Body::PutProduct(put)).expect("a new product is taken");
        }
        world
    }

    pub fn submit(&mut self, body: Body) -> Result<Decision, Refusal> {
        self.submit_input(&Input::new(body))
    }

    /// Decides and applies one input, and checks everything that can be checked at every step.
    pub fn submit_input(&mut self, input: &Input) -> Result<Decision, Refusal> {
        let decision = decide(self, input, &self.policy, self.now);
        assert_eq!(decision, decide(self, input, &self.policy, self.now), "the same question, another decision");
        let decision = decision?;
        if let Some((key, record)) = decision.record.clone() {
            self.keys.insert(key, record);
        }
        for change in &decision.stock {
            let id = change.product_id.clone();
            self.stock.entry(id.clone()).or_insert_with(|| StockLevel::none(id)).apply(change);
        }
        match &decision.subject {
            Some(Subject::Order(id)) => self.apply_order(*id, &decision.events),
            Some(Subject::Product(id)) => self.apply_product(id, &decision.events),
            Some(subject) => {
                assert!(decision.stock.is_empty(), "stock is moved by orders and products alone");
                decision.events.iter().for_each(check_event);
                self.kept.apply(subject, &decision.events, self.now);
            }
            None => assert!(decision.events.is_empty() && decision.stock.is_empty(), "changes of nothing"),
        }
        if !decision.events.is_empty() {
            self.check_stock();
        }
        Ok(decision)
    }

    fn apply_order(&mut self, id: OrderId, events: &[Event]) {
        let before = self.orders.get(&id).cloned();
        for event in events {
            check_event(event);
            if let Event::OrderPlaced(placement) = event {
                assert!(before.is_none(), "an order is placed once");
                self.orders.insert(id, Order::place(id, Arc::clone(placement), self.now));
                if let Some(order_ref) = &placement.order_ref {
                    let record = RefRecord { order_id: id, fingerprint: placement.fingerprint };
                    assert!(self.refs.insert(order_ref.clone(), record).is_none(), "a reference is taken once");
                }
            } else {
                self.orders.get_mut(&id).expect("only a placement comes without an order").evolve(event, self.now);
            }
            if let Event::OrderReturned(returned) = event
                && returned.restocked
            {
                for line in &returned.lines {
                    self.totals.entry(line.product_id.clone()).or_default().returned += line.quantity;
                }
            }
        }
        self.history.entry(id).or_default().extend(events.iter().map(|event| (event.clone(), self.now)));
        if let Some(after) = self.orders.get(&id) {
            self.check_order(before.as_ref(), after);
        }
    }

    fn apply_product(&mut self, id: &ProductId, events: &[Event]) {
        for event in events {
            check_event(event);
            self.totals.entry(id.clone()).or_default().add_event(event);
            if let Some(product) = Product::after(self.products.remove(id), event) {
                self.products.insert(id.clone(), product);
            }
        }
    }

    fn check_order(&self, before: Option<&Order>, after: &Order) {
        let history = &self.history[&after.id];
        let folded = Order::fold(after.id, history.iter().map(|(event, at)| (event, *at)));
        assert_eq!(folded.as_ref(), Some(after), "the order is not the fold of its events");
        let violations = check_order(after);
        assert!(violations.is_empty(), "{violations:?}\nafter {history:#?}");
        Books::of(history.iter().map(|(event, _)| event)).assert_are_those_of(after);
        if let Some(before) = before {
            assert!(may_follow(before.status, after.status), "{:?} after {:?}", after.status, before.status);
            check_attempts(before, after);
        }
    }

    /// `opening + adjustments + returned = available + reserved + sold`, with reserved and sold counted over the orders.
    pub fn check_stock(&self) {
        let mut counted = self.totals.clone();
        for order in self.orders.values() {
            for (id, units) in order.units() {
                let totals = counted.entry(id.clone()).or_default();
                match order.reservation {
                    Reservation::Held { .. } => totals.reserved += units,
                    Reservation::Sold => totals.sold += units,
                    Reservation::None | Reservation::Released | Reservation::Expired => {}
                }
            }
        }
        for (id, level) in &self.stock {
            let totals = counted[id];
            assert!(level.available >= 0 && level.reserved >= 0 && level.sold >= 0, "{level:?}");
            assert_eq!((level.reserved, level.sold), (totals.reserved, totals.sold), "{id}");
            assert_eq!(level.available, totals.available(), "{id}: {totals:?}");
        }
    }
}

/// A product that can be ordered.
pub fn put_product(id: &str, price: Money, opening_stock: Option<i64>) -> PutProduct {
    PutProduct {
        product_id: super::product(id),
        name: id.into(),
        price,
        description: None,
        active: true,
        opening_stock,
        expected_version: None,
    }
}

/// Every event is stored as text and read back.
fn check_event(event: &Event) {
    let (kind, data) = (event.kind(), event.data());
    let read = Event::from_parts(kind.name(), kind.version(), data.as_bytes()).expect("what was written can be read");
    assert_eq!(&read, event);
}

/// An attempt rises by one, and only after a definite refusal of the one before; an operation never goes away.
fn check_attempts(before: &Order, after: &Order) {
    for was in &before.payment.operations {
        let is = after.payment.operation(was.id).expect("an operation is never taken back");
        if is.attempt != was.attempt {
            assert_eq!(is.attempt, was.attempt + 1, "{}", was.id);
            assert!(was.refused && was.state == OperationState::Stuck, "{} was tried anew without a refusal", was.id);
        }
        if matches!(was.state, OperationState::Succeeded) {
            assert_eq!(is, was, "what was done stays done");
        }
    }
}

/// The edges of the order's states, several of which one commit may take.
fn may_follow(from: Status, to: Status) -> bool {
    use Status::{Authorized, Cancelled, Confirmed, Delivered, Placed, Rejected, Reserved, Returned, Shipped};
    from == to
        || match from {
            Placed => matches!(to, Authorized | Rejected | Cancelled),
            Authorized => matches!(to, Reserved | Rejected | Cancelled),
            Reserved => matches!(to, Confirmed | Shipped | Delivered | Rejected | Cancelled),
            Confirmed => matches!(to, Shipped | Delivered | Cancelled),
            Shipped => matches!(to, Delivered | Returned),
            Delivered => to == Returned,
            Rejected | Cancelled | Returned => false,
        }
}
