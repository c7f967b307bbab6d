//! How many orders are in each state: counted along, so that nobody ever counts rows.

use ordermill_core::order::{Order, Status};
use ordermill_ports::queries::Counts;

/// Orders by status, and those that wait for a person; also used for the difference one commit makes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    by_status: [i64; Status::ALL.len()],
    pub(super) attention: i64,
}

/// The name of a status's counter in the table `counters`.
pub(super) const fn counter(status: Status) -> &'static str {
    match status {
        Status::Placed => "orders.placed",
        Status::Authorized => "orders.authorized",
        Status::Reserved => "orders.reserved",
        Status::Confirmed => "orders.confirmed",
        Status::Shipped => "orders.shipped",
        Status::Delivered => "orders.delivered",
        Status::Rejected => "orders.rejected",
        Status::Cancelled => "orders.cancelled",
        Status::Returned => "orders.returned",
    }
}

/// The name of the counter of orders that wait for a person.
pub(super) const ATTENTION: &str = "orders.attention";

impl Totals {
    /// Counts an order in (`by` 1) or out (`by` -1).
    pub(super) fn count(&mut self, order: &Order, by: i64) {
        self.add(order.status, by);
        self.attention += if order.attention.is_some() { by } else { 0 };
    }

    /// Adds to one state.
    pub(super) fn add(&mut self, status: Status, by: i64) {
        self.by_status[status as usize] += by;
    }

    /// Orders in one state.
    pub(super) const fn of(&self, status: Status) -> i64 {
        self.by_status[status as usize]
    }

    /// Adds a commit's difference.
    pub(super) fn merge(&mut self, other: &Self) {
        for status in Status::ALL {
            self.add(status, other.of(status));
        }
        self.attention += other.attention;
    }

    /// Orders that are not decided yet.
    pub(super) fn undecided(&self) -> i64 {
        Status::ALL.into_iter().filter(|status| status.is_undecided()).map(|status| self.of(status)).sum()
    }

    /// As the port shows them.
    pub(super) fn counts(&self) -> Counts {
        let natural = |count: i64| u64::try_from(count).unwrap_or(0);
        let by_status = Status::ALL.into_iter().map(|status| (status, natural(self.of(status))));
        Counts { by_status: by_status.filter(|(_, count)| *count > 0).collect(), attention: natural(self.attention) }
    }
}
