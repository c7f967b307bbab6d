//! Decides the inputs of one transaction, one after the other, each on what the ones before it did.

use std::sync::Arc;

use ordermill_core::Timestamp;
use ordermill_core::customer::Customer;
use ordermill_core::decide::{Decision, decide};
use ordermill_core::event::{Event, Subject};
use ordermill_core::id::{CustomerId, OrderId, ParcelId, ProductId, RecordId};
use ordermill_core::idempotency::{Answer as FirstAnswer, RefRecord};
use ordermill_core::input::{Body, Input};
use ordermill_core::order::Order;
use ordermill_core::parcel::{Parcel, Verdict};
use ordermill_core::policy::Policy;
use ordermill_core::product::Product;
use ordermill_core::record::Record;
use ordermill_core::stock::StockLevel;
use ordermill_ports::ledger::{Outcome, OutcomeSubject, SubmitError};

use super::overlay::{Overlay, StagedProduct};

/// What an input will be answered once it is committed.
#[derive(Debug)]
pub(crate) enum Planned {
    /// With an order as it is then.
    Order { id: OrderId, changed: bool, replayed: bool, key_expires_at: Option<Timestamp> },
    /// With a product as it is then.
    Product { id: ProductId, changed: bool },
    /// With the stock as this input leaves it, or left it the first time.
    Stock { level: StockLevel, replayed: bool },
    /// With a customer as it is then.
    Customer { id: CustomerId, changed: bool },
    /// With a parcel as it is then, and what came of the report.
    Parcel { id: ParcelId, verdict: Verdict, changed: bool },
    /// With a record as it is then.
    Record { id: RecordId, changed: bool, replayed: bool },
    /// With nothing.
    Nothing,
    /// Not at all.
    Failed(SubmitError),
}

/// One transaction in the making.
pub(crate) struct Batch<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) overlay: Overlay,
    /// The time, read behind the locks.
    pub(crate) clock: Timestamp,
    /// When the input is decided that is being decided.
    pub(crate) now: Timestamp,
}

