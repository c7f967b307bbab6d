//! What is kept about all orders together, so that it need not be counted.

use std::collections::BTreeSet;

use ordermill_core::Timestamp;
use ordermill_core::id::OrderId;
use ordermill_core::order::{Order, Status};
use ordermill_core::policy::Policy;
use ordermill_ports::queries::Counts;

/// Counts by status, and deadlines in order.
#[derive(Clone, Default)]
pub(super) struct Tally {
    by_status: [u64; Status::ALL.len()],
    attention: u64,
    deadlines: BTreeSet<(Timestamp, OrderId)>,
}

impl Tally {
    /// Counts an order as it is.
    pub(super) fn add(&mut self, order: &Order, policy: &Policy) {
        self.by_status[order.status as usize] += 1;
        self.attention += u64::from(order.attention.is_some());
        self.deadlines.extend(order.deadline(policy).map(|deadline| (deadline, order.id)));
    }

    /// Takes back [`Self::add`] of the order as it was.
    pub(super) fn remove(&mut self, order: &Order, policy: &Policy) {
        self.by_status[order.status as usize] -= 1;
        self.attention -= u64::from(order.attention.is_some());
        if let Some(deadline) = order.deadline(policy) {
            self.deadlines.remove(&(deadline, order.id));
        }
    }

    /// Orders that are not decided yet.
    pub(super) fn undecided(&self) -> u64 {
        Status::ALL.iter().filter(|status| status.is_undecided()).map(|status| self.by_status[*status as usize]).sum()
    }

    /// Orders whose deadline is over, the oldest first.
    pub(super) fn overdue(&self, now: Timestamp) -> impl Iterator<Item = OrderId> {
        self.deadlines.iter().take_while(move |(deadline, _)| *deadline <= now).map(|(_, id)| *id)
    }

    pub(super) fn counts(&self) -> Counts {
        let count = |status: Status| (status, self.by_status[status as usize]);
        let by_status = Status::ALL.into_iter().map(count).filter(|(_, orders)| *orders > 0).collect();
        Counts { by_status, attention: self.attention }
    }
}
