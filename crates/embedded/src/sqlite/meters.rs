//! The ledger's metrics. Handles are made once: nothing is looked up or formatted per order.

use metrics::{Counter, Gauge, Histogram};
use ordermill_core::order::Status;
use ordermill_ports::Source;

/// Handles of everything the ledger measures.
pub(super) struct Meters {
    pub(super) commit_seconds: Histogram,
    pub(super) commit_inputs: Histogram,
    pub(super) commit_failures: Counter,
    pub(super) undecided: Gauge,
    confirmed: Counter,
    rejected: Counter,
    cancelled: Counter,
    depth: [Gauge; 3],
}

impl Meters {
    /// Registers with the recorder in place; a recorder installed later sees nothing.
    pub(super) fn new() -> Self {
        let outcome = |status: Status| metrics::counter!("ordermill_orders_total", "outcome" => status.as_str());
        let depth = |lane: &'static str| metrics::gauge!("ordermill_ledger_queue_inputs", "lane" => lane);
        Self {
            commit_seconds: metrics::histogram!("ordermill_commit_seconds"),
            commit_inputs: metrics::histogram!("ordermill_commit_inputs"),
            commit_failures: metrics::counter!("ordermill_commit_failures_total"),
            undecided: metrics::gauge!("ordermill_undecided_orders"),
            confirmed: outcome(Status::Confirmed),
            rejected: outcome(Status::Rejected),
            cancelled: outcome(Status::Cancelled),
            depth: [depth("results"), depth("live"), depth("import")],
        }
    }

    /// An order has come to this status.
    pub(super) fn reached(&self, status: Status) {
        match status {
            Status::Confirmed => self.confirmed.increment(1),
            Status::Rejected => self.rejected.increment(1),
            Status::Cancelled => self.cancelled.increment(1),
            _ => {}
        }
    }

    /// The gauge of a lane's inputs.
    pub(super) const fn depth(&self, source: Source) -> &Gauge {
        &self.depth[source as usize]
    }
}
