//! The idempotency contract.

use std::sync::Arc;

use jiff::SignedDuration;
use ordermill_core::id::OrderId;
use ordermill_core::input::{Body, Input};
use ordermill_core::order::Status;
use ordermill_core::refusal::Refusal;

use crate::conformance::Harness;
use crate::conformance::shop::{Shop, key, product};
use crate::ledger::{Outcome, OutcomeSubject, Source, Submission, SubmitError};

/// An input to place an order of one unit, under an order id of its own, as a caller sends it again.
fn placing(shop: &Shop, name: &str, request: &str) -> Input {
    shop.placing(&[("apple", 1)]).with_key(Some(key(name, request)))
}

fn order_of(outcome: &Outcome) -> OrderId {
    outcome.order().expect("it is about an order").id
}

/// The same key with the same body gives the first answer, as the order is now, and nothing happens twice.
pub async fn the_same_key_gives_the_first_answer(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let first = shop.ask(placing(&shop, "key-1", "one apple")).await.expect("taken");
    assert!(first.changed && !first.replayed);
    shop.drive(order_of(&first), Status::Reserved).await;
    let again = shop.ask(placing(&shop, "key-1", "one apple")).await.expect("answered as before");
    assert!(again.replayed && !again.changed);
    assert_eq!(order_of(&again), order_of(&first));
    assert_eq!(again.order().expect("an order").status, Status::Reserved);
    assert_eq!(shop.audit().await.orders.len(), 1);
}

/// The same key with another body is refused, and the first answer stays.
pub async fn the_same_key_with_another_body_is_refused(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let first = shop.ask(placing(&shop, "key-1", "one apple")).await.expect("taken");
    let other = shop.ask(placing(&shop, "key-1", "one pear")).await;
    assert_eq!(other.err(), Some(Refusal::IdempotencyKeyReused));
    let again = shop.ask(placing(&shop, "key-1", "one apple")).await.expect("answered as before");
    assert_eq!(order_of(&again), order_of(&first));
    assert_eq!(shop.audit().await.orders.len(), 1);
}

/// Twins that come at once make one order, and all are answered with it.
pub async fn concurrent_twins_make_one_order(harness: &dyn Harness) {
    const TWINS: usize = 32;
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let mut twins = tokio::task::JoinSet::new();
    for _ in 0..TWINS {
        let (ledger, input) = (Arc::clone(&shop.backend.ledger), placing(&shop, "key-1", "one apple"));
        twins.spawn(async move { ledger.submit_one(Source::Live, input).await.expect("every twin is answered") });
    }
    let outcomes = twins.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.changed).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| outcome.replayed).count(), TWINS - 1);
    assert!(outcomes.iter().all(|outcome| order_of(outcome) == order_of(&outcomes[0])));
    assert_eq!(shop.audit().await.orders.len(), 1);
}

/// Twins in one call make one order; another body under the key is refused beside them.
pub async fn twins_in_one_call_make_one_order(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let inputs = ["one apple", "one apple", "one pear", "one apple"].map(|request| placing(&shop, "key-1", request));
    let results = shop.submit(inputs.map(Submission::new).into()).await;
    let reused = Err(SubmitError::Refused(Refusal::IdempotencyKeyReused));
    let seen = results.iter().map(|result| result.as_ref().map(|outcome| outcome.replayed));
    let expected = [Ok(false), Ok(true), reused, Ok(true)];
    for (seen, expected) in seen.zip(&expected) {
        assert_eq!(format!("{seen:?}"), format!("{:?}", expected.as_ref()));
    }
    assert_eq!(shop.audit().await.orders.len(), 1);
}

/// A refused request leaves its key free.
pub async fn a_refused_request_leaves_its_key_free(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.ask(placing(&shop, "key-1", "one apple")).await.expect_err("there is no such product yet");
    shop.sell("apple", 10).await;
    let taken = shop.ask(placing(&shop, "key-1", "two apples")).await.expect("the key was not used");
    assert!(taken.changed && !taken.replayed);
    shop.audit().await;
}

