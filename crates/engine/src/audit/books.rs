//! What the outside stores should hold, by the ledger: kept small, as there may be millions of orders.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use ordermill_core::event::{Event, Remedy};
use ordermill_core::id::{OrderId, OrderRef};
use ordermill_core::mail::{MailKind, MailState};
use ordermill_core::order::Order;
use ordermill_core::payment::{OperationId, OperationKind, OperationState, PaymentKey};
use ordermill_ports::audit::{AuditError, OrderHistory};

use super::orders::Judged;

/// One order: 28 bytes.
struct Entry {
    id: [u8; 16],
    /// Where its operations end; they begin where those of the order before end.
    operations_end: u32,
    /// Where its mails end, likewise.
    mails_end: u32,
    /// The mark of its reference; 0 = it has none, or the reference was seen.
    order_ref: u32,
}

/// One operation that the provider must have carried out, or may have: 16 bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExpectedOperation {
    pub(super) amount_minor: i64,
    pub(super) number: u16,
    pub(super) attempt: u16,
    pub(super) kind: OperationKind,
    pub(super) expected: Expected,
    pub(super) seen: bool,
}

/// One mail that the mail store must hold, or may hold: 5 bytes, stored as 6.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExpectedMail {
    pub(super) version: u16,
    pub(super) kind: MailKind,
    pub(super) expected: Expected,
    pub(super) seen: bool,
}

/// How sure the ledger is of something outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// It was done.
    Done,
    /// It was asked for, and what came of it is not known yet or was left to a person.
    Possible,
}

/// All of it, by order id.
pub(super) struct Books {
    entries: Vec<Entry>,
    operations: Vec<ExpectedOperation>,
    mails: Vec<ExpectedMail>,
    /// Orders that outside stores cannot be held against.
    incomparable: BTreeSet<OrderId>,
}

/// Where an order stands in the books.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place(usize);

impl Books {
    pub(super) fn with_capacity(orders: u64) -> Self {
        // A count that is absurd (a damaged ledger) must not take the memory; the books grow on their own too.
        let orders = usize::try_from(orders).unwrap_or(usize::MAX).min(1 << 24);
        Self {
            entries: Vec::with_capacity(orders),
            operations: Vec::with_capacity(orders * 2),
            mails: Vec::with_capacity(orders),
            incomparable: BTreeSet::new(),
        }
    }

    /// Adds the next order.
    pub(super) fn add(&mut self, judged: &Judged, history: &OrderHistory) -> Result<(), AuditError> {
        let id = *history.id.as_bytes();
        if self.entries.last().is_some_and(|last| last.id >= id) {
            return Err(AuditError(format!("the ledger does not give its orders by id: {} came late", history.id)));
        }
        let mut order_ref = 0;
        match &judged.order {
            Some(order) if judged.comparable => {
                order_ref = order.placement.order_ref.as_ref().map_or(0, mark);
                self.operations.extend(expected_operations(order, history));
                self.mails.extend(expected_mails(order));
            }
            _ => {
                self.incomparable.insert(history.id);
            }
        }
        let end = |length: usize| u32::try_from(length).map_err(|_| AuditError("too many orders to audit".to_owned()));
        let (operations_end, mails_end) = (end(self.operations.len())?, end(self.mails.len())?);
        self.entries.push(Entry { id, operations_end, mails_end, order_ref });
        Ok(())
    }

    /// Where an order is; `None` when the ledger has no such order.
    pub(super) fn find(&self, id: OrderId) -> Option<Place> {
        self.entries.binary_search_by(|entry| entry.id.cmp(id.as_bytes())).ok().map(Place)
    }

