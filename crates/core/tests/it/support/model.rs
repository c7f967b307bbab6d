//! One order, its provider and the wires between them as a graph of states, small enough to be walked to the end.
//!
//! Messages are sets that only grow: what was sent may arrive at any time or never, and every answer may be delivered at any time
//! and again. So loss, delay, reordering and doubling are all in it without a word. The roles hear of events as the process table
//! says, and a delivery asks for one operation only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::SignedDuration;
use ordermill_core::customer::Customer;
use ordermill_core::decide::{Decision, decide};
use ordermill_core::event::{Event, EventType, Remedy};
use ordermill_core::facts::Facts;
use ordermill_core::id::{CustomerId, IdempotencyKey, OrderId, OrderRef, ParcelId, ProductId, RecordId};
use ordermill_core::idempotency::{self, RefRecord};
use ordermill_core::input::{Body, Input, PaymentAnswer, PaymentResult};
use ordermill_core::money::{Currency, Money};
use ordermill_core::order::{Order, Status};
use ordermill_core::parcel::Parcel;
use ordermill_core::payment::{DeclineReason, OperationKind, OperationState, PaymentKey, PaymentRequest, due_request};
use ordermill_core::policy::Policy;
use ordermill_core::process::Role;
use ordermill_core::product::Product;
use ordermill_core::record::Record;
use ordermill_core::reservation::Reservation;
use ordermill_core::stock::StockLevel;

use super::provider::{Hold, Mood, Provider};

mod judge;

const UNITS: i64 = 2;
const PRICE_MINOR: i64 = 1000;
/// What a person asks back at the most once, beside what a cancel gives back.
const PARTIAL_MINOR: i64 = 500;

/// One step of anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The payments role takes a delivery, looks at the order, and sends what is due.
    Look,
    /// A request reaches the provider.
    Arrive(PaymentKey, bool),
    /// The answer to a delivery's request settles it.
    Answer(PaymentKey),
    /// The role stops waiting for it.
    TimeOut(PaymentKey),
    /// An answer is heard once more, by nobody's delivery.
    Again(PaymentKey),
    /// The inventory role takes a delivery.
    Reserve,
    /// The hold runs out at the provider.
    HoldExpires,
    ReservationExpires,
    GiveUpWaiting,
    Cancel,
    /// Somebody who waited for the order can wait no longer.
    CancelUnpaid,
    Refund,
    Retry,
}

impl Action {
    /// Whether it happens sooner or later by itself, or a person who was asked does it. The others may happen, or never.
    pub const fn is_fair(self) -> bool {
        matches!(self, Self::Look | Self::Arrive(_, true) | Self::Answer(_) | Self::Reserve | Self::Retry)
    }
}

/// What may happen beside loss, delay, doubling, cancels and retries, which always may.
#[derive(Debug, Clone, Copy)]
pub struct Chances {
    /// Holds and reservations run out.
    pub expiry: bool,
    /// A person asks for a part of the money back.
    pub refund: bool,
    /// The provider declines what would be in order.
    pub refusal: bool,
}

#[derive(Clone)]
pub struct State {
    pub order: Order,
    pub stock: StockLevel,
    pub provider: Provider,
    product: Arc<Product>,
    chances: Chances,
    sent: BTreeMap<PaymentKey, i64>,
    /// A delivery that the payments role has not looked at. Several count as one, which only makes it harder.
    payments_idle: bool,
    /// Deliveries that wait for the answer to a request.
    payments_waiting: BTreeSet<PaymentKey>,
    inventory_idle: bool,
}

impl Facts for State {
    fn order(&self, id: OrderId) -> Option<&Order> {
        Some(&self.order).filter(|order| order.id == id)
    }

    fn order_ref(&self, _: &OrderRef) -> Option<RefRecord> {
        None
    }

    fn product(&self, id: &ProductId) -> Option<&Product> {
        Some(&*self.product).filter(|product| &product.id == id)
    }