/// A key is free again when its time is over, not a moment earlier.
pub async fn a_key_expires(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let first = shop.ask(placing(&shop, "key-1", "one apple")).await.expect("taken");
    let expires_at = first.order().expect("an order").created_at + shop.settings.policy.idempotency_ttl;
    assert_eq!(first.key_expires_at, Some(expires_at));
    shop.drive(order_of(&first), Status::Confirmed).await;
    shop.advance(shop.settings.policy.idempotency_ttl - SignedDuration::from_micros(1));
    let again = shop.ask(placing(&shop, "key-1", "one apple")).await.expect("answered as before");
    assert!(again.replayed);
    assert_eq!(again.key_expires_at, Some(expires_at));
    shop.advance(SignedDuration::from_micros(1));
    let second = shop.ask(placing(&shop, "key-1", "one pear")).await.expect("the key is free");
    assert!(second.changed && !second.replayed);
    assert_ne!(order_of(&second), order_of(&first));
    let again = shop.ask(placing(&shop, "key-1", "one pear")).await.expect("answered with the second");
    assert_eq!((order_of(&again), again.replayed), (order_of(&second), true));
    assert_eq!(shop.audit().await.orders.len(), 2);
}

/// While its order is undecided a key is kept beyond its time: whoever asks again must not get a second order.
pub async fn an_undecided_order_keeps_its_key(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let first = shop.ask(placing(&shop, "key-1", "one apple")).await.expect("taken");
    shop.advance(shop.settings.policy.idempotency_ttl * 3);
    let again = shop.ask(placing(&shop, "key-1", "one apple")).await.expect("answered as before");
    assert_eq!((order_of(&again), again.replayed), (order_of(&first), true));
    let other = shop.ask(placing(&shop, "key-1", "one pear")).await;
    assert_eq!(other.err(), Some(Refusal::IdempotencyKeyReused));
    shop.cancel(order_of(&first)).await;
    let second = shop.ask(placing(&shop, "key-1", "one pear")).await.expect("the key is free");
    assert_ne!(order_of(&second), order_of(&first));
    shop.audit().await;
}

/// A change of stock under a key is made once, and answered with the stock as it was then.
pub async fn a_stock_change_is_made_once(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let adjust = || {
        let body = Body::AdjustStock {
            product_id: product("apple"),
            delta: -4,
            reason: "lost".into(),
            expected_version: None,
        };
        Input::new(body).with_key(Some(key("key-1", "four lost")))
    };
    shop.ask(adjust()).await.expect("taken");
    let set = Body::SetStock { product_id: product("apple"), available: 50, expected_version: None };
    shop.ask(Input::new(set)).await.expect("taken");
    let again = shop.ask(adjust()).await.expect("answered as before");
    assert!(again.replayed && !again.changed);
    let OutcomeSubject::Stock(level) = &again.subject else { panic!("{again:?} is not about stock") };
    assert_eq!((level.available, level.version), (6, 2));
    assert_eq!(shop.units("apple").await, (50, 0, 0));
    shop.audit().await;
}

/// A refund under a key is asked for once.
pub async fn a_refund_is_asked_for_once(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 1).await;
    let order = shop.place(&[("apple", 1)]).await;
    shop.drive(order.id, Status::Confirmed).await;
    let refund = || {
        let body = Body::Refund { order_id: order.id, amount_minor: Some(500), reason: "bruised".into() };
        Input::new(body).with_key(Some(key("key-1", "five dollars")))
    };
    let first = shop.ask(refund()).await.expect("taken");
    let again = shop.ask(refund()).await.expect("answered as before");
    assert!(first.changed && again.replayed);
    assert_eq!(shop.order(order.id).await.payment.refunds_pending(), 500);
    shop.audit().await;
}

/// Different keys with the same body are different orders.
pub async fn another_key_is_another_order(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let first = shop.ask(placing(&shop, "key-1", "one apple")).await.expect("taken");
    let second = shop.ask(placing(&shop, "Key-1", "one apple")).await.expect("case counts in keys");
    assert_ne!(order_of(&first), order_of(&second));
    assert_eq!(shop.audit().await.orders.len(), 2);
}
