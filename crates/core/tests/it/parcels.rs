//! Parcels: every pair of the carrier's states, and random reports of several parcels, in any order, doubled, late and impossible.
//! [`Kept`](crate::support::kept::Kept) checks every step: the parcel is the fold of its events, on a way through the states.

use jiff::SignedDuration;
use ordermill_core::Timestamp;
use ordermill_core::event::{Event, EventType, Subject};
use ordermill_core::input::{Body, ParcelReport};
use ordermill_core::limits::{PARCEL_EVENTS_MAX, PARCEL_REFUSALS_MAX};
use ordermill_core::order::Status;
use ordermill_core::parcel::{Parcel, ParcelStatus, ReportRefusal, Verdict};
use proptest::prelude::*;

use crate::support::mill::Mill;
use crate::support::world::World;
use crate::support::{cases, parcel, start};
use ParcelStatus::{Delivered, DeliveryIssue, OutForDelivery, PickedUp};
use Verdict::{Duplicate, Late, Moved, Refused};

/// One report: of which parcel, where, and in which minute of the carrier's day.
#[derive(Debug, Clone, Copy)]
struct Seen {
    parcel: u8,
    status: ParcelStatus,
    minute: i64,
}

fn minute(minute: i64) -> Timestamp {
    start() + SignedDuration::from_mins(minute)
}

fn name(number: u8) -> ordermill_core::id::ParcelId {
    parcel(&format!("parcel-{number}"))
}

fn report(seen: Seen) -> Body {
    let correlation_id = Some("scan-1".parse().expect("a valid id"));
    Body::Track(ParcelReport {
        parcel_id: name(seen.parcel),
        status: seen.status,
        seen_at: minute(seen.minute),
        correlation_id,
    })
}

/// Submits a report and gives the parcel before it, the verdict, and the event that was kept.
fn track(world: &mut World, seen: Seen) -> (Option<Parcel>, Verdict, Option<Event>) {
    let before = world.kept.parcels.get(&name(seen.parcel)).cloned();
    let decision = world.submit(report(seen)).expect("a report is always answered");
    assert_eq!(decision.subject, Some(Subject::Parcel(name(seen.parcel))));
    assert!(decision.events.len() <= 1 && decision.record.is_none() && decision.replay.is_none());
    let verdict = decision.verdict.expect("every report has its verdict");
    (before, verdict, decision.events.into_iter().next())
}

/// The rule in other words than the code's: the pairs that move a parcel on.
const WAYS: [(ParcelStatus, ParcelStatus); 6] = [
    (PickedUp, OutForDelivery),
    (PickedUp, DeliveryIssue),
    (OutForDelivery, DeliveryIssue),
    (OutForDelivery, Delivered),
    (DeliveryIssue, OutForDelivery),
    (DeliveryIssue, Delivered),
];

#[test]
fn the_states_are_those_of_the_carrier() {
    for to in ParcelStatus::ALL {
        assert!(to.may_follow(None), "a parcel may be seen first in any state");
        for from in ParcelStatus::ALL {
            assert_eq!(to.may_follow(Some(from)), WAYS.contains(&(from, to)), "{from:?} to {to:?}");
        }
        assert_eq!(ParcelStatus::from_name(to.as_str()), Some(to));
    }
}

/// What is to come of a report, worked out from all that were taken before it.
fn expected(before: Option<&Parcel>, seen: Seen) -> Verdict {
    let Some(parcel) = before else { return Moved };
    let at = minute(seen.minute);
    let is_known = parcel.sightings.iter().any(|sighting| (sighting.status, sighting.seen_at) == (seen.status, at));
    match (is_known, at < parcel.seen_at) {
        (true, _) => Duplicate,
        (false, true) => Late,
        (false, false) if WAYS.contains(&(parcel.status, seen.status)) => Moved,
        (false, false) => Refused(match parcel.status {
            Delivered => ReportRefusal::AlreadyDelivered,
            there if there == seen.status => ReportRefusal::SameStatus,
            _ => ReportRefusal::OutOfOrder,
        }),
    }
}

fn check_kept(before: Option<&Parcel>, seen: Seen, verdict: Verdict, event: Option<&Event>) {
    let was_just_refused = before.is_some_and(|parcel| parcel.last_refused == Some((seen.status, minute(seen.minute))));
    match (verdict, event) {
        (Moved, Some(Event::TrackingMoved(kept))) | (Late, Some(Event::TrackingLate(kept))) => {
            assert_eq!((kept.status, kept.seen_at), (seen.status, minute(seen.minute)));
            assert!(kept.correlation_id.is_some());
        }
        (Refused(why), Some(Event::TrackingRefused(kept))) if !was_just_refused => {
            assert_eq!((kept.status, kept.seen_at, kept.reason), (seen.status, minute(seen.minute), why));
        }
        (Refused(_), None) => assert!(was_just_refused, "a refused report is kept"),
        (Duplicate, None) => {}
        other => panic!("{other:?} after {before:?}"),
    }
}

