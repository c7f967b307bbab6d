//! Cursors under load: one slow delivery holds nothing up, and a role far behind reads the table.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use ordermill_core::input::{Body, Input};
use ordermill_core::process::Role;
use ordermill_ports::bus::Delivery;
use ordermill_ports::conformance::shop::Shop;
use ordermill_ports::{Source, Submission};

use super::{Place, place_many};

/// Fills the feed with events of no interest to anybody.
async fn fill_feed(shop: &Shop, events: usize) {
    let product_id = ordermill_ports::conformance::shop::product("apple");
    let adjust = |number: usize| Body::AdjustStock {
        product_id: product_id.clone(),
        delta: if number.is_multiple_of(2) { 1 } else { -1 },
        reason: "counted".into(),
        expected_version: None,
    };
    let inputs: Vec<Submission> = (0..events).map(|number| Submission::new(Input::new(adjust(number)))).collect();
    for result in shop.backend.ledger.submit(Source::Import, inputs).await {
        result.expect("taken");
    }
}

#[tokio::test]
async fn a_laggard_is_parked_so_that_the_cursor_moves_on() {
    let place = Place::new();
    let shop = Shop::open(&place).await;
    shop.sell("apple", 100).await;
    place_many(&shop, 3, 1).await;
    let mut deliveries = shop.receive(Role::Payments, 10).await;
    let laggard = deliveries.remove(0);
    fill_feed(&shop, 20_000).await;
    place_many(&shop, 1, 1).await;
    deliveries.extend(shop.receive(Role::Payments, 10).await);
    let last = deliveries.last().expect("received").position.0;
    shop.settle(deliveries.into_iter().map(Delivery::ack)).await;
    let cursor = "SELECT position FROM cursors WHERE role = 'payments'";
    assert_eq!(place.number(cursor), i64::try_from(last).expect("small"));
    assert_eq!(place.number("SELECT count(*) FROM parked WHERE role = 'payments'"), 1);
    // In this process it is handed out still.
    shop.advance(SignedDuration::from_mins(1));
    shop.assert_quiet(Role::Payments).await;
    // After a restart it comes by its row, and nothing else does.
    let shop = shop.reopen(&place).await;
    assert_eq!(shop.receive_all(Role::Payments, 1).await, std::slice::from_ref(&laggard));
    shop.settle([laggard.ack()]).await;
    assert_eq!(place.number("SELECT count(*) FROM parked"), 0);
    let shop = shop.reopen(&place).await;
    shop.assert_quiet(Role::Payments).await;
}

#[tokio::test]
async fn a_role_far_behind_reads_on_from_its_cursor() {
    let place = Place::new();
    let shop = Shop::open(&place).await;
    shop.sell("apple", 100_000).await;
    let early = place_many(&shop, 5_000, 10).await;
    fill_feed(&shop, 70_000).await;
    let late = place_many(&shop, 10, 10).await;
    let mut positions = BTreeSet::new();
    while positions.len() < early.len() + late.len() {
        let batch = shop.receive(Role::Payments, 700).await;
        for delivery in &batch {
            assert!(positions.insert(delivery.position), "handed out twice: {delivery:?}");
        }
        shop.settle(batch.into_iter().map(Delivery::ack)).await;
    }
    shop.assert_quiet(Role::Payments).await;
    let lag = shop.backend.bus.lag(Role::Payments).await.expect("readable");
    assert_eq!((lag.events, lag.parked, lag.oldest), (0, 0, None));
    // A cursor that passes over much of no interest is stored all the same.
    assert_eq!(place.number("SELECT count(*) FROM cursors WHERE role = 'payments' AND position > 75000"), 1);
}
