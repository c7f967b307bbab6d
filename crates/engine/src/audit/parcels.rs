//! One parcel by itself: the row against the events.

use ordermill_core::event::Subject;
use ordermill_core::invariant::Invariant;
use ordermill_core::parcel::Parcel;
use ordermill_ports::audit::{ParcelHistory, ParcelRow};

use super::history::find_gap;
use super::report::{Finding, Report};

/// Judges one parcel, and counts it.
pub(super) fn check(history: &ParcelHistory, report: &mut Report<'_>) {
    report.totals.parcels += 1;
    report.totals.events += history.events.len() as u64;
    let subject = Subject::Parcel(history.id.clone());
    if let Some(detail) = find_gap(&subject, &history.events) {
        report.find(Finding::about(Invariant::EventsWithoutGap, &subject, &detail));
        return;
    }
    let events = history.events.iter().map(|recorded| (&recorded.event, recorded.at));
    let detail = match (Parcel::fold(history.id.clone(), events), &history.row) {
        (None, _) => Some("its events do not begin with tracking.moved".to_owned()),
        (Some(_), None) => Some("events are stored for it, but no row".to_owned()),
        (Some(parcel), Some(row)) => row_differs(row, &parcel),
    };
    if let Some(detail) = detail {
        report.find(Finding::about(Invariant::ParcelMatchesEvents, &subject, &detail));
    }
}

fn row_differs(row: &ParcelRow, parcel: &Parcel) -> Option<String> {
    let by_events = ParcelRow { status: parcel.status, version: parcel.version };
    (*row != by_events).then(|| {
        format!(
            "it is {} at version {} in its row and {} at version {} by its events",
            row.status.as_str(),
            row.version,
            by_events.status.as_str(),
            by_events.version
        )
    })
}
