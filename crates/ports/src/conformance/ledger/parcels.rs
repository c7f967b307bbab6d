//! Parcels: what becomes of a carrier's reports.

use ordermill_core::event::{Event, EventType};
use ordermill_core::id::CorrelationId;
use ordermill_core::input::{Body, Input, ParcelReport};
use ordermill_core::limits::PARCEL_EVENTS_MAX;
use ordermill_core::order::Status;
use ordermill_core::parcel::{ParcelStatus, ReportRefusal, Sighting, Verdict};

use crate::conformance::Harness;
use crate::conformance::shop::{Shop, minute, parcel, report, verdict};
use crate::ledger::Submission;
use ParcelStatus::{Delivered, DeliveryIssue, OutForDelivery, PickedUp};
use ReportRefusal::{AlreadyDelivered, OutOfOrder, SameStatus, TooManyEvents};
use Verdict::{Duplicate, Late, Moved, Refused};

/// Any status may be a parcel's first; from then on the carrier's states decide, and each report is answered with what came of it.
pub async fn the_carriers_states_decide(harness: &dyn Harness) {
    // From the state on the left (the way there first), each next status gives this.
    let rows: [(&[ParcelStatus], [Verdict; 4]); 4] = [
        (&[PickedUp], [Refused(SameStatus), Moved, Moved, Refused(OutOfOrder)]),
        (&[PickedUp, OutForDelivery], [Refused(OutOfOrder), Refused(SameStatus), Moved, Moved]),
        (&[PickedUp, DeliveryIssue], [Refused(OutOfOrder), Moved, Refused(SameStatus), Moved]),
        (&[PickedUp, DeliveryIssue, Delivered], [Refused(AlreadyDelivered); 4]),
    ];
    let shop = Shop::open(harness).await;
    for first in ParcelStatus::ALL {
        let (parcel, verdict) = shop.track(first.as_str(), first, 0).await;
        assert_eq!((parcel.status, parcel.version, verdict), (first, 1, Moved));
        assert_eq!(parcel.delivered_at, (first == Delivered).then(|| minute(0)));
    }
    for (row, (way, verdicts)) in rows.into_iter().enumerate() {
        for (status, expected) in ParcelStatus::ALL.into_iter().zip(verdicts) {
            let id = format!("{row}/{}", status.as_str());
            for (minutes, status) in (0..).zip(way) {
                assert_eq!(shop.track(&id, *status, minutes).await.1, Moved);
            }
            let (parcel, verdict) = shop.track(&id, status, 60).await;
            assert_eq!(verdict, expected, "{status:?} after {way:?}");
            let is_at = if expected == Moved { status } else { way[way.len() - 1] };
            assert_eq!(parcel.status, is_at);
            assert_eq!(parcel.version as usize, way.len() + 1, "a refused report is kept, too");
            let delivered_at = if expected == Moved { 60 } else { 2 };
            assert_eq!(parcel.delivered_at, (is_at == Delivered).then(|| minute(delivered_at)));
        }
    }
    shop.audit().await;
}

/// The same report again is answered as known and leaves no trace, whatever came in between.
pub async fn the_same_report_again_is_a_duplicate(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let way = [(PickedUp, 0), (OutForDelivery, 1), (DeliveryIssue, 2), (OutForDelivery, 3), (Delivered, 4)];
    for (status, minutes) in way {
        assert_eq!(shop.track("p-1", status, minutes).await.1, Moved);
        assert_eq!(shop.track("p-1", status, minutes).await.1, Duplicate);
    }
    assert_eq!(shop.track("p-1", DeliveryIssue, 1).await.1, Late);
    for (status, minutes) in way.into_iter().chain([(DeliveryIssue, 1)]) {
        let (parcel, verdict) = shop.track("p-1", status, minutes).await;
        assert_eq!((parcel.version, verdict), (6, Duplicate));
    }
    shop.audit().await;
}

/// A report from before the parcel's newest is kept and marked, and moves nothing, whatever it says.
pub async fn an_older_report_is_late(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let (before, _) = shop.track("p-1", OutForDelivery, 10).await;
    for (number, status) in ParcelStatus::ALL.into_iter().enumerate() {
        let (parcel, verdict) = shop.track("p-1", status, 9).await;
        assert_eq!(verdict, Late, "{status:?}");
        assert_eq!((parcel.status, parcel.seen_at, parcel.delivered_at), (before.status, before.seen_at, None));
        assert_eq!(parcel.sightings.len(), number + 2);
        let newest = Sighting { status, seen_at: minute(9), is_late: true };
        assert_eq!(parcel.sightings.last(), Some(&newest));
    }
    assert_eq!(shop.track("p-1", Delivered, 11).await.1, Moved);
    assert_eq!(shop.track("p-1", DeliveryIssue, 10).await.1, Late, "also behind the end");
    let expected = [vec![EventType::TrackingMoved], vec![EventType::TrackingLate; 4]].concat();
    let expected = [expected, vec![EventType::TrackingMoved, EventType::TrackingLate]].concat();
    assert_eq!(shop.parcel_events("p-1").await, expected);
    shop.audit().await;
}

