//! When the sweeper has to look at which order: in memory, so that no timer is ever written.

use std::collections::BTreeSet;

use ordermill_core::Timestamp;
use ordermill_core::id::OrderId;
use ordermill_core::order::{Order, Status};

use super::hash::IdMap;

/// The states whose orders at rest are watched: those that wait for a parcel, or travel.
pub(super) const WATCHED: [Status; 2] = [Status::Confirmed, Status::Shipped];

/// What is known of deadlines.
///
/// Open orders are not filed: they are looked through when the earliest of their deadlines is over, which nearly all of them are
/// done long before, so that is seldom. Orders at rest are filed when the sweep over their rows reaches them, shortly before
/// their time.
#[derive(Debug)]
pub(super) struct Deadlines {
    /// No open order has an earlier deadline.
    earliest_open: Timestamp,
    by_time: BTreeSet<(Timestamp, OrderId)>,
    filed: IdMap<Timestamp>,
    /// How far the rows of each watched state were swept. What comes to such a state with an id below is filed at once.
    swept: [Option<OrderId>; WATCHED.len()],
}

impl Default for Deadlines {
    fn default() -> Self {
        let (by_time, filed, swept) = Default::default();
        Self { earliest_open: Timestamp::MAX, by_time, filed, swept }
    }
}

impl Deadlines {
    /// An order was committed, is in memory, and has this deadline now.
    pub(super) fn committed(&mut self, order: &Order, deadline: Option<Timestamp>) {
        if order.is_open() {
            self.remove(order.id);
            self.earliest_open = self.earliest_open.min(deadline.unwrap_or(Timestamp::MAX));
            return;
        }
        let swept = || {
            let state = WATCHED.into_iter().position(|status| status == order.status);
            state.is_some_and(|state| Some(order.id) <= self.swept[state])
        };
        match deadline {
            Some(deadline) if swept() => self.file(order.id, deadline),
            _ => self.remove(order.id),
        }
    }

    /// Whether open orders have to be looked through now. If so, the looker says with [`Self::looked_through`] what it found;
    /// what is committed meanwhile counts beside that.
    pub(super) fn look_through(&mut self, now: Timestamp) -> bool {
        let due = self.earliest_open <= now;
        if due {
            self.earliest_open = Timestamp::MAX;
        }
        due
    }

    /// No open order that was looked through has an earlier deadline.
    pub(super) fn looked_through(&mut self, earliest: Timestamp) {
        self.earliest_open = self.earliest_open.min(earliest);
    }

    /// Files the order under exactly this time.
    pub(super) fn file(&mut self, id: OrderId, deadline: Timestamp) {
        self.remove(id);
        self.by_time.insert((deadline, id));
        self.filed.insert(id, deadline);
    }

    fn remove(&mut self, id: OrderId) {
        if let Some(filed) = self.filed.remove(&id) {
            self.by_time.remove(&(filed, id));
        }
    }

    /// The order was looked at, and has this deadline in truth, unless it was committed anew meanwhile.
    pub(super) fn correct(&mut self, id: OrderId, filed: Timestamp, deadline: Option<Timestamp>) {
        if self.filed.get(&id) == Some(&filed) {
            match deadline {
                Some(deadline) => self.file(id, deadline),
                None => self.remove(id),
            }
        }
    }

    /// The orders filed under `now` or earlier, the oldest first.
    pub(super) fn due(&self, now: Timestamp, limit: usize) -> Vec<(Timestamp, OrderId)> {
        self.by_time.iter().copied().take_while(|(deadline, _)| *deadline <= now).take(limit).collect()
    }

    /// How many orders are filed.
    pub(super) fn len(&self) -> usize {
        self.filed.len()
    }

    /// How far the rows of a watched state were swept.
    pub(super) const fn swept(&self, state: usize) -> Option<OrderId> {
        self.swept[state]
    }

    /// A sweep is about to read the rows of a state up to here: what is committed meanwhile is filed, so none slips through.
    pub(super) fn begin_sweep(&mut self, state: usize, up_to: OrderId) {
        self.swept[state] = self.swept[state].max(Some(up_to));
    }

    /// A sweep has read rows up to `swept`, and found these orders, with their deadlines.
    pub(super) fn end_sweep(&mut self, state: usize, swept: Option<OrderId>, found: Vec<(OrderId, Timestamp)>) {
        self.swept[state] = swept;
        for (id, deadline) in found {
            if !self.filed.contains_key(&id) {
                self.file(id, deadline);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correction_of_what_was_filed_anew_is_dropped() {
        let id = OrderId::from_bytes([7; 16]);
        let at = |second| Timestamp::from_second(second).expect("in range");
        let mut deadlines = Deadlines::default();
        deadlines.file(id, at(10));
        assert_eq!(deadlines.due(at(10), 9), [(at(10), id)]);
        deadlines.file(id, at(20));
        deadlines.correct(id, at(10), None);
        assert_eq!(deadlines.due(at(10), 9), []);
        assert_eq!(deadlines.due(at(20), 9), [(at(20), id)]);
        deadlines.correct(id, at(20), None);
        assert_eq!(deadlines.len(), 0);
    }
}
