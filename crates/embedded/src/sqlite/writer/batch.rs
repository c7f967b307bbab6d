//! Decides the inputs of one commit, one after the other, each on what the ones before it did.

use std::sync::Arc;

use ordermill_core::Timestamp;
use ordermill_core::decide::{Decision, decide};
use ordermill_core::event::{Event, Placement, Subject};
use ordermill_core::id::{CustomerId, IdempotencyKey, OrderId, ParcelId, ProductId, RecordId};
use ordermill_core::idempotency::{Answer as FirstAnswer, Record, RefRecord};
use ordermill_core::input::{Body, Input, Key};
use ordermill_core::parcel::Verdict;
use ordermill_core::product::Product;
use ordermill_core::stock::StockLevel;
use ordermill_ports::ledger::SubmitError;
use rusqlite::Connection;

use super::super::catalogue::Catalogue;
use super::super::codec::bit;
use super::super::error::StoreError;
use super::super::feed::Entry;
use super::super::keys::ROW_MAX;
use super::super::memory::Held;
use super::super::read;
use super::super::shared::Shared;
use super::memory::Memory;
use super::overlay::{EventData, Overlay, StagedOrder, View};
use super::statements::Statements;

/// What an input will be answered once it is committed.
#[derive(Debug)]
pub(super) enum Staged {
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

/// One commit in the making.
pub(super) struct Batch<'a, 'conn> {
    pub(super) shared: &'a Shared,
    pub(super) conn: &'conn Connection,
    pub(super) sql: &'a mut Statements<'conn>,
    pub(super) memory: &'a Memory,
    pub(super) overlay: Overlay,
    /// When everything in it is decided.
    pub(super) now: Timestamp,
    /// Position of the last event so far.
    pub(super) position: u64,
    /// Row of the last key so far.
    pub(super) key_row: i64,
    /// Slot of the last stock row so far.
    pub(super) stock_slot: i64,
}

impl Batch<'_, '_> {
    /// Decides one input and stages what comes of it. `Err` only when the whole commit is off.
    pub(super) fn decide(&mut self, input: &Input, catalogue: &Catalogue) -> Result<Staged, StoreError> {
        match self.try_decide(input, catalogue) {
            // Nothing was staged yet: an unreadable record is met while loading. The other inputs are fine.
            Err(StoreError::Unreadable(reason)) => {
                tracing::error!(reason, "a stored record cannot be read");
                Ok(Staged::Failed(SubmitError::NotCommitted { reason }))
            }
            result => result,
        }
    }

    fn try_decide(&mut self, input: &Input, catalogue: &Catalogue) -> Result<Staged, StoreError> {
        self.load(input)?;
        let view = View { overlay: &self.overlay, catalogue };
        let mut decision = match decide(&view, input, &self.shared.policy, self.now) {
            Ok(decision) => decision,
            Err(refusal) => return Ok(Staged::Failed(refusal.into())),
        };
        let record = decision.record.take();
        let mut staged = match &decision.replay {
            Some(FirstAnswer::Order(id)) => {
                self.load_order(*id)?;
                if self.overlay.staged(*id).is_none() {
                    return Err(StoreError::Unreadable(format!("order {id} of a key or reference is not there")));
                }
                Staged::Order { id: *id, changed: false, replayed: true, key_expires_at: None }
            }
            Some(FirstAnswer::Record(id)) => {
                self.load_record(*id)?;
                if self.overlay.record(*id).is_none() {
                    return Err(StoreError::Unreadable(format!("record {id} of a key is not there")));
                }
                Staged::Record { id: *id, changed: false, replayed: true }
            }
            Some(FirstAnswer::Stock(level)) => Staged::Stock { level: level.clone(), replayed: true },
            None => self.stage(decision, input, catalogue)?,
        };
        // Also with a replay: a key that came with a known order reference is used from then on.
        if let Some((key, record)) = record {
            self.stage_key(key, record)?;
        }
        if let (Staged::Order { key_expires_at, .. }, Some(key)) = (&mut staged, &input.key) {
            *key_expires_at = self.overlay.keys.get(&key.key).map(|record| record.expires_at);
        }
        Ok(staged)
    }

