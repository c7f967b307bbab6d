//! New orders are admitted by the count of undecided ones.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ordermill_core::id::OrderId;
use ordermill_core::input::{Body, Input};
use ordermill_core::order::Status;

use crate::conformance::shop::Shop;
use crate::conformance::{Harness, Settings};
use crate::ledger::{Source, Submission, SubmitError};

const ROOM: usize = 4;

/// A shop with room for four undecided orders, all of it taken.
async fn full_shop(harness: &dyn Harness) -> (Shop, Vec<OrderId>) {
    let shop = Shop::open_with(harness, Settings { undecided_max: ROOM, ..Settings::default() }).await;
    shop.sell("apple", 100).await;
    let mut ids = Vec::new();
    for _ in 0..ROOM {
        ids.push(shop.place(&[("apple", 1)]).await.id);
    }
    (shop, ids)
}

/// An order beyond the room waits for up to a second, and is then refused for load, saying when to try again.
pub async fn an_order_beyond_the_room_is_refused_after_a_wait(harness: &dyn Harness) {
    let (shop, _) = full_shop(harness).await;
    for source in [Source::Live, Source::Import] {
        let began = Instant::now();
        let result = shop.backend.ledger.submit_one(source, shop.placing(&[("apple", 1)])).await;
        let Err(SubmitError::Overloaded { retry_after }) = result else {
            panic!("there is no room for it: {result:?}");
        };
        assert!(!retry_after.is_zero());
        assert!(began.elapsed() >= Duration::from_millis(500), "it waits for room: {:?}", began.elapsed());
        assert!(began.elapsed() < Duration::from_secs(10), "it does not wait for ever: {:?}", began.elapsed());
    }
    assert_eq!(shop.audit().await.orders.len(), ROOM);
}

/// Results, cancels and the catalogue are never refused for load: they make room, or take none.
pub async fn everything_else_passes(harness: &dyn Harness) {
    let (shop, ids) = full_shop(harness).await;
    let other = shop.ask(Input::new(Body::PutProduct(shop.product("pear", Some(1))))).await;
    assert!(other.expect("taken").changed);
    shop.drive(ids[0], Status::Confirmed).await;
    shop.cancel(ids[1]).await;
    shop.place(&[("apple", 1)]).await;
    shop.place(&[("apple", 1)]).await;
    let result = shop.backend.ledger.submit_one(Source::Results, shop.placing(&[("apple", 1)])).await;
    assert!(result.expect("results are never refused for load").changed);
    shop.audit().await;
}

/// Whoever waits for room gets it as soon as an order is decided.
pub async fn a_decided_order_makes_room(harness: &dyn Harness) {
    let (shop, ids) = full_shop(harness).await;
    let mut waiting = tokio::task::JoinSet::new();
    let began = Instant::now();
    for _ in 0..ROOM {
        let (ledger, input) = (Arc::clone(&shop.backend.ledger), shop.placing(&[("apple", 1)]));
        waiting.spawn(async move { (ledger.submit_one(Source::Live, input.clone()).await, input) });
    }
    let end = shop.end().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(shop.end().await, end, "they wait");
    let cancels = ids.iter().map(|id| Input::new(Body::Cancel { order_id: *id, reason: "no".into() }));
    let results = shop.backend.ledger.submit(Source::Live, cancels.map(Submission::new).collect()).await;
    assert!(results.iter().all(Result::is_ok));
    // On a machine that took most of a second to get here, they may have been refused before.
    let is_late = began.elapsed() > Duration::from_millis(700);
    for (mut result, input) in waiting.join_all().await {
        if is_late && matches!(result, Err(SubmitError::Overloaded { .. })) {
            result = shop.backend.ledger.submit_one(Source::Live, input).await;
        }
        assert!(result.expect("there is room now").changed);
    }
    assert_eq!(shop.audit().await.orders.len(), 2 * ROOM);
}

/// A call that brings more than there is room for is not refused as a whole: what fits is taken, what needs no room too.
pub async fn what_fits_is_taken(harness: &dyn Harness) {
    let (shop, ids) = full_shop(harness).await;
    shop.cancel(ids[0]).await;
    let cancel = Input::new(Body::Cancel { order_id: ids[1], reason: "no".into() });
    let inputs = [shop.placing(&[("apple", 1)]), cancel];
    let results = shop.submit(inputs.map(Submission::new).into()).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let many: Vec<Submission> = (0..3).map(|_| Submission::new(shop.placing(&[("apple", 1)]))).collect();
    let results = shop.submit(many).await;
    let overloaded = results.iter().filter(|result| matches!(result, Err(SubmitError::Overloaded { .. }))).count();
    let taken = results.iter().filter(|result| result.is_ok()).count();
    assert!(overloaded >= 2 && taken + overloaded == 3, "one fits at most: {results:?}");
    let books = shop.audit().await;
    let undecided = books.orders.values().filter(|order| order.status.is_undecided()).count();
    assert_eq!(undecided, ROOM - 1 + taken);
}
