//! Everything the ledger knows, and how a decision changes it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use ordermill_core::Timestamp;
use ordermill_core::decide::Decision;
use ordermill_core::event::{Event, EventType, Recorded, Subject};
use ordermill_core::id::{IdempotencyKey, OrderId, OrderRef, ParcelId, ProductId};
use ordermill_core::idempotency::{Answer, Record};
use ordermill_core::input::{Body, Input};
use ordermill_core::order::Order;
use ordermill_core::policy::Policy;
use ordermill_core::process::Role;
use ordermill_core::product::Product;
use ordermill_core::stock::StockLevel;
use ordermill_ports::bus::{DeadLetter, Delivery, Settle, Settlement};
use ordermill_ports::ledger::{Outcome, OutcomeSubject};

use super::deliveries::Deliveries;
use super::kept::Shelves;
use super::log::Log;
use super::tally::Tally;

/// An order with the places of its events in the log.
#[derive(Clone)]
pub(super) struct OrderEntry {
    pub(super) order: Arc<Order>,
    pub(super) events: Vec<u64>,
}

/// A product with its stock and the places of its events in the log.
#[derive(Clone, Default)]
pub(super) struct ProductEntry {
    pub(super) product: Option<Arc<Product>>,
    pub(super) stock: Option<StockLevel>,
    pub(super) events: Vec<u64>,
}

/// Who has to hear of what was applied since the last look.
#[derive(Clone, Default)]
pub(super) struct News {
    pub(super) orders: Vec<OrderId>,
    pub(super) parcels: Vec<ParcelId>,
    pub(super) has_events: bool,
    pub(super) roles: [bool; Role::ALL.len()],
}

impl News {
    pub(super) fn add(&mut self, log: &Log, kind: EventType) {
        self.has_events = true;
        for role in Role::ALL {
            self.roles[role as usize] |= log.concerns(kind, role);
        }
    }
}

/// The state behind the one lock.
#[derive(Clone)]
pub(super) struct State {
    pub(super) policy: Policy,
    pub(super) orders: BTreeMap<OrderId, OrderEntry>,
    pub(super) order_refs: BTreeMap<OrderRef, OrderId>,
    pub(super) products: BTreeMap<ProductId, ProductEntry>,
    pub(super) shelves: Shelves,
    pub(super) keys: BTreeMap<IdempotencyKey, Record>,
    pub(super) log: Log,
    pub(super) tally: Tally,
    pub(super) mailbox_end: Option<u64>,
    pub(super) deliveries: [Deliveries; Role::ALL.len()],
    pub(super) dead_letters: BTreeMap<u64, DeadLetter>,
    pub(super) dead_letter_last: u64,
    pub(super) news: News,
    pub(super) closed: bool,
}