impl Batch<'_> {
    /// Decides one input and stages what comes of it.
    pub(crate) fn decide(&mut self, input: &Input) -> Planned {
        if let Some(reason) = self.unreadable(input) {
            tracing::error!(reason, "a stored record cannot be read");
            return Planned::Failed(SubmitError::NotCommitted { reason });
        }
        self.now = self.time_of(input);
        let mut decision = match decide(&self.overlay, input, self.policy, self.now) {
            Ok(decision) => decision,
            Err(refusal) => return Planned::Failed(refusal.into()),
        };
        let record = decision.record.take();
        let mut planned = match decision.replay.take() {
            Some(answer) => self.replay(answer),
            None => self.stage(decision, input),
        };
        // Also with a replay: a key that came with a known order reference is used from then on.
        if let Some((key, record)) = record {
            self.overlay.new_keys.push((key.clone(), record.clone()));
            self.overlay.keys.insert(key, record);
        }
        if let (Planned::Order { key_expires_at, .. }, Some(key)) = (&mut planned, &input.key) {
            *key_expires_at = self.overlay.keys.get(&key.key).map(|record| record.expires_at);
        }
        planned
    }

    /// The time of the decision: never before what was decided about the same subject, whatever the clock says. What else is in the
    /// transaction keeps its own time: a time ahead is catching otherwise, from one order to all.
    fn time_of(&self, input: &Input) -> Timestamp {
        let order = input.body.order_id().and_then(|id| Some(self.overlay.staged_order(id)?.updated_at));
        let parcel = match &input.body {
            Body::Track(report) => self.overlay.parcels.get(&report.parcel_id).and_then(|staged| staged.now.as_ref()),
            _ => None,
        };
        order.into_iter().chain(parcel.map(|parcel| parcel.updated_at)).fold(self.clock, Timestamp::max)
    }

    /// Why what the input is about cannot be read.
    fn unreadable(&self, input: &Input) -> Option<String> {
        if self.overlay.broken.is_empty() {
            return None;
        }
        let subject = match &input.body {
            Body::Place(request) => Subject::Order(request.order_id),
            Body::Track(report) => Subject::Parcel(report.parcel_id.clone()),
            Body::TakeRecord(take) => Subject::Record(take.record_id),
            Body::RecordStored { record_id, .. } => Subject::Record(*record_id),
            body => Subject::Order(body.order_id()?),
        };
        self.overlay.broken.get(&subject).cloned()
    }

    fn replay(&self, answer: FirstAnswer) -> Planned {
        let missing = |what: String| Planned::Failed(SubmitError::NotCommitted { reason: what });
        match answer {
            FirstAnswer::Order(id) if self.overlay.staged_order(id).is_none() => {
                missing(format!("order {id} of a key or reference cannot be read"))
            }
            FirstAnswer::Order(id) => Planned::Order { id, changed: false, replayed: true, key_expires_at: None },
            FirstAnswer::Record(id) if self.overlay.records.get(&id).is_none_or(|staged| staged.now.is_none()) => {
                missing(format!("record {id} of a key cannot be read"))
            }
            FirstAnswer::Record(id) => Planned::Record { id, changed: false, replayed: true },
            FirstAnswer::Stock(level) => Planned::Stock { level, replayed: true },
        }
    }

    fn stage(&mut self, decision: Decision, input: &Input) -> Planned {
        let changed = !decision.events.is_empty();
        let Some(subject) = decision.subject else { return Planned::Nothing };
        let (events, cause) = (decision.events, input.cause);
        match &subject {
            Subject::Order(id) => self.stage_order(&subject, *id, events, cause),
            Subject::Product(id) => self.stage_product(&subject, id, events, cause),
            Subject::Customer(id) => self.stage_customer(&subject, id, events, cause),
            Subject::Parcel(id) => self.stage_parcel(&subject, id, events, cause),
            Subject::Record(id) => self.stage_record(&subject, *id, events, cause),
        }
        self.overlay.apply_stock(&decision.stock);
        match subject {
            Subject::Order(id) => Planned::Order { id, changed, replayed: false, key_expires_at: None },
            Subject::Product(id) => {
                let level = self.overlay.stock.get(&id).and_then(|staged| staged.now.as_ref());
                match (&input.body, level) {
                    // A change of stock always has events: it raises the version.
                    (Body::SetStock { .. } | Body::AdjustStock { .. }, Some(level)) => {
                        Planned::Stock { level: level.clone(), replayed: false }
                    }
                    _ => Planned::Product { id, changed },
                }
            }
            Subject::Customer(id) => Planned::Customer { id, changed },
            Subject::Parcel(id) => match decision.verdict {
                Some(verdict) => Planned::Parcel { id, verdict, changed },
                None => Planned::Nothing,
            },
            Subject::Record(id) => Planned::Record { id, changed, replayed: false },
        }
    }

    fn stage_order(&mut self, subject: &Subject, id: OrderId, events: Vec<Event>, cause: Option<u32>) {
        for event in events {
            let Some(staged) = self.overlay.orders.get_mut(&id) else { return };
            let version = match (&mut staged.order.now, &event) {
                (Some(order), event) => {
                    Arc::make_mut(order).evolve(event, self.now);
                    order.version
                }
                (now @ None, Event::OrderPlaced(placement)) => {
                    *now = Some(Arc::new(Order::place(id, Arc::clone(placement), self.now)));
                    if let Some(order_ref) = &placement.order_ref {
                        let record = RefRecord { order_id: id, fingerprint: placement.fingerprint };
                        self.overlay.refs.insert(order_ref.clone(), record);
                        self.overlay.new_refs.push((order_ref.clone(), record));
                    }
                    1
                }
                // Only a decision to place is made without an order.
                (None, _) => return,
            };
            staged.order.changed = true;
            if let Event::NotificationSent(sent) = &event {
                self.overlay.mailbox_end = self.overlay.mailbox_end.max(sent.mailbox_end);
            }
            self.overlay.append(subject, version, (self.now, cause), &event);
        }
    }

    fn stage_product(&mut self, subject: &Subject, id: &ProductId, events: Vec<Event>, cause: Option<u32>) {
        for event in events {
            let Some(staged) = self.overlay.products.get_mut(id) else { return };
            staged.events += 1;
            staged.product.changed = true;
            let StagedProduct { product, events } = staged;
            if matches!(event, Event::ProductPut(_) | Event::ProductDeleted(_)) {
                let present = product.now.take().map(Arc::unwrap_or_clone);
                product.now = Product::after(present, &event).map(Arc::new);
            }
            let version = *events;
            self.overlay.append(subject, version, (self.now, cause), &event);
        }
    }

    fn stage_customer(&mut self, subject: &Subject, id: &CustomerId, events: Vec<Event>, cause: Option<u32>) {
        for event in events {
            let Some(staged) = self.overlay.customers.get_mut(id) else { return };
            let present = staged.now.as_ref().map(|customer| Customer::clone(customer));
            // Only what was put is ever deleted.
            let Some(customer) = Customer::after(present, &event) else { continue };
            let version = customer.version;
            staged.set(Arc::new(customer));
            self.overlay.append(subject, version, (self.now, cause), &event);
        }
    }

    fn stage_parcel(&mut self, subject: &Subject, id: &ParcelId, events: Vec<Event>, cause: Option<u32>) {
        for event in events {
            let Some(staged) = self.overlay.parcels.get_mut(id) else { return };
            let parcel = match staged.now.take() {
                Some(mut parcel) => {
                    Arc::make_mut(&mut parcel).evolve(&event, self.now);
                    parcel
                }
                // A parcel begins with a report that moves it; the core gives it no other first event.
                None => match Parcel::begin(id.clone(), &event, self.now) {
                    Some(parcel) => Arc::new(parcel),
                    None => return,
                },
            };
            let version = parcel.version;
            staged.set(parcel);
            self.overlay.append(subject, version, (self.now, cause), &event);
        }
    }

    fn stage_record(&mut self, subject: &Subject, id: RecordId, events: Vec<Event>, cause: Option<u32>) {
        for event in events {
            let Some(staged) = self.overlay.records.get_mut(&id) else { return };
            let record = match staged.now.take() {
                Some(mut record) => {
                    Arc::make_mut(&mut record).evolve(&event, self.now);
                    record
                }
                // What is stored was taken before.
                None => match Record::fold(id, [(&event, self.now)]) {
                    Some(record) => Arc::new(record),
                    None => return,
                },
            };
            let version = record.version;
            staged.set(record);
            self.overlay.append(subject, version, (self.now, cause), &event);
        }
    }
}

