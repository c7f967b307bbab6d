//! `Prefer: wait`

use std::time::Duration;

use tokio::time::Instant;

use crate::support::{Shop, order};

const WAIT: [(&str, &str); 2] = [("prefer", "wait=30"), ("idempotency-key", "k-1")];

/// Places an order and has it decided while the caller waits.
async fn placed_and_decided(
    shop: &Shop,
    decide: impl AsyncFnOnce(ordermill_core::id::OrderId),
) -> crate::support::Reply {
    let waiting = {
        let shop = shop.clone();
        tokio::spawn(async move { shop.post_with("/v1/orders", &WAIT, order("chair", 1)).await })
    };
    let id = loop {
        if let Some(order) = shop.get("/v1/orders").await.json()["orders"].get(0) {
            break order["order_id"].as_str().unwrap().parse().unwrap();
        }
        tokio::task::yield_now().await;
    };
    decide(id).await;
    tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("the caller is answered").unwrap()
}

#[tokio::test]
async fn the_decision_is_answered_as_it_was_for_ever() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let first = placed_and_decided(&shop, async |id| shop.confirm(id).await).await;
    assert_eq!(first.status, 200);
    assert_eq!(first.header("preference-applied"), "wait=30");
    let answer = first.json();
    assert_eq!((&answer["status"], &answer["payment"]["captured_minor"]), (&"confirmed".into(), &1999.into()));
    // Whatever comes after the decision, the answer to this request stays.
    let cancel = format!("/v1/orders/{}/cancel", first.order_id());
    assert_eq!(shop.post(&cancel, serde_json::json!({})).await.json()["status"], "cancelled");
    let again = shop.post_with("/v1/orders", &WAIT, order("chair", 1)).await;
    assert_eq!((again.status, &again.bytes), (first.status, &first.bytes));
    assert_eq!(again.header("idempotent-replayed"), "true");
}

#[tokio::test]
async fn an_order_that_waits_for_a_person_is_settled_for_the_caller() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let reply = placed_and_decided(&shop, async |id| shop.give_up(id).await).await;
    assert_eq!(reply.status, 200);
    let answer = reply.json();
    assert_eq!(answer["status"], "placed");
    assert_eq!(answer["attention"]["step"], "authorize");
    assert_eq!(answer["attention"]["reason"], "it did not work");
    assert!(answer["links"]["retry"].is_string() && answer["links"].get("resolve").is_none(), "{answer}");
}

#[tokio::test]
async fn a_rejection_says_why_and_what_was_short() {
    let shop = Shop::new();
    shop.stock("chair", 0).await;
    let reply = placed_and_decided(&shop, async |order_id| {
        shop.pay(order_id).await;
        shop.submit(ordermill_core::input::Body::Reserve { order_id }).await;
    })
    .await;
    let answer = reply.json();
    assert_eq!((&answer["status"], &answer["reason"]), (&"rejected".into(), &"out_of_stock".into()));
    assert_eq!(answer["short"], serde_json::json!([{"product_id": "chair", "missing": 1}]));
}

#[tokio::test(start_paused = true)]
async fn when_the_time_is_over_the_order_is_answered_as_it_was_taken() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let begun = Instant::now();
    let reply = shop.post_with("/v1/orders", &[("prefer", "wait=2")], order("chair", 1)).await;
    assert_eq!((reply.status.as_u16(), reply.header("preference-applied")), (202, "wait=2"));
    assert_eq!(begun.elapsed().as_secs(), 2);
    let begun = Instant::now();
    let reply = shop.post_with("/v1/orders", &[("prefer", "wait=86400")], order("chair", 1)).await;
    assert_eq!((reply.status.as_u16(), reply.header("preference-applied")), (202, "wait=60"));
    assert_eq!(begun.elapsed().as_secs(), 60);
}
