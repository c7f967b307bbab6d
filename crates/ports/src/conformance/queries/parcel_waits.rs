//! Waiting for a parcel, and for the feed.

use std::sync::Arc;
use std::time::Duration;

use ordermill_core::input::{Body, Input};
use ordermill_core::parcel::ParcelStatus;

use crate::conformance::Harness;
use crate::conformance::shop::{QUIET, Shop, parcel, report};
use crate::ledger::Submission;
use crate::queries::Position;
use ParcelStatus::{Delivered, DeliveryIssue, OutForDelivery, PickedUp};

/// A parcel that has changed already is given at once, as it is now.
pub async fn a_move_that_has_happened_is_given_at_once(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.track("p-1", PickedUp, 0).await;
    shop.track("p-1", OutForDelivery, 1).await;
    let (now, _) = shop.track("p-1", Delivered, 2).await;
    for after in [0, 1, 2] {
        let seen = shop.backend.queries.parcel_changed(&parcel("p-1"), after).await.expect("readable");
        assert_eq!(seen, now);
    }
}

/// Everybody who waits for a parcel is told, also before it was ever seen, and nobody for another; each kept report is news, and a
/// known one is none.
pub async fn a_move_that_comes_is_told_to_all(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let mut after = 0;
    for (status, minutes) in [(OutForDelivery, 5), (DeliveryIssue, 3), (PickedUp, 9), (Delivered, 10)] {
        let mut watchers = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let queries = Arc::clone(&shop.backend.queries);
            watchers.spawn(async move { queries.parcel_changed(&parcel("p-1"), after).await.expect("readable") });
        }
        tokio::time::sleep(QUIET).await;
        shop.track("p-2", status, minutes).await;
        if after > 0 {
            shop.track("p-1", OutForDelivery, 5).await;
        }
        assert!(tokio::time::timeout(QUIET, watchers.join_next()).await.is_err(), "nothing has happened to it");
        let (now, _) = shop.track("p-1", status, minutes).await;
        assert_eq!(now.version, after + 1);
        for seen in watchers.join_all().await {
            assert_eq!(seen, now);
        }
        after = now.version;
    }
}

/// A wait that is given up leaves nothing behind: the parcel can be awaited again, and others go on waiting.
pub async fn a_wait_for_a_parcel_can_be_given_up(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let queries = Arc::clone(&shop.backend.queries);
    let patient = tokio::spawn(async move { queries.parcel_changed(&parcel("p-1"), 0).await.expect("readable") });
    for _ in 0..50 {
        let id = parcel("p-1");
        let wait = shop.backend.queries.parcel_changed(&id, 0);
        assert!(tokio::time::timeout(Duration::from_millis(1), wait).await.is_err(), "nothing has changed");
    }
    let (seen, _) = shop.track("p-1", PickedUp, 0).await;
    assert_eq!(patient.await.expect("the wait ends"), seen);
}

/// A watcher that always waits behind the last version it saw misses no end, however fast the parcels go.
pub async fn a_watcher_sees_the_delivery(harness: &dyn Harness) {
    const PARCELS: usize = 50;
    let shop = Shop::open(harness).await;
    let mut watchers = tokio::task::JoinSet::new();
    for number in 0..PARCELS {
        let (watching, acting) = (shop.share(), shop.share());
        let id = format!("p-{number}");
        let awaited = parcel(&id);
        watchers.spawn(async move {
            let mut version = 0;
            loop {
                let parcel = watching.backend.queries.parcel_changed(&awaited, version).await.expect("readable");
                assert!(parcel.version > version, "a change raises the version");
                version = parcel.version;
                if parcel.status == Delivered {
                    return;
                }
            }
        });
        watchers.spawn(async move {
            for (minutes, status) in (0..).zip([PickedUp, OutForDelivery, Delivered]) {
                let answers = acting.submit(vec![Submission::new(report(&id, status, minutes))]).await;
                assert!(answers[0].as_ref().is_ok_and(|outcome| outcome.changed));
            }
        });
    }
    watchers.join_all().await;
    shop.audit().await;
}

/// The head is the position of the newest event, from 0 on.
pub async fn the_head_is_the_newest_position(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let head = async || shop.backend.queries.head().await.expect("the head can be read");
    assert_eq!(head().await, Position(0));
    shop.sell("apple", 10).await;
    assert_eq!(head().await, shop.end().await);
    shop.track("p-1", PickedUp, 0).await;
    shop.take_record("text").await;
    shop.put_customer(shop.customer("c-1")).await;
    let end = head().await;
    assert_eq!(end, shop.end().await);
    shop.track("p-1", PickedUp, 0).await;
    assert_eq!(head().await, end, "what changes nothing is no event");
}

/// Whoever waits behind the head is told of the next event of any kind, and not sooner; behind any earlier place there is one.
pub async fn growth_is_told(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    for round in 0..4 {
        let head = shop.backend.queries.head().await.expect("the head can be read");
        for earlier in 0..head.0 {
            shop.backend.queries.feed_grown(Position(earlier)).await.expect("there is an event behind it");
        }
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..5 {
            let queries = Arc::clone(&shop.backend.queries);
            waiting.spawn(async move { queries.feed_grown(head).await.expect("the feed can be read") });
        }
        assert!(tokio::time::timeout(QUIET, waiting.join_next()).await.is_err(), "nothing has happened");
        for _ in 0..20 {
            let wait = shop.backend.queries.feed_grown(head);
            assert!(tokio::time::timeout(Duration::from_millis(1), wait).await.is_err(), "a wait can be given up");
        }
        shop.submit(vec![Submission::new(Input::new(Body::Nothing))]).await;
        assert!(tokio::time::timeout(QUIET, waiting.join_next()).await.is_err(), "that was nothing");
        match round {
            0 => drop(shop.place(&[("apple", 1)]).await),
            1 => drop(shop.track("p-1", PickedUp, 0).await),
            2 => drop(shop.put_customer(shop.customer("c-1")).await),
            _ => drop(shop.take_record("text").await),
        }
        waiting.join_all().await;
    }
}

/// A reader that waits for growth and reads on, again and again, is given every event once, while eight others commit.
pub async fn a_follower_misses_nothing(harness: &dyn Harness) {
    const CALLERS: usize = 8;
    const REPORTS: usize = 60;
    let shop = Shop::open(harness).await;
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let shop = shop.share();
        callers.spawn(async move {
            for number in 0..REPORTS {
                let reported = vec![Submission::new(report(&format!("{caller}/{number}"), PickedUp, 0))];
                assert!(shop.submit(reported).await[0].is_ok());
            }
        });
    }
    let mut seen = Vec::new();
    while seen.len() < CALLERS * REPORTS {
        let after = seen.last().map_or(Position(0), |(position, _)| *position);
        shop.backend.queries.feed_grown(after).await.expect("the feed can be read");
        let more = shop.feed(after).await;
        assert!(!more.is_empty(), "it was told of growth behind {after:?}");
        seen.extend(more);
    }
    callers.join_all().await;
    assert_eq!(seen, shop.feed(Position(0)).await);
}