    /// Every order.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> + use<> {
        (0..self.entries.len()).map(Place)
    }

    pub(super) fn id(&self, place: Place) -> OrderId {
        OrderId::from_bytes(self.entries[place.0].id)
    }

    /// Whether outside stores can be held against the order.
    pub(super) fn is_comparable(&self, id: OrderId) -> bool {
        !self.incomparable.contains(&id)
    }

    pub(super) fn operations(&self, place: Place) -> &[ExpectedOperation] {
        let range = self.range(place, |entry| entry.operations_end);
        &self.operations[range]
    }

    pub(super) fn operations_mut(&mut self, place: Place) -> &mut [ExpectedOperation] {
        let range = self.range(place, |entry| entry.operations_end);
        &mut self.operations[range]
    }

    pub(super) fn mails(&self, place: Place) -> &[ExpectedMail] {
        let range = self.range(place, |entry| entry.mails_end);
        &self.mails[range]
    }

    pub(super) fn mails_mut(&mut self, place: Place) -> &mut [ExpectedMail] {
        let range = self.range(place, |entry| entry.mails_end);
        &mut self.mails[range]
    }

    fn range(&self, place: Place, end_of: impl Fn(&Entry) -> u32) -> std::ops::Range<usize> {
        let begin = place.0.checked_sub(1).map_or(0, |before| end_of(&self.entries[before]));
        begin as usize..end_of(&self.entries[place.0]) as usize
    }

    /// Takes note that a reference leads to this order; `false` when the order carries another one, none, or was led to before.
    pub(super) fn take_ref(&mut self, place: Place, order_ref: &OrderRef) -> bool {
        let entry = &mut self.entries[place.0];
        let carries = entry.order_ref == mark(order_ref);
        if carries {
            entry.order_ref = 0;
        }
        carries
    }

    /// Whether the order carries a reference that nothing led from.
    pub(super) fn has_untaken_ref(&self, place: Place) -> bool {
        self.entries[place.0].order_ref != 0
    }
}

/// A mark of a reference, never 0. Two references share one by chance only once in two thousand million pairs.
fn mark(order_ref: &OrderRef) -> u32 {
    let mut hasher = DefaultHasher::new();
    order_ref.as_str().hash(&mut hasher);
    (hasher.finish() >> 32) as u32 | 1
}

impl ExpectedOperation {
    /// The key under which the provider was asked.
    pub(super) const fn key(&self, order_id: OrderId) -> PaymentKey {
        PaymentKey { order_id, operation: OperationId { kind: self.kind, number: self.number }, attempt: self.attempt }
    }
}

/// What the provider's journal must hold for an order, and what it may.
pub(super) fn expected_operations(order: &Order, history: &OrderHistory) -> Vec<ExpectedOperation> {
    let mut operations = Vec::with_capacity(order.payment.operations.len());
    let mut push = |id: OperationId, attempt, amount_minor, expected| {
        let OperationId { kind, number } = id;
        operations.push(ExpectedOperation { amount_minor, number, attempt, kind, expected, seen: false });
    };
    let mut left_to_person = false;
    for recorded in &history.events {
        match &recorded.event {
            Event::PaymentAuthorized(data) => push(data.operation, data.attempt, data.amount_minor, Expected::Done),
            Event::PaymentCaptured(data) | Event::PaymentVoided(data) | Event::PaymentRefunded(data) => {
                push(data.operation, data.attempt, data.amount_minor, Expected::Done);
            }
            Event::OrderAttentionCleared(data) => left_to_person |= data.remedy == Remedy::Resolved,
            _ => {}
        }
    }
    // An operation given up while under way may have been carried out; another operation of the order that is still open finds
    // that out, or a person has dealt with it.
    let given_up = left_to_person || order.payment.operations.iter().any(|operation| operation.is_open());
    for operation in &order.payment.operations {
        if operation.is_open() || (operation.state == OperationState::Superseded && given_up) {
            push(operation.id, operation.attempt, operation.amount_minor, Expected::Possible);
        }
    }
    operations
}

/// What the mail store must hold for an order, and what it may.
pub(super) fn expected_mails(order: &Order) -> impl Iterator<Item = ExpectedMail> {
    order.mails.iter().filter_map(|mail| {
        let expected = match mail.state {
            MailState::Sent => Expected::Done,
            MailState::Due => Expected::Possible,
            MailState::Skipped | MailState::Failed => return None,
        };
        Some(ExpectedMail { version: mail.version, kind: mail.kind, expected, seen: false })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_order_takes_about_64_bytes() {
        let bytes = size_of::<Entry>() + 2 * size_of::<ExpectedOperation>() + size_of::<ExpectedMail>();
        assert!(bytes <= 66, "{bytes}");
    }
}