    /// Brings in what the decision may look at.
    fn load(&mut self, input: &Input) -> Result<(), StoreError> {
        if let Some(key) = &input.key {
            self.load_key(key)?;
        }
        if let Some(id) = input.body.order_id() {
            self.load_order(id)?;
        }
        if let Body::Place(request) = &input.body {
            self.load_order(request.order_id)?;
            if let Some(order_ref) = &request.order_ref
                && !self.overlay.refs.contains_key(order_ref)
                && let Some(record) = read::order_ref(self.conn, order_ref)?
            {
                self.overlay.refs.insert(order_ref.clone(), record);
            }
        }
        self.load_subject(&input.body)
    }

    fn load_order(&mut self, id: OrderId) -> Result<(), StoreError> {
        if self.overlay.orders.contains_key(&id) {
            return Ok(());
        }
        let held = self.committed_order(id)?;
        self.overlay.orders.insert(id, held.map(StagedOrder::committed));
        Ok(())
    }

    fn committed_order(&self, id: OrderId) -> Result<Option<Held>, StoreError> {
        if self.memory.known.is_taken(id) == Some(false) {
            return Ok(None);
        }
        match self.shared.orders.get(id) {
            Some(held) => Ok(Some(held)),
            // Every open order is in memory.
            None => read::closed_order(self.conn, &self.shared.types, id),
        }
    }

    /// A key counts until it expires, and as long as the order it made is undecided.
    fn load_key(&mut self, key: &Key) -> Result<(), StoreError> {
        if self.overlay.keys.contains_key(&key.key) {
            return Ok(());
        }
        let mut newest: Option<(i64, Record)> = None;
        for row in self.memory.keys.rows(key.key.as_str()) {
            if newest.as_ref().is_none_or(|(newest, _)| *newest < row)
                && let Some(record) = super::keys::record_at(self.sql, row, key.key.as_str())?
            {
                newest = Some((row, record));
            }
        }
        if let Some((_, record)) = newest
            && (record.expires_at > self.now || self.is_undecided(&record.answer))
        {
            self.overlay.keys.insert(key.key.clone(), record);
        }
        Ok(())
    }

    /// Whether a key was answered with an order that is not decided yet.
    pub(super) fn is_undecided(&self, answer: &FirstAnswer) -> bool {
        let FirstAnswer::Order(id) = answer else { return false };
        match self.overlay.staged(*id) {
            Some(staged) => staged.order.status.is_undecided(),
            // Undecided orders are open, and every open order is in memory.
            None => self.shared.orders.with_open(*id, |order| order.status.is_undecided()).unwrap_or(false),
        }
    }

    fn stage(&mut self, decision: Decision, input: &Input, catalogue: &Catalogue) -> Result<Staged, StoreError> {
        let changed = !decision.events.is_empty();
        let Some(subject) = decision.subject else { return Ok(Staged::Nothing) };
        match &subject {
            Subject::Order(id) => self.stage_order(&subject, *id, decision.events, input.cause, catalogue)?,
            Subject::Product(id) => self.stage_product(&subject, id, decision.events, input.cause, catalogue),
            Subject::Customer(id) => self.stage_customer(&subject, id, decision.events, input.cause),
            Subject::Parcel(id) => self.stage_parcel(&subject, id, decision.events, input.cause)?,
            Subject::Record(id) => self.stage_record(&subject, *id, decision.events, input.cause),
        }
        self.overlay.apply_stock(&decision.stock, catalogue);
        Ok(match subject {
            Subject::Order(id) => Staged::Order { id, changed, replayed: false, key_expires_at: None },
            Subject::Product(id) => match (&input.body, &self.overlay.item(&id, catalogue).item.stock) {
                // A change of stock always has events: it raises the version.
                (Body::SetStock { .. } | Body::AdjustStock { .. }, Some(level)) => {
                    Staged::Stock { level: level.clone(), replayed: false }
                }
                _ => Staged::Product { id, changed },
            },
            Subject::Customer(id) => Staged::Customer { id, changed },
            Subject::Parcel(id) => match decision.verdict {
                Some(verdict) => Staged::Parcel { id, verdict, changed },
                None => Staged::Nothing,
            },
            Subject::Record(id) => Staged::Record { id, changed, replayed: false },
        })
    }

