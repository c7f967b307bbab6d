//! The feed of all events.

use ordermill_core::event::Subject;
use ordermill_core::input::{Body, Input};
use ordermill_core::order::Status;

use crate::conformance::Harness;
use crate::conformance::shop::Shop;
use crate::ledger::{Source, Submission};
use crate::queries::Position;

/// The feed holds everything in order, can be read on from any place, and is empty at its end.
pub async fn the_feed_can_be_resumed_anywhere(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let feed = async |after, limit| shop.backend.queries.feed(after, limit).await.expect("the feed can be read");
    assert!(feed(Position(0), 10).await.is_empty());
    shop.sell("apple", 10).await;
    for _ in 0..3 {
        let id = shop.place(&[("apple", 1)]).await.id;
        shop.drive(id, Status::Confirmed).await;
    }
    let all = shop.feed(Position(0)).await;
    assert_eq!(all.len(), 2 + 3 * 5);
    assert!(all[0].0 > Position(0));
    for (index, (position, _)) in all.iter().enumerate() {
        for limit in [1, 4, 100] {
            let next: Vec<_> = feed(*position, limit).await.into_iter().map(|event| event.recorded).collect();
            let expected: Vec<_> = all[index + 1..].iter().take(limit).map(|(_, recorded)| recorded.clone()).collect();
            assert_eq!(next, expected);
        }
    }
    assert!(feed(Position(u64::from(u32::MAX)), 10).await.is_empty());
}

/// The events of an order and those of the feed are the same, at the same positions.
pub async fn an_orders_events_are_those_of_the_feed(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let ids = [shop.place(&[("apple", 1)]).await.id, shop.place(&[("apple", 2)]).await.id];
    for status in [Status::Authorized, Status::Reserved, Status::Confirmed] {
        for id in ids {
            shop.drive(id, status).await;
        }
    }
    for id in ids {
        let own = shop.backend.queries.order_events(id, 0).await.expect("events can be read");
        let own: Vec<_> = own.into_iter().map(|event| (event.position, event.recorded)).collect();
        let feed = shop.feed(Position(0)).await;
        let of_feed: Vec<_> = feed.into_iter().filter(|(_, event)| event.subject == Subject::Order(id)).collect();
        assert_eq!(own, of_feed);
    }
}

/// Eight callers commit while one reads: the reader sees every event once, rising, each order's in order, and none appears later
/// behind a position that was read past.
pub async fn nothing_is_skipped_while_others_commit(harness: &dyn Harness) {
    const CALLERS: usize = 8;
    const CALLS: usize = 30;
    const ORDERS: usize = 5;
    let shop = Shop::open(harness).await;
    shop.sell("apple", 100_000).await;
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..CALLERS {
        let shop = shop.share();
        callers.spawn(async move {
            for _ in 0..CALLS {
                let mut inputs = Vec::new();
                for _ in 0..ORDERS {
                    let place = shop.request(&[("apple", 1)]);
                    let cancel = Body::Cancel { order_id: place.order_id, reason: "no".into() };
                    inputs.push(Input::new(Body::Place(Box::new(place))));
                    inputs.push(Input::new(cancel));
                }
                let submissions = inputs.into_iter().map(Submission::new).collect();
                let results = shop.backend.ledger.submit(Source::Live, submissions).await;
                assert!(results.iter().all(Result::is_ok));
            }
        });
    }
    let expected = 2 + CALLERS * CALLS * ORDERS * 2;
    let mut seen = Vec::new();
    while seen.len() < expected {
        let after = seen.last().map_or(Position(0), |(position, _)| *position);
        seen.extend(shop.feed(after).await);
        tokio::task::yield_now().await;
    }
    callers.join_all().await;
    assert_eq!(seen, shop.feed(Position(0)).await, "what was read while it grew is what is there");
    assert_eq!(seen.len(), expected);
    shop.audit().await;
}
