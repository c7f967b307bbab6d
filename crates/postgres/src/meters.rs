//! The ledger's metrics, by the same names on every backend. Each process counts what it has committed itself, so the sum over all
//! processes is that of the installation.

use metrics::{Counter, Gauge, Histogram};
use ordermill_core::order::Status;

use crate::writer::overlay::Overlay;

/// Handles of everything the ledger measures: nothing is looked up or formatted per order.
pub(crate) struct Meters {
    pub(crate) commit_seconds: Histogram,
    pub(crate) commit_inputs: Histogram,
    pub(crate) commit_failures: Counter,
    /// Of all processes together, as of the last commit here or the last look at the feed.
    pub(crate) undecided: Gauge,
    confirmed: Counter,
    rejected: Counter,
    cancelled: Counter,
    depth: [Gauge; 3],
}

impl Default for Meters {
    /// Registers with the recorder in place; a recorder installed later sees nothing.
    fn default() -> Self {
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
}

impl Meters {
    /// So many inputs wait in each lane.
    pub(crate) fn waiting(&self, waiting: [usize; 3]) {
        for (depth, inputs) in self.depth.iter().zip(waiting) {
            depth.set(inputs as f64);
        }
    }

    /// Orders have come to another status.
    pub(crate) fn committed(&self, overlay: &Overlay) {
        for staged in overlay.orders.values().filter(|staged| staged.order.changed) {
            let Some(order) = &staged.order.now else { continue };
            if staged.before.is_some_and(|(status, _)| status == order.status) {
                continue;
            }
            match order.status {
                Status::Confirmed => self.confirmed.increment(1),
                Status::Rejected => self.rejected.increment(1),
                Status::Cancelled => self.cancelled.increment(1),
                _ => {}
            }
        }
    }
}
