//! What only the writer knows.

use ordermill_core::Timestamp;
use ordermill_core::id::OrderId;

use super::super::keys::KeyIndex;
use super::super::memory::KnownIds;

/// Closed orders in a span before the next one begins: their index entries fill about a thousand pages, which stay in the cache.
const SPAN_ORDERS: usize = 64 * 1024;

/// The writer's own state, as committed.
#[derive(Debug)]
pub(in super::super) struct Memory {
    /// Position of the last event.
    pub(in super::super) position: u64,
    /// When the last commit was decided; time never goes back in the ledger.
    pub(in super::super) now: Timestamp,
    pub(in super::super) known: KnownIds,
    pub(in super::super) keys: KeyIndex,
    /// The last row of the table `idempotency`.
    pub(in super::super) key_row: i64,
    pub(in super::super) sweep: KeySweep,
    pub(in super::super) spans: Spans,
}

/// How far the deletion of expired keys has come.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct KeySweep {
    /// Rows up to here were looked at since the sweep began at the first row.
    pub(in super::super) row: i64,
    /// When to go on.
    pub(in super::super) next: Timestamp,
}

/// The ranges of order ids that the index by customer is cut into.
#[derive(Debug)]
pub(in super::super) struct Spans {
    first_ids: Vec<OrderId>,
    closed_in_last: usize,
}

impl Spans {
    /// As stored, with the number of orders in the last one.
    pub(in super::super) fn new(first_ids: Vec<OrderId>, closed_in_last: usize) -> Self {
        Self { first_ids, closed_in_last }
    }

    /// The span of an order.
    pub(super) fn of(&self, id: OrderId) -> usize {
        self.first_ids.partition_point(|first| *first <= id).saturating_sub(1)
    }

    /// The number of the last span.
    pub(super) fn last(&self) -> usize {
        self.first_ids.len().saturating_sub(1)
    }

    /// Where the next span would begin, when the last one is full with so many orders more.
    pub(super) fn next(&self, closed: usize, newest: OrderId) -> Option<OrderId> {
        let behind = newest.uuid().as_u128().checked_add(1)?;
        let full = self.closed_in_last + closed >= SPAN_ORDERS && self.first_ids.last() <= Some(&newest);
        full.then(|| OrderId::from_bytes(behind.to_be_bytes()))
    }

    /// A commit has closed so many orders in the last span, and perhaps ended it.
    pub(super) fn committed(&mut self, closed: usize, next: Option<OrderId>) {
        self.closed_in_last += closed;
        if let Some(first) = next {
            self.first_ids.push(first);
            self.closed_in_last = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_cut_the_ids_without_gap_or_overlap() {
        let id = |number: u128| OrderId::from_bytes(number.to_be_bytes());
        let mut spans = Spans::new(vec![id(0)], 0);
        assert_eq!(spans.next(SPAN_ORDERS - 1, id(100)), None);
        spans.committed(SPAN_ORDERS - 1, None);
        let next = spans.next(1, id(100));
        assert_eq!(next, Some(id(101)));
        spans.committed(1, next);
        assert_eq!([0, 100, 101, 500].map(|number| spans.of(id(number))), [0, 0, 1, 1]);
        assert_eq!(spans.next(SPAN_ORDERS, id(100)), None, "a span has at least one id of its own");
        assert_eq!(spans.last(), 1);
    }
}