/// The answer to an input, when its transaction is committed.
pub(crate) fn outcome(overlay: &Overlay, planned: Planned) -> Result<Outcome, SubmitError> {
    let mut expires_at = None;
    let (subject, changed, replayed) = match planned {
        Planned::Order { id, changed, replayed, key_expires_at } => {
            expires_at = key_expires_at;
            (overlay.staged_order(id).cloned().map(OutcomeSubject::Order), changed, replayed)
        }
        Planned::Product { id, changed } => {
            let product = overlay.products.get(&id).and_then(|staged| staged.product.now.clone());
            let stock = overlay.stock.get(&id).and_then(|staged| staged.now.clone());
            (product.map(|product| OutcomeSubject::Product { product, stock }), changed, false)
        }
        Planned::Stock { level, replayed } => (Some(OutcomeSubject::Stock(level)), !replayed, replayed),
        Planned::Customer { id, changed } => {
            let customer = overlay.customers.get(&id).and_then(|staged| staged.now.clone());
            (customer.map(OutcomeSubject::Customer), changed, false)
        }
        Planned::Parcel { id, verdict, changed } => {
            let parcel = overlay.parcels.get(&id).and_then(|staged| staged.now.clone());
            (parcel.map(|parcel| OutcomeSubject::Parcel { parcel, verdict }), changed, false)
        }
        Planned::Record { id, changed, replayed } => {
            let record = overlay.records.get(&id).and_then(|staged| staged.now.clone());
            (record.map(OutcomeSubject::Record), changed, replayed)
        }
        Planned::Nothing => (Some(OutcomeSubject::Nothing), false, false),
        Planned::Failed(error) => return Err(error),
    };
    // What was decided on is always there.
    let subject = subject.unwrap_or(OutcomeSubject::Nothing);
    Ok(Outcome { subject, changed, replayed, key_expires_at: expires_at })
}
