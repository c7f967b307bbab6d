//! A carrier reports where a parcel is: the parcel moves, and the order with it.

use crate::Timestamp;
use crate::decide::{Decision, attention};
use crate::event::{Empty, Event, ParcelMove, RefusedReport, Report, Subject};
use crate::facts::Facts;
use crate::input::ParcelReport;
use crate::limits::PARCEL_EVENTS_MAX;
use crate::order::{Order, Status};
use crate::parcel::{Parcel, ParcelStatus, ReportRefusal, Verdict};
use crate::process::Step;
use crate::refusal::Refusal;

/// A report is taken, known, late or refused; each but a known one is kept. It never fails: the carrier is told what came of it.
pub(super) fn report(facts: &impl Facts, report: &ParcelReport) -> Decision {
    let ParcelReport { status, seen_at, .. } = *report;
    let correlation_id = report.correlation_id.clone();
    let parcel = facts.parcel(&report.parcel_id);
    let verdict = judge(parcel, status, seen_at);
    let event = match verdict {
        Verdict::Moved => Some(Event::TrackingMoved(Report { status, seen_at, correlation_id })),
        Verdict::Late => Some(Event::TrackingLate(Report { status, seen_at, correlation_id })),
        Verdict::Duplicate | Verdict::Refused(ReportRefusal::TooManyEvents) => None,
        Verdict::Refused(_) if parcel.is_some_and(|parcel| !parcel.keeps_refused(status, seen_at)) => None,
        Verdict::Refused(reason) => {
            Some(Event::TrackingRefused(RefusedReport { status, seen_at, reason, correlation_id }))
        }
    };
    let decision = Decision::about(Subject::Parcel(report.parcel_id.clone()), event.into_iter().collect());
    Decision { verdict: Some(verdict), ..decision }
}

fn judge(parcel: Option<&Parcel>, status: ParcelStatus, seen_at: Timestamp) -> Verdict {
    let Some(parcel) = parcel else { return Verdict::Moved };
    if parcel.has_seen(status, seen_at) {
        Verdict::Duplicate
    } else if parcel.version >= PARCEL_EVENTS_MAX {
        Verdict::Refused(ReportRefusal::TooManyEvents)
    } else if seen_at < parcel.seen_at {
        Verdict::Late
    } else if status.may_follow(Some(parcel.status)) {
        Verdict::Moved
    } else if parcel.status == ParcelStatus::Delivered {
        Verdict::Refused(ReportRefusal::AlreadyDelivered)
    } else if parcel.status == status {
        Verdict::Refused(ReportRefusal::SameStatus)
    } else {
        Verdict::Refused(ReportRefusal::OutOfOrder)
    }
}

/// A move the carrier's states allow is recorded, whatever became of the order; on an order that was called off a person has to
/// fetch the parcel back. One that is known changes nothing: as a parcel goes to and fro, the states alone would let
/// a move that was handed over before pass for a new one.
pub(super) fn parcel_moved(order: &Order, status: ParcelStatus, seen_at: Timestamp) -> Result<Decision, Refusal> {
    if !status.may_follow(order.parcel) {
        return Err(Refusal::ParcelOutOfOrder);
    }
    if order.parcel_seen.is_known(status, seen_at) {
        return Ok(Decision::unchanged(order.id));
    }
    let mut events = vec![Event::ParcelMoved(ParcelMove { status, seen_at })];
    match order.status {
        Status::Placed | Status::Authorized | Status::Reserved | Status::Rejected | Status::Cancelled => {
            if order.parcel.is_none() {
                events.push(attention::event(Step::Track, "a parcel is on its way for an order that is not confirmed"));
            }
        }
        Status::Confirmed => {
            events.push(Event::OrderShipped(Empty {}));
            if status == ParcelStatus::Delivered {
                events.push(Event::OrderDelivered(Empty {}));
            }
        }
        Status::Shipped if status == ParcelStatus::Delivered => events.push(Event::OrderDelivered(Empty {})),
        Status::Shipped | Status::Delivered | Status::Returned => {}
    }
    Ok(Decision::order(order.id, events))
}

/// What an order that is confirmed only now has missed: its parcel was seen before.
pub(super) fn catch_up(order: &Order) -> Vec<Event> {
    match order.parcel {
        None => Vec::new(),
        Some(ParcelStatus::Delivered) => vec![Event::OrderShipped(Empty {}), Event::OrderDelivered(Empty {})],
        Some(_) => vec![Event::OrderShipped(Empty {})],
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::SignedDuration;

    use super::*;
    use crate::event::Placement;
    use crate::id::OrderId;
    use crate::idempotency::Fingerprint;
    use crate::money::{Currency, Money};

    fn confirmed() -> Order {
        let placement = Placement {
            order_ref: None,
            customer_id: "c".parse().expect("an id"),
            customer_email: None,
            payment_method: "ok".parse().expect("a method"),
            shipping_address: None,
            lines: Vec::new(),
            total: Money { amount_minor: 0, currency: Currency::USD },
            placed_at: None,
            metadata: None,
            correlation_id: None,
            traceparent: None,
            fingerprint: Fingerprint([0; 16]),
        };
        let mut order = Order::place(OrderId::from_bytes([1; 16]), Arc::new(placement), Timestamp::UNIX_EPOCH);
        order.evolve(&Event::OrderConfirmed(Empty {}), Timestamp::UNIX_EPOCH);
        order
    }

    /// A role that does not know whether its commit took place hands the same moves over again.
    #[test]
    fn moves_handed_over_again_change_nothing_however_the_parcel_went() {
        let way = [
            (ParcelStatus::OutForDelivery, 1),
            (ParcelStatus::DeliveryIssue, 2),
            (ParcelStatus::OutForDelivery, 3),
            (ParcelStatus::DeliveryIssue, 4),
            // To and fro in one instant, as a carrier with a coarse clock says it.
            (ParcelStatus::OutForDelivery, 5),
            (ParcelStatus::DeliveryIssue, 5),
        ];
        let seen_at = |second| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second);
        let mut order = confirmed();
        for (status, second) in way {
            let decision = parcel_moved(&order, status, seen_at(second)).expect("a way through the states");
            assert!(!decision.events.is_empty());
            decision.events.iter().for_each(|event| order.evolve(event, Timestamp::UNIX_EPOCH));
        }
        for (status, second) in way {
            let again = parcel_moved(&order, status, seen_at(second));
            assert!(again.is_err() || again.is_ok_and(|decision| decision.events.is_empty()), "{status:?} {second}");
        }
    }
}