/// A refused report is kept with its reason, and answered the same when it comes again, which keeps nothing.
pub async fn a_refused_report_is_kept_once(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.track("p-1", PickedUp, 0).await;
    for (times, (status, minutes, why)) in (1..).zip([(Delivered, 5, OutOfOrder), (PickedUp, 6, SameStatus)]) {
        for _ in 0..3 {
            let (parcel, verdict) = shop.track("p-1", status, minutes).await;
            assert_eq!((verdict, parcel.refused, parcel.version), (Refused(why), times, times + 1));
            assert_eq!((parcel.status, parcel.seen_at), (PickedUp, minute(0)));
            assert_eq!(parcel.last_refused, Some((status, minute(minutes))));
        }
    }
    let events = shop.backend.queries.parcel_events(&parcel("p-1"), 1).await.expect("events can be read");
    let reasons = events.iter().map(|committed| match &committed.recorded.event {
        Event::TrackingRefused(refused) => refused.reason,
        other => panic!("{other:?} is no refused report"),
    });
    assert!(reasons.eq([OutOfOrder, SameStatus]));
    assert_eq!(shop.track("p-1", OutForDelivery, 6).await.1, Moved, "what was refused holds nothing up");
    shop.audit().await;
}

/// Of two reports of one instant the second is not late; whether it moves the parcel is for the carrier's states to say.
pub async fn equal_instants_are_not_late(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    for (status, expected) in [
        (PickedUp, Moved),
        (OutForDelivery, Moved),
        (PickedUp, Duplicate),
        (DeliveryIssue, Moved),
        (OutForDelivery, Duplicate),
        (Delivered, Moved),
        (Delivered, Duplicate),
    ] {
        assert_eq!(shop.track("p-1", status, 7).await.1, expected, "{status:?}");
    }
    shop.track("p-2", PickedUp, 7).await;
    assert_eq!(shop.track("p-2", Delivered, 7).await.1, Refused(OutOfOrder));
    shop.audit().await;
}

/// Reports of one call about one parcel take effect one after the other, also when the parcel begins with the first of them.
pub async fn reports_of_one_call_follow_each_other(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let steps = [
        (PickedUp, 0, Moved),
        (PickedUp, 0, Duplicate),
        (Delivered, 1, Refused(OutOfOrder)),
        (Delivered, 1, Refused(OutOfOrder)),
        (OutForDelivery, 2, Moved),
        (DeliveryIssue, 1, Late),
        (Delivered, 3, Moved),
        (Delivered, 4, Refused(AlreadyDelivered)),
    ];
    let inputs = steps.map(|(status, minutes, _)| Submission::new(report("p-1", status, minutes)));
    let results = shop.submit(inputs.into()).await;
    let answers = results.iter().map(|result| {
        let outcome = result.as_ref().expect("a report is always answered");
        (verdict(outcome), outcome.changed)
    });
    // Whether an outcome shows the parcel after its own report or after the whole commit is the adapter's choice.
    let answers: Vec<_> = answers.collect();
    let told: Vec<_> = answers.iter().map(|((_, verdict), changed)| (*verdict, *changed)).collect();
    let is_kept = [true, false, true, false, true, true, true, true];
    let expected = steps.iter().zip(is_kept).map(|((_, _, verdict), is_kept)| (*verdict, is_kept));
    assert_eq!(told, expected.collect::<Vec<_>>());
    assert!(answers.windows(2).all(|pair| pair[0].0.0.version <= pair[1].0.0.version), "{answers:?}");
    let now = shop.backend.queries.parcel(&parcel("p-1")).await.expect("readable").expect("it is there");
    assert_eq!((now.version, now.delivered_at, now.refused), (6, Some(minute(3)), 2));
    use EventType::{TrackingLate, TrackingMoved, TrackingRefused};
    let kept = [TrackingMoved, TrackingRefused, TrackingMoved, TrackingLate, TrackingMoved, TrackingRefused];
    assert_eq!(shop.parcel_events("p-1").await, kept);
    shop.audit().await;
}

