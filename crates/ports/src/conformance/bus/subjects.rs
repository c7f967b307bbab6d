//! The roles that follow parcels and store records: they are told as all others are.

use jiff::SignedDuration;
use ordermill_core::event::{EventType, Subject};
use ordermill_core::input::{Body, Input};
use ordermill_core::parcel::ParcelStatus;
use ordermill_core::process::Role;

use crate::bus::{Delivery, Lag};
use crate::conformance::Harness;
use crate::conformance::shop::{Shop, parcel, record, stored};
use crate::ledger::{Source, Submission};

/// The tracking role hears of every move, with the parcel's name and the version of the event, and of nothing else.
pub async fn tracking_hears_of_moves_alone(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.track("p-1", ParcelStatus::PickedUp, 10).await;
    shop.track("p-1", ParcelStatus::OutForDelivery, 5).await;
    shop.track("p-1", ParcelStatus::Delivered, 20).await;
    shop.track("p-1", ParcelStatus::PickedUp, 10).await;
    shop.track("p-1", ParcelStatus::OutForDelivery, 30).await;
    shop.track("p-2", ParcelStatus::Delivered, 1).await;
    let told = shop.receive_all(Role::Tracking, 3).await;
    let heard: Vec<_> =
        told.iter().map(|delivery| (delivery.subject.clone(), delivery.version, delivery.kind)).collect();
    let moved = |id: &str, version| (Subject::Parcel(parcel(id)), version, EventType::TrackingMoved);
    // Late the second, refused the third, known the fourth.
    assert_eq!(heard, [moved("p-1", 1), moved("p-1", 4), moved("p-2", 1)]);
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Tracking) {
        shop.assert_quiet(role).await;
    }
    shop.settle(told.into_iter().map(Delivery::ack)).await;
    assert_eq!(shop.backend.bus.lag(Role::Tracking).await.expect("readable"), Lag::default());
}

/// A receiver that waits is woken by the parcel it waits for.
pub async fn a_move_wakes_the_receiver(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let receiving = shop.share();
    let waiting = tokio::spawn(async move { receiving.receive(Role::Tracking, 10).await });
    shop.take_record("no parcel").await;
    shop.assert_quiet(Role::Payments).await;
    assert!(!waiting.is_finished(), "a record is no parcel");
    shop.track("p-1", ParcelStatus::PickedUp, 0).await;
    let woken = tokio::time::timeout(shop.patience, waiting).await.expect("it is woken");
    assert_eq!(woken.expect("it ends well")[0].subject, Subject::Parcel(parcel("p-1")));
}

/// What tracking does to an order and the word on the delivery are one commit; what cannot be done now is parked, given up,
/// redriven.
pub async fn a_move_is_parked_given_up_and_redriven(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let order = shop.place(&[("apple", 1)]).await;
    shop.drive(order.id, ordermill_core::order::Status::Confirmed).await;
    shop.track(&order.id.to_string(), ParcelStatus::PickedUp, 0).await;
    let first = shop.receive(Role::Tracking, 10).await.remove(0);
    shop.settle([first.clone().retry(shop.now() + SignedDuration::from_secs(5), "not yet".to_owned())]).await;
    shop.assert_quiet(Role::Tracking).await;
    assert_eq!(shop.backend.bus.lag(Role::Tracking).await.expect("readable").parked, 1);
    shop.advance(SignedDuration::from_secs(5));
    let second = shop.receive(Role::Tracking, 10).await.remove(0);
    assert_eq!(second, Delivery { tries: 1, ..first.clone() });
    shop.settle([second.dead_letter("no such order".to_owned())]).await;
    let letters = shop.backend.bus.dead_letters(None, 10).await.expect("readable");
    assert_eq!((letters.len(), &letters[0].delivery), (1, &Delivery { tries: 2, ..first.clone() }));
    assert_eq!(shop.backend.bus.redrive(&[letters[0].id]).await.expect("redriven"), [letters[0].id]);
    let again = shop.receive(Role::Tracking, 10).await.remove(0);
    assert_eq!(again, first);
    let moved = Body::ParcelMoved { order_id: order.id, status: ParcelStatus::PickedUp, seen_at: shop.now() };
    let effect = Submission::settling(Input::new(moved).caused_by(again.version), again.ack());
    let results = shop.backend.ledger.submit(Source::Results, vec![effect]).await;
    assert!(results[0].as_ref().is_ok_and(|outcome| outcome.changed), "{results:?}");
    shop.assert_quiet(Role::Tracking).await;
    assert_eq!(shop.order(order.id).await.parcel, Some(ParcelStatus::PickedUp));
    shop.audit().await;
}

/// The records role hears once of every record, and not of its own success; what it did and the word on it are one commit.
pub async fn a_record_is_told_once(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let mut taken = Vec::new();
    for text in ["one", "two", "three"] {
        taken.push(shop.take_record(text).await.id);
    }
    let told = shop.receive_all(Role::Records, 3).await;
    let ids = told.iter().map(|delivery| delivery.subject.clone());
    assert!(ids.eq(taken.iter().copied().map(Subject::Record)), "{told:?}");
    let [first, second, third] = [0, 1, 2].map(|index: usize| told[index].clone());
    let done = Body::RecordStored { record_id: taken[0], stored: stored(1) };
    let due = shop.now() + SignedDuration::from_secs(5);
    let results = shop
        .submit(vec![
            Submission::settling(Input::new(done), first.ack()),
            Submission::settle(second.clone().retry(due, "no room".to_owned())),
            Submission::settle(third.clone().dead_letter("no bucket".to_owned())),
        ])
        .await;
    let outcome = results[0].as_ref().expect("a record that is there can be stored");
    assert!(outcome.changed && record(outcome).stored.is_some());
    shop.assert_quiet(Role::Records).await;
    shop.advance(SignedDuration::from_secs(5));
    assert_eq!(shop.receive_all(Role::Records, 1).await, [Delivery { tries: 1, ..second }]);
    let letters = shop.backend.bus.dead_letters(None, 10).await.expect("readable");
    assert_eq!((letters.len(), letters[0].reason.as_str()), (1, "no bucket"));
    assert_eq!(letters[0].delivery, Delivery { tries: 1, ..third });
    shop.audit().await;
}
