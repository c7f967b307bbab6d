//! Waiting for an order to change.

use std::sync::Arc;
use std::time::Duration;

use ordermill_core::order::Status;

use crate::conformance::Harness;
use crate::conformance::shop::{QUIET, Shop};
use crate::ledger::Source;

/// An order that has changed already is given at once, as it is now.
pub async fn a_change_that_has_happened_is_given_at_once(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let id = shop.place(&[("apple", 1)]).await.id;
    let confirmed = shop.drive(id, Status::Confirmed).await;
    for after in [0, 1, confirmed.version - 1] {
        let seen = shop.backend.queries.order_changed(id, after).await.expect("orders can be read");
        assert_eq!(seen, confirmed);
    }
}

/// Everybody who waits for a change is told of it, and nobody sooner.
pub async fn a_change_that_comes_is_told_to_all(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let order = shop.place(&[("apple", 1)]).await;
    let other = shop.place(&[("apple", 1)]).await;
    let mut watchers = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (queries, after, id) = (Arc::clone(&shop.backend.queries), order.version, order.id);
        watchers.spawn(async move { queries.order_changed(id, after).await.expect("orders can be read") });
    }
    tokio::time::sleep(QUIET).await;
    shop.cancel(other.id).await;
    assert!(tokio::time::timeout(QUIET, watchers.join_next()).await.is_err(), "another order is no news");
    let cancelled = shop.cancel(order.id).await;
    for seen in watchers.join_all().await {
        assert_eq!(seen, cancelled);
    }
}

/// A wait for an order that is placed later ends with it.
pub async fn an_order_can_be_awaited_before_it_is_placed(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let request = shop.request(&[("apple", 1)]);
    let (queries, id) = (Arc::clone(&shop.backend.queries), request.order_id);
    let waiting = tokio::spawn(async move { queries.order_changed(id, 0).await.expect("orders can be read") });
    tokio::time::sleep(QUIET).await;
    assert!(!waiting.is_finished());
    let placed = shop.place_request(request).await;
    assert_eq!(waiting.await.expect("the wait ends"), placed);
}

/// A wait that is given up leaves nothing behind: the order can be awaited again, and others go on waiting.
pub async fn a_wait_can_be_given_up(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let order = shop.place(&[("apple", 1)]).await;
    let (queries, id, after) = (Arc::clone(&shop.backend.queries), order.id, order.version);
    let patient = tokio::spawn(async move { queries.order_changed(id, after).await.expect("orders can be read") });
    for _ in 0..50 {
        let wait = shop.backend.queries.order_changed(order.id, order.version);
        let ended = tokio::time::timeout(Duration::from_millis(1), wait).await;
        assert!(ended.is_err(), "nothing has changed");
    }
    let cancelled = shop.cancel(order.id).await;
    assert_eq!(patient.await.expect("the wait ends"), cancelled);
}

/// Step by step, a watcher that always waits behind the last version it saw misses no end, however fast it goes.
pub async fn a_watcher_sees_the_end(harness: &dyn Harness) {
    const ORDERS: usize = 50;
    let shop = Shop::open(harness).await;
    shop.sell("apple", 1_000).await;
    let mut watchers = tokio::task::JoinSet::new();
    for _ in 0..ORDERS {
        let request = shop.request(&[("apple", 1)]);
        let (watching, acting, id) = (shop.share(), shop.share(), request.order_id);
        watchers.spawn(async move {
            let mut version = 0;
            loop {
                let order = watching.backend.queries.order_changed(id, version).await.expect("orders can be read");
                assert!(order.version > version, "a change raises the version");
                version = order.version;
                if order.status == Status::Cancelled {
                    return;
                }
            }
        });
        watchers.spawn(async move {
            use ordermill_core::input::{Body, Input, PaymentResult};
            let ledger = &acting.backend.ledger;
            let placed = ledger.submit_one(Source::Live, Input::new(Body::Place(Box::new(request)))).await;
            let order = Arc::clone(placed.expect("taken").order().expect("an order"));
            let key = ordermill_core::payment::due_request(&order).expect("the authorize is due").key;
            let answer = crate::conformance::shop::succeeded();
            let paid = Body::PaymentResult(PaymentResult { key, answer });
            for body in [paid, Body::Reserve { order_id: id }, Body::Cancel { order_id: id, reason: "no".into() }] {
                let outcome = ledger.submit_one(Source::Results, Input::new(body)).await;
                assert!(outcome.expect("taken").changed);
            }
        });
    }
    watchers.join_all().await;
    shop.audit().await;
}