/// Reports of many parcels in one call, mixed with other inputs, each find their own.
pub async fn parcels_interleave_in_one_call(harness: &dyn Harness) {
    const PARCELS: usize = 40;
    let shop = Shop::open(harness).await;
    shop.sell("apple", 100).await;
    let mut inputs = Vec::new();
    for (minutes, status) in (0..).zip([PickedUp, OutForDelivery, DeliveryIssue, Delivered]) {
        for number in 0..PARCELS {
            inputs.push(Submission::new(report(&format!("p-{number}"), status, minutes)));
        }
        inputs.push(Submission::new(shop.placing(&[("apple", 1)])));
        inputs.push(Submission::new(Input::new(Body::Nothing)));
    }
    let results = shop.submit(inputs).await;
    assert!(results.iter().all(|result| result.as_ref().is_ok_and(|outcome| !outcome.replayed)));
    for (call, chunk) in results.chunks(PARCELS + 2).enumerate() {
        for (number, result) in chunk[..PARCELS].iter().enumerate() {
            let (parcel, verdict) = verdict(result.as_ref().expect("answered"));
            assert_eq!((parcel.id.as_str(), verdict), (format!("p-{number}").as_str(), Moved));
            assert!(parcel.version as usize > call, "at least its own report is in it: {parcel:?}");
        }
        assert!(chunk[PARCELS].as_ref().is_ok_and(|outcome| outcome.order().is_some()));
    }
    let books = shop.audit().await;
    assert!(
        books.parcels.len() == PARCELS && books.parcels.values().all(|parcel| parcel.delivered_at == Some(minute(3)))
    );
}

/// Callers that report the same at once are answered as if one came after the other: the parcel moves once.
pub async fn concurrent_reports_move_a_parcel_once(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    for (minutes, status) in (0..).zip([PickedUp, OutForDelivery, Delivered]) {
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let shop = shop.share();
            callers.spawn(async move {
                let answer = shop.submit(vec![Submission::new(report("p-1", status, minutes))]).await;
                verdict(answer[0].as_ref().expect("a report is always answered")).1
            });
        }
        let verdicts = callers.join_all().await;
        assert_eq!(verdicts.iter().filter(|verdict| **verdict == Moved).count(), 1);
        assert_eq!(verdicts.iter().filter(|verdict| **verdict == Duplicate).count(), 15);
    }
    assert_eq!(shop.audit().await.parcels[&parcel("p-1")].version, 3);
}

/// A parcel takes so many events and no more; what it knows it still knows.
pub async fn a_parcel_takes_so_many_events(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let status = |minutes: u32| if minutes.is_multiple_of(2) { OutForDelivery } else { DeliveryIssue };
    let reports = (0..PARCEL_EVENTS_MAX).map(|minutes| Submission::new(report("p-1", status(minutes), minutes.into())));
    for result in shop.submit(reports.collect()).await {
        assert_eq!(verdict(result.as_ref().expect("answered")).1, Moved);
    }
    let end = shop.end().await;
    for (status, minutes) in [(Delivered, 5_000), (Delivered, 1), (OutForDelivery, 5_000)] {
        let (parcel, verdict) = shop.track("p-1", status, minutes).await;
        assert_eq!((parcel.version, verdict), (PARCEL_EVENTS_MAX, Refused(TooManyEvents)));
    }
    assert_eq!(shop.track("p-1", status(7), 7).await.1, Duplicate);
    assert_eq!(shop.end().await, end, "nothing of it is kept");
    assert_eq!(shop.track("p-2", PickedUp, 0).await.1, Moved, "other parcels have room");
    shop.audit().await;
}

/// A parcel is apart from any order: one of an order's name moves no order by itself, and the carrier's words are kept.
pub async fn a_parcel_is_apart_from_its_order(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let order = shop.place(&[("apple", 1)]).await;
    let order = shop.drive(order.id, Status::Confirmed).await;
    let name = order.id.to_string();
    let correlation_id = CorrelationId::new("scan 17").ok();
    let (parcel_id, seen_at) = (parcel(&name), minute(3));
    let asked = ParcelReport { parcel_id, status: PickedUp, seen_at, correlation_id: correlation_id.clone() };
    let outcome = shop.ask(Input::new(Body::Track(asked))).await.expect("a report is always answered");
    assert_eq!(verdict(&outcome).0.created_at, shop.now());
    let events = shop.backend.queries.parcel_events(&parcel(&name), 0).await.expect("events can be read");
    let Event::TrackingMoved(told) = &events[0].recorded.event else { panic!("{events:?}") };
    assert_eq!((told.status, told.seen_at, &told.correlation_id), (PickedUp, seen_at, &correlation_id));
    assert_eq!(shop.order(order.id).await, order);
    shop.audit().await;
}