    fn stock(&self, id: &ProductId) -> Option<&StockLevel> {
        Some(&self.stock).filter(|level| &level.product_id == id)
    }

    fn idempotency(&self, _: &IdempotencyKey) -> Option<&idempotency::Record> {
        None
    }

    fn customer(&self, _: &CustomerId) -> Option<&Customer> {
        None
    }

    fn parcel(&self, _: &ParcelId) -> Option<&Parcel> {
        None
    }

    fn record(&self, _: RecordId) -> Option<&Record> {
        None
    }
}

/// Only what the model's own actions bring about is ever over.
fn policy(unknown_budget: SignedDuration) -> Policy {
    let never = SignedDuration::from_hours(1_000_000);
    Policy {
        unknown_budget,
        undecided_budget: never,
        shipping_budget: never,
        delivery_budget: never,
        ..Policy::default()
    }
}

impl State {
    /// An order that was just placed, with so many units in stock, in a world where this may happen.
    pub fn new(available: i64, chances: Chances) -> Self {
        let product = Product {
            id: super::product("tea"),
            name: "tea".into(),
            price: Money { amount_minor: PRICE_MINOR, currency: Currency::USD },
            description: None,
            active: true,
            deleted: false,
            version: 1,
        };
        let mut world = super::world::World::new(&[("tea", PRICE_MINOR, available)]);
        world.submit(super::place(super::request(1, &[("tea", UNITS)]))).expect("the order is taken");
        let order = world.orders[&super::order_id(1)].clone();
        let stock = world.stock(&product.id).expect("it was opened").clone();
        Self {
            order,
            stock,
            provider: Provider::default(),
            product: Arc::new(product),
            chances,
            sent: BTreeMap::new(),
            payments_idle: true,
            payments_waiting: BTreeSet::new(),
            inventory_idle: false,
        }
    }

