//! What a settlement does.

use std::sync::Arc;

use jiff::SignedDuration;
use ordermill_core::input::{Body, Input, PaymentResult};
use ordermill_core::order::Status;
use ordermill_core::payment::due_request;
use ordermill_core::process::Role;

use crate::bus::{Delivery, Lag};
use crate::conformance::Harness;
use crate::conformance::shop::{Shop, succeeded};
use crate::ledger::{Source, Submission, SubmitError};

const MOMENT: SignedDuration = SignedDuration::from_micros(1);

/// A shop with these many placed orders, and their deliveries to the payments role.
async fn received(harness: &dyn Harness, orders: usize) -> (Shop, Vec<Delivery>) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 1_000).await;
    for _ in 0..orders {
        shop.place(&[("apple", 1)]).await;
    }
    let deliveries = shop.receive_all(Role::Payments, orders).await;
    assert_eq!(deliveries.len(), orders);
    (shop, deliveries)
}

/// An effect and its acknowledgement are one commit: where the one is, the other is.
pub async fn an_effect_takes_its_delivery_along(harness: &dyn Harness) {
    let (shop, deliveries) = received(harness, 3).await;
    let mut submissions = Vec::new();
    for delivery in deliveries {
        let ordermill_core::event::Subject::Order(id) = delivery.subject else { panic!("{delivery:?} is of no order") };
        let key = due_request(&*shop.order(id).await).expect("the authorize is due").key;
        let result = Body::PaymentResult(PaymentResult { key, answer: succeeded() });
        submissions.push(Submission::settling(Input::new(result), delivery.ack()));
    }
    let results = shop.backend.ledger.submit(Source::Results, submissions).await;
    assert!(results.iter().all(|result| result.as_ref().is_ok_and(|outcome| outcome.changed)));
    shop.assert_quiet(Role::Payments).await;
    assert_eq!(shop.receive_all(Role::Inventory, 3).await.len(), 3);
    shop.audit().await;
}

/// A refused input changes nothing, but its settlement counts: the delivery is dealt with.
pub async fn a_refused_input_settles_all_the_same(harness: &dyn Harness) {
    let (shop, mut deliveries) = received(harness, 2).await;
    let events = shop.end().await;
    let refused = || Input::new(Body::Cancel { order_id: shop.order_id(), reason: "no".into() });
    let due = shop.now() + SignedDuration::from_secs(5);
    let retried = Submission::settling(refused(), deliveries.remove(1).retry(due, "later".to_owned()));
    let acknowledged = Submission::settling(refused(), deliveries.remove(0).ack());
    for result in shop.submit(vec![acknowledged, retried]).await {
        assert!(matches!(result, Err(SubmitError::Refused(_))), "{result:?}");
    }
    assert_eq!(shop.end().await, events);
    shop.assert_quiet(Role::Payments).await;
    shop.advance(SignedDuration::from_secs(5));
    assert_eq!(shop.receive_all(Role::Payments, 1).await.len(), 1);
}

/// An input that changes nothing settles, too.
pub async fn an_unchanged_input_settles(harness: &dyn Harness) {
    let (shop, mut deliveries) = received(harness, 1).await;
    let delivery = deliveries.remove(0);
    let ordermill_core::event::Subject::Order(order_id) = delivery.subject else { panic!("{delivery:?}") };
    let reserve = Submission::settling(Input::new(Body::Reserve { order_id }), delivery.ack());
    let results = shop.submit(vec![reserve]).await;
    assert!(results[0].as_ref().is_ok_and(|outcome| !outcome.changed));
    shop.assert_quiet(Role::Payments).await;
    assert_eq!(shop.order(order_id).await.status, Status::Placed);
}

/// A delivery that waits comes again when it is due, not a moment sooner, with one try more each time.
pub async fn a_retry_comes_when_it_is_due(harness: &dyn Harness) {
    let (shop, mut deliveries) = received(harness, 1).await;
    let first = deliveries.remove(0);
    let mut delivery = first.clone();
    for tries in 1..=4 {
        let wait = SignedDuration::from_secs(10 * i64::from(tries));
        shop.settle([delivery.retry(shop.now() + wait, "the provider is away".to_owned())]).await;
        shop.advance(wait - MOMENT);
        shop.assert_quiet(Role::Payments).await;
        shop.advance(MOMENT);
        let again = shop.receive_all(Role::Payments, 1).await;
        assert_eq!(again, [Delivery { tries, ..first.clone() }]);
        delivery = again[0].clone();
    }
    shop.settle([delivery.ack()]).await;
    shop.advance(SignedDuration::from_hours(24));
    shop.assert_quiet(Role::Payments).await;
}

