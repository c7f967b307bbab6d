//! One customer by itself: the row against the events. Nothing that a customer told us gets into a finding.

use ordermill_core::customer::Customer;
use ordermill_core::event::Subject;
use ordermill_core::invariant::Invariant;
use ordermill_ports::audit::CustomerHistory;

use super::history::find_gap;
use super::report::{Finding, Report};

/// Judges one customer, and counts it.
pub(super) fn check(history: &CustomerHistory, report: &mut Report<'_>) {
    report.totals.customers += 1;
    report.totals.events += history.events.len() as u64;
    let subject = Subject::Customer(history.id.clone());
    if let Some(detail) = find_gap(&subject, &history.events) {
        report.find(Finding::about(Invariant::EventsWithoutGap, &subject, &detail));
        return;
    }
    let folded = history.events.iter().fold(None, |present, recorded| Customer::after(present, &recorded.event));
    if let Some(detail) = row_differs(history.row.as_ref(), folded.as_ref()) {
        report.find(Finding::about(Invariant::CustomerMatchesEvents, &subject, &detail));
    }
}

fn row_differs(row: Option<&Customer>, folded: Option<&Customer>) -> Option<String> {
    match (row, folded) {
        (None, None) => Some("its events do not begin with customer.put, and it has no row".to_owned()),
        (Some(_), None) => Some("its row comes from no event".to_owned()),
        (None, Some(_)) => Some("events are stored for it, but no row".to_owned()),
        (Some(row), Some(folded)) if row == folded => None,
        (Some(row), Some(folded)) if (row.version, row.deleted) == (folded.version, folded.deleted) => {
            Some(format!("its row holds something else than version {} by its events", folded.version))
        }
        (Some(row), Some(folded)) => Some(format!("its row is {}, its events make it {}", state(row), state(folded))),
    }
}

fn state(customer: &Customer) -> String {
    format!("version {}{}", customer.version, if customer.deleted { ", deleted" } else { "" })
}