fn seen() -> impl Strategy<Value = Seen> {
    let status = prop::sample::select(&ParcelStatus::ALL[..]);
    (0..3_u8, status, 0..10_i64).prop_map(|(parcel, status, minute)| Seen { parcel, status, minute })
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn every_report_is_judged_by_what_came_before(reports in prop::collection::vec(seen(), 1..120)) {
        let mut world = World::new(&[]);
        for seen in reports {
            world.now += SignedDuration::from_secs(1);
            let (before, verdict, event) = track(&mut world, seen);
            prop_assert_eq!(verdict, expected(before.as_ref(), seen));
            check_kept(before.as_ref(), seen, verdict, event.as_ref());
            let after = world.kept.parcels[&name(seen.parcel)].clone();
            if verdict != Moved {
                let before = before.expect("a parcel that was never seen moves");
                let place = |parcel: &Parcel| (parcel.status, parcel.seen_at, parcel.delivered_at);
                prop_assert_eq!(place(&before), place(&after), "{:?} moves nothing", verdict);
            }
            let (_, again, kept) = track(&mut world, seen);
            prop_assert_eq!(again, if matches!(verdict, Refused(_)) { verdict } else { Duplicate });
            prop_assert!(kept.is_none(), "the same report at once again keeps nothing: {:?}", kept);
            prop_assert_eq!(&after, &world.kept.parcels[&name(seen.parcel)]);
        }
    }

    /// What a parcel took and was not late is never out of order for its order: the tracking role is refused nothing.
    #[test]
    fn a_confirmed_order_can_follow_its_parcel(reports in prop::collection::vec(seen(), 1..60)) {
        let (mut mill, order_id) = Mill::with_order();
        mill.drive(order_id, Status::Confirmed);
        for seen in reports {
            track(&mut mill.world, Seen { parcel: 0, ..seen });
        }
        let parcel = mill.world.kept.parcels[&name(0)].clone();
        for sighting in parcel.sightings.iter().filter(|sighting| !sighting.is_late) {
            let (status, seen_at) = (sighting.status, sighting.seen_at);
            mill.must(Body::ParcelMoved { order_id, status, seen_at });
        }
        let order = mill.order(order_id);
        prop_assert_eq!(order.parcel, Some(parcel.status));
        let is_delivered = parcel.delivered_at.is_some();
        prop_assert_eq!(order.status, if is_delivered { Status::Delivered } else { Status::Shipped });
        mill.settle();
        mill.assert_clean();
    }
}

#[test]
fn a_full_parcel_keeps_nothing_more_and_forgets_nothing() {
    let mut world = World::new(&[]);
    let back_and_forth = |number: u32| if number.is_multiple_of(2) { OutForDelivery } else { DeliveryIssue };
    for number in 0..PARCEL_EVENTS_MAX {
        let seen = Seen { parcel: 0, status: back_and_forth(number), minute: number.into() };
        assert_eq!(track(&mut world, seen).1, Moved);
    }
    for (status, minute) in [(Delivered, 10_000), (PickedUp, 0), (back_and_forth(PARCEL_EVENTS_MAX), 10_000)] {
        let (_, verdict, kept) = track(&mut world, Seen { parcel: 0, status, minute });
        assert_eq!((verdict, kept), (Refused(ReportRefusal::TooManyEvents), None));
    }
    let (_, verdict, _) = track(&mut world, Seen { parcel: 0, status: back_and_forth(5), minute: 5 });
    assert_eq!(verdict, Duplicate);
}

/// A fold is total: whatever lies behind the first event is taken, and a history that does not begin with a move is none.
#[test]
fn a_parcel_begins_with_a_move() {
    let id = name(0);
    let moved = |seen| match track(&mut World::new(&[]), seen).2 {
        Some(event) => event,
        None => panic!("a parcel that was never seen moves"),
    };
    let first = moved(Seen { parcel: 0, status: Delivered, minute: 3 });
    let parcel = Parcel::fold(id.clone(), [(&first, start())]).expect("it begins with a move");
    assert_eq!((parcel.delivered_at, parcel.created_at, parcel.version), (Some(minute(3)), start(), 1));
    let deleted = Event::ProductDeleted(ordermill_core::event::Empty {});
    assert_eq!(first.kind(), EventType::TrackingMoved);
    assert!(Parcel::fold(id.clone(), []).is_none());
    assert!(Parcel::fold(id.clone(), [(&deleted, start()), (&first, start())]).is_none());
    let odd = Parcel::fold(id, [(&first, start()), (&deleted, start())]).expect("anything may follow");
    assert_eq!((odd.status, odd.version), (Delivered, 2));
}

/// A carrier that says over and over what cannot be does not use up the events that the parcel's way needs.
#[test]
fn what_is_refused_leaves_room_for_the_way() {
    let mut world = World::new(&[]);
    let mut seen = |status, minute| track(&mut world, Seen { parcel: 1, status, minute }).1;
    assert_eq!(seen(PickedUp, 0), Moved);
    for round in 1..=2 * i64::from(PARCEL_EVENTS_MAX) {
        assert_eq!(seen(Delivered, round), Refused(ReportRefusal::OutOfOrder));
        assert_eq!(seen(PickedUp, round), Refused(ReportRefusal::SameStatus));
    }
    let end = 3 * i64::from(PARCEL_EVENTS_MAX);
    assert_eq!(seen(OutForDelivery, end), Moved);
    assert_eq!(seen(Delivered, end + 1), Moved);
    assert_eq!(world.kept.parcels[&name(1)].refused, PARCEL_REFUSALS_MAX);
}