    fn stage_key(&mut self, key: IdempotencyKey, record: Record) -> Result<(), StoreError> {
        self.key_row += 1;
        if self.key_row > ROW_MAX {
            // Fails the commit: this takes a year of full load and a new table.
            return Err(rusqlite::Error::IntegralValueOutOfRange(0, self.key_row).into());
        }
        self.overlay.new_keys.push((key.clone(), self.key_row));
        self.overlay.keys.insert(key, record);
        Ok(())
    }

    fn stage_order(
        &mut self,
        subject: &Subject,
        id: OrderId,
        events: Vec<Event>,
        cause: Option<u32>,
        catalogue: &Catalogue,
    ) -> Result<(), StoreError> {
        for mut event in events {
            let version = self.overlay.staged(id).map_or(0, |staged| staged.order.version) + 1;
            if let Event::OrderPlaced(placement) = &mut event {
                share_ids(placement, catalogue);
            }
            self.append(subject, version, cause, &event);
            let slot = self.overlay.orders.entry(id).or_default();
            if let Event::OrderPlaced(placement) = &event
                && slot.is_none()
            {
                *slot = Some(StagedOrder::placed(id, placement, self.now));
                if let Some(order_ref) = &placement.order_ref {
                    let fingerprint = placement.fingerprint;
                    self.sql.insert_ref.execute((order_ref.as_str(), id.as_bytes(), fingerprint.0))?;
                    self.overlay.refs.insert(order_ref.clone(), RefRecord { order_id: id, fingerprint });
                }
            } else if let Some(staged) = slot.as_mut() {
                Arc::make_mut(&mut staged.order).evolve(&event, self.now);
            }
            if let Some(staged) = slot.as_mut() {
                staged.trail.push(self.position);
                staged.changed = true;
            }
            self.overlay.mailbox_end = self.overlay.mailbox_end.max(read::mailbox_end(&event));
        }
        Ok(())
    }

    fn stage_product(
        &mut self,
        subject: &Subject,
        id: &ProductId,
        events: Vec<Event>,
        cause: Option<u32>,
        catalogue: &Catalogue,
    ) {
        for event in events {
            let staged = self.overlay.item(id, catalogue);
            staged.item.events += 1;
            staged.product_changed = true;
            let version = staged.item.events;
            if matches!(event, Event::ProductPut(_) | Event::ProductDeleted(_)) {
                let present = staged.item.product.take().map(Arc::unwrap_or_clone);
                staged.item.product = Product::after(present, &event).map(Arc::new);
            }
            self.append(subject, version, cause, &event);
        }
    }

    pub(super) fn append(&mut self, subject: &Subject, version: u32, cause: Option<u32>, event: &Event) {
        let kind = event.kind();
        self.position += 1;
        self.overlay.kinds |= bit(kind);
        self.overlay.events.push(Entry { subject: subject.clone(), version, kind, at: self.now });
        self.overlay.data.push(EventData { cause, data: event.data() });
    }
}

/// Lets the lines of a new order name products by the catalogue's own texts: every request brings copies.
fn share_ids(placement: &mut Arc<Placement>, catalogue: &Catalogue) {
    if let Some(placement) = Arc::get_mut(placement) {
        for line in &mut placement.lines {
            if let Some((id, _)) = catalogue.get_key_value(&line.product_id) {
                line.product_id = id.clone();
            }
        }
    }
}