/// A retry that is due already comes at once.
pub async fn a_retry_without_a_wait_comes_at_once(harness: &dyn Harness) {
    let (shop, mut deliveries) = received(harness, 1).await;
    let delivery = deliveries.remove(0);
    shop.settle([delivery.clone().retry(shop.now(), "again".to_owned())]).await;
    let again = shop.receive(Role::Payments, 10).await;
    assert_eq!(again, [Delivery { tries: 1, ..delivery }]);
}

/// A receiver that was waiting before a delivery was parked is woken when that one is due.
pub async fn a_retry_wakes_the_receiver(harness: &dyn Harness) {
    let (shop, mut deliveries) = received(harness, 1).await;
    let delivery = deliveries.remove(0);
    let bus = Arc::clone(&shop.backend.bus);
    let waiting = tokio::spawn(async move { bus.receive(Role::Payments, 10).await.expect("receivable") });
    shop.assert_quiet(Role::Inventory).await;
    shop.settle([delivery.clone().retry(shop.now(), "again".to_owned())]).await;
    let woken = tokio::time::timeout(shop.patience, waiting).await.expect("it is woken");
    assert_eq!(woken.expect("it ends well"), [Delivery { tries: 1, ..delivery }]);
}

/// A parked delivery that is handed out again can be given back, and keeps its tries.
pub async fn a_retry_can_be_given_back(harness: &dyn Harness) {
    let (shop, mut deliveries) = received(harness, 1).await;
    shop.settle([deliveries.remove(0).retry(shop.now(), "again".to_owned())]).await;
    let second = shop.receive(Role::Payments, 10).await;
    shop.backend.bus.give_back(second.clone()).await;
    assert_eq!(shop.receive(Role::Payments, 10).await, second);
    shop.assert_quiet(Role::Payments).await;
}

/// Parked deliveries wait each for its own time, and hold up nothing that is new.
pub async fn parked_deliveries_hold_up_nothing(harness: &dyn Harness) {
    let (shop, deliveries) = received(harness, 5).await;
    let due = |minutes| shop.now() + SignedDuration::from_mins(minutes);
    // The first waits longest.
    let settlements = deliveries
        .iter()
        .cloned()
        .zip([5, 4, 3, 2, 1])
        .map(|(delivery, minutes)| delivery.retry(due(minutes), "busy".to_owned()));
    shop.settle(settlements).await;
    let new = shop.place(&[("apple", 1)]).await;
    let fresh = shop.receive_all(Role::Payments, 1).await;
    assert_eq!(
        fresh.iter().map(|delivery| delivery.subject.clone()).collect::<Vec<_>>(),
        [ordermill_core::event::Subject::Order(new.id)]
    );
    for first in deliveries.iter().rev() {
        shop.advance(SignedDuration::from_mins(1));
        assert_eq!(shop.receive_all(Role::Payments, 1).await, [Delivery { tries: 1, ..first.clone() }]);
    }
}

/// The same settlement twice, in one call or in two, does what one does.
pub async fn a_settlement_may_come_twice(harness: &dyn Harness) {
    let (shop, deliveries) = received(harness, 3).await;
    let [acked, retried, dead] = [0, 1, 2].map(|index: usize| deliveries[index].clone());
    let due = shop.now() + SignedDuration::from_secs(60);
    let settlements = [
        acked.ack(),
        retried.clone().retry(due, "busy".to_owned()),
        dead.clone().dead_letter("no such thing".to_owned()),
    ];
    shop.settle(settlements.iter().chain(&settlements).cloned()).await;
    shop.settle(settlements.clone()).await;
    shop.backend.bus.settled(&settlements).await.expect("a bus may be told");
    shop.assert_quiet(Role::Payments).await;
    assert_eq!(shop.backend.bus.dead_letters(None, 10).await.expect("readable").len(), 1);
    shop.advance(SignedDuration::from_secs(60));
    assert_eq!(shop.receive_all(Role::Payments, 1).await, [Delivery { tries: 1, ..retried }]);
}

/// Each role settles for itself.
pub async fn roles_settle_apart(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let order = shop.place(&[("apple", 1)]).await;
    shop.drive(order.id, Status::Confirmed).await;
    let mails = shop.receive_all(Role::Notifications, 1).await;
    let archive = shop.receive_all(Role::Archive, 1).await;
    let shared = mails.iter().filter(|mail| archive.iter().any(|entry| entry.position == mail.position)).count();
    assert!(shared > 0, "some event goes to both");
    shop.settle(mails.into_iter().map(Delivery::ack)).await;
    shop.backend.bus.give_back(archive.clone()).await;
    assert_eq!(shop.receive_all(Role::Archive, archive.len()).await.len(), archive.len());
    shop.assert_quiet(Role::Notifications).await;
    assert_eq!(shop.backend.bus.lag(Role::Notifications).await.expect("readable").oldest, Lag::default().oldest);
}