    /// Everything that can happen now.
    pub fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.payments_idle {
            actions.push(Action::Look);
        }
        if self.inventory_idle {
            actions.push(Action::Reserve);
        }
        for key in self.sent.keys() {
            if self.provider.answer(key).is_some() {
                actions.push(Action::Again(*key));
            } else {
                actions.push(Action::Arrive(*key, true));
                // The provider is not stubborn: what a person has tried again works, unless it cannot.
                if self.chances.refusal && key.attempt == 1 {
                    actions.push(Action::Arrive(*key, false));
                }
            }
        }
        for key in &self.payments_waiting {
            actions.push(Action::TimeOut(*key));
            if self.provider.answer(key).is_some() {
                actions.push(Action::Answer(*key));
            }
        }
        if self.chances.expiry && self.provider.account(self.order.id).hold == Hold::Held {
            actions.push(Action::HoldExpires);
        }
        if self.chances.expiry && matches!(self.order.reservation, Reservation::Held { .. }) {
            actions.push(Action::ReservationExpires);
        }
        let is_unknown = |state| state == OperationState::Unknown;
        if self.order.payment.operations.iter().any(|operation| is_unknown(operation.state)) {
            actions.push(Action::GiveUpWaiting);
        }
        if self.order.attention.is_some() {
            actions.push(Action::Retry);
        }
        let is_refundable = self.order.payment.last(OperationKind::Refund).is_none() && self.order.payment.kept() > 0;
        if self.chances.refund && is_refundable {
            actions.push(Action::Refund);
        }
        actions.push(Action::Cancel);
        actions.push(Action::CancelUnpaid);
        actions
    }

    /// The state after an action; `None` when it changes nothing.
    pub fn after(&self, action: Action) -> Option<Self> {
        let order_id = self.order.id;
        let never = policy(SignedDuration::from_hours(1_000));
        let usual = policy(SignedDuration::from_mins(10));
        match action {
            Action::Again(key) => self.decided(self.answer_to(key), 0, &usual),
            Action::Cancel => self.decided(Body::Cancel { order_id, reason: "changed my mind".into() }, 0, &usual),
            Action::CancelUnpaid => self.cancelled_unpaid(&usual),
            Action::Retry => {
                self.decided(Body::ClearAttention { order_id, remedy: Remedy::Retried, note: None }, 0, &usual)
            }
            Action::Refund => {
                let amount_minor = Some(PARTIAL_MINOR);
                self.decided(Body::Refund { order_id, amount_minor, reason: "broken".into() }, 0, &usual)
            }
            Action::ReservationExpires => self.decided(Body::CheckDeadline { order_id }, 15, &never),
            Action::GiveUpWaiting => self.decided(Body::CheckDeadline { order_id }, 10, &usual),
            of_wire => Some(self.after_wire(of_wire, &usual)),
        }
    }

    /// Whoever gives up on an order whose money is taken is told so, and nothing changes; before that the order is called off.
    fn cancelled_unpaid(&self, policy: &Policy) -> Option<Self> {
        let next =
            self.decided(Body::CancelUnpaid { order_id: self.order.id, reason: "sync_timeout".into() }, 0, policy);
        assert_eq!(next.is_some(), self.order.status.is_undecided(), "{:?}", self.order.status);
        assert!(next.as_ref().is_none_or(|next| next.order.status == Status::Cancelled));
        next
    }

    fn after_wire(&self, action: Action, policy: &Policy) -> Self {
        let mut next = self.clone();
        let order_id = self.order.id;
        match action {
            Action::Look => {
                next.payments_idle = false;
                if let Some(request) = due_request(&self.order) {
                    next.sent.insert(request.key, request.amount.amount_minor);
                    next.payments_waiting.insert(request.key);
                }
            }
            Action::Arrive(key, willing) => {
                let mood = if willing { Mood::Willing } else { Mood::Refusing(DeclineReason::Declined) };
                next.provider.perform(&self.request(key), mood);
            }
            Action::HoldExpires => next.provider.expire(order_id),
            Action::Reserve => {
                next.inventory_idle = false;
                next.submit(Body::Reserve { order_id }, policy);
            }
            Action::Answer(key) => {
                next.payments_waiting.remove(&key);
                next.submit(self.answer_to(key), policy);
            }
            Action::TimeOut(key) => {
                next.payments_waiting.remove(&key);
                next.payments_idle = true;
                next.submit(Body::PaymentResult(PaymentResult { key, answer: PaymentAnswer::Unknown }), policy);
            }
            other => panic!("{other:?} is decided by the ledger alone"),
        }
        next
    }

    fn request(&self, key: PaymentKey) -> PaymentRequest {
        PaymentRequest {
            key,
            amount: self.order.money(self.sent[&key]),
            method: self.order.placement.payment_method.clone(),
            authorization: self.order.payment.authorization.clone(),
            unresolved: false,
        }
    }

    fn answer_to(&self, key: PaymentKey) -> Body {
        let answer = self.provider.answer(&key).expect("it was answered").clone();
        Body::PaymentResult(PaymentResult { key, answer })
    }

    fn submit(&mut self, body: Body, policy: &Policy) {
        if let Some(next) = self.decided(body, 0, policy) {
            *self = next;
        }
    }

    /// Decides at so many minutes after the start, and records it as of the start, so that time makes no states of its own.
    fn decided(&self, body: Body, minutes: i64, policy: &Policy) -> Option<Self> {
        let now = super::start() + SignedDuration::from_mins(minutes);
        let decision: Decision = decide(self, &Input::new(body), policy, now).ok()?;
        if decision.events.is_empty() {
            assert!(decision.stock.is_empty(), "stock moves without an event");
            return None;
        }
        let mut next = self.clone();
        for change in &decision.stock {
            next.stock.apply(change);
        }
        for event in &decision.events {
            next.order.evolve(event, super::start());
            next.wake(event);
        }
        Some(next)
    }

    fn wake(&mut self, event: &Event) {
        let hears = |role: Role, kind: EventType| role.reacts_to().contains(&kind);
        self.payments_idle |= hears(Role::Payments, event.kind());
        self.inventory_idle |= hears(Role::Inventory, event.kind());
    }
}