impl State {
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            policy,
            orders: BTreeMap::new(),
            order_refs: BTreeMap::new(),
            products: BTreeMap::new(),
            shelves: Shelves::default(),
            keys: BTreeMap::new(),
            log: Log::default(),
            tally: Tally::default(),
            mailbox_end: None,
            deliveries: Role::ALL.map(Deliveries::new),
            dead_letters: BTreeMap::new(),
            dead_letter_last: 0,
            news: News::default(),
            closed: false,
        }
    }

    /// Applies a decision made from this state, all of it.
    pub(super) fn apply(&mut self, decision: Decision, input: &Input, now: Timestamp) -> Outcome {
        // Also with a replay: a key that came with a known order reference is used from then on.
        if let Some((key, record)) = decision.record {
            self.keys.insert(key, record);
        }
        let key_expires_at = input.key.as_ref().and_then(|key| Some(self.keys.get(&key.key)?.expires_at));
        if let Some(answer) = decision.replay {
            return Outcome { subject: self.answered(answer), changed: false, replayed: true, key_expires_at };
        }
        let changed = !decision.events.is_empty();
        for change in decision.stock {
            let entry = self.products.entry(change.product_id.clone()).or_default();
            entry.stock.get_or_insert_with(|| StockLevel::none(change.product_id.clone())).apply(&change);
        }
        let subject = match decision.subject {
            Some(Subject::Order(id)) => {
                self.apply_order(id, decision.events, input.cause, now);
                self.answered(Answer::Order(id))
            }
            Some(Subject::Product(id)) => {
                self.apply_product(&id, decision.events, input.cause, now);
                self.product_outcome(&id, matches!(input.body, Body::PutProduct(_) | Body::DeleteProduct { .. }))
            }
            Some(Subject::Customer(id)) => {
                self.apply_customer(&id, decision.events, input.cause, now);
                self.customer_outcome(&id)
            }
            Some(Subject::Parcel(id)) => {
                self.apply_parcel(&id, decision.events, input.cause, now);
                self.parcel_outcome(&id, decision.verdict)
            }
            Some(Subject::Record(id)) => {
                self.apply_record(id, decision.events, input.cause, now);
                self.record_outcome(id)
            }
            None => OutcomeSubject::Nothing,
        };
        Outcome { subject, changed, replayed: false, key_expires_at }
    }

    fn answered(&self, answer: Answer) -> OutcomeSubject {
        match answer {
            Answer::Order(id) => self
                .orders
                .get(&id)
                .map_or(OutcomeSubject::Nothing, |entry| OutcomeSubject::Order(Arc::clone(&entry.order))),
            Answer::Stock(level) => OutcomeSubject::Stock(level),
            Answer::Record(id) => self.record_outcome(id),
        }
    }

    fn product_outcome(&self, id: &ProductId, whole: bool) -> OutcomeSubject {
        let entry = self.products.get(id).cloned().unwrap_or_default();
        match (entry.product, entry.stock) {
            (Some(product), stock) if whole => OutcomeSubject::Product { product, stock },
            (_, Some(stock)) => OutcomeSubject::Stock(stock),
            _ => OutcomeSubject::Nothing,
        }
    }

    fn apply_order(&mut self, id: OrderId, events: Vec<Event>, cause: Option<u32>, now: Timestamp) {
        let entry = match (self.orders.entry(id), events.first()) {
            (_, None) => return,
            (Entry::Occupied(entry), _) => {
                let entry = entry.into_mut();
                self.tally.remove(&entry.order, &self.policy);
                entry
            }
            (Entry::Vacant(entry), Some(Event::OrderPlaced(placement))) => {
                if let Some(order_ref) = &placement.order_ref {
                    self.order_refs.insert(order_ref.clone(), id);
                }
                let order = Arc::new(Order::place(id, Arc::clone(placement), now));
                entry.insert(OrderEntry { order, events: Vec::new() })
            }
            // Only a decision to place is made without an order.
            (Entry::Vacant(_), Some(_)) => return,
        };
        for event in events {
            match &event {
                Event::OrderPlaced(_) => {}
                event => Arc::make_mut(&mut entry.order).evolve(event, now),
            }
            if let Event::NotificationSent(sent) = &event {
                self.mailbox_end = self.mailbox_end.max(sent.mailbox_end);
            }
            let version = entry.order.version;
            self.news.add(&self.log, event.kind());
            entry.events.push(self.log.push(Recorded { subject: Subject::Order(id), version, at: now, cause, event }));
        }
        self.tally.add(&entry.order, &self.policy);
        self.news.orders.push(id);
    }

    fn apply_product(&mut self, id: &ProductId, events: Vec<Event>, cause: Option<u32>, now: Timestamp) {
        if events.is_empty() {
            return;
        }
        let entry = self.products.entry(id.clone()).or_default();
        for event in events {
            if let Event::ProductPut(_) | Event::ProductDeleted(_) = &event {
                let present = entry.product.take().map(Arc::unwrap_or_clone);
                entry.product = Product::after(present, &event).map(Arc::new);
            }
            let version = u32::try_from(entry.events.len() + 1).unwrap_or(u32::MAX);
            let subject = Subject::Product(id.clone());
            self.news.add(&self.log, event.kind());
            entry.events.push(self.log.push(Recorded { subject, version, at: now, cause, event }));
        }
    }

    /// Takes a role's word on a delivery.
    pub(super) fn settle(&mut self, settlement: Settlement, now: Timestamp) {
        let role = settlement.delivery.role as usize;
        let is_dead = self.deliveries[role].settle(&settlement);
        // Whoever waits has to look at the time again.
        self.news.roles[role] |= matches!(settlement.how, Settle::Retry { .. });
        if let (true, Settle::DeadLetter { reason }) = (is_dead, settlement.how) {
            self.dead_letter_last += 1;
            let tries = settlement.delivery.tries.saturating_add(1);
            let delivery = Delivery { tries, ..settlement.delivery };
            let letter = DeadLetter { id: self.dead_letter_last, delivery, reason, since: now };
            self.dead_letters.insert(letter.id, letter);
        }
    }

    /// Delivers a dead letter again. Returns whose it is; `None` when it is gone.
    pub(super) fn redrive(&mut self, id: u64) -> Option<Role> {
        let delivery = self.dead_letters.remove(&id)?.delivery;
        self.deliveries[delivery.role as usize].revive(delivery.position.0);
        Some(delivery.role)
    }
}
