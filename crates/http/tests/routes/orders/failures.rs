//! What callers see when something behind the interface fails.

use std::time::Duration;

use ordermill_http::Settings;
use serde_json::json;

use crate::support::{Fault, Shop, order};

#[tokio::test]
async fn a_ledger_that_cannot_is_503_without_its_words() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    for (fault, code, retry_after) in [
        (Fault::NotCommitted, "not_committed", "1"),
        (Fault::Overloaded, "overloaded", "2"),
        (Fault::Closing, "closing", "1"),
    ] {
        shop.faults.set(Some(fault));
        let reply = shop.post("/v1/orders", order("chair", 1)).await;
        reply.assert_problem(503, code);
        assert_eq!(reply.header("retry-after"), retry_after);
        assert!(!reply.text().contains("secret"), "{}", reply.text());
        shop.put("/v1/stock/chair", &[], json!({"available": 1})).await.assert_problem(503, code);
    }
    shop.faults.set(None);
    assert_eq!(shop.post("/v1/orders", order("chair", 1)).await.status, 202);
}

#[tokio::test]
async fn a_panic_is_a_problem_and_not_the_end() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    shop.faults.set(Some(Fault::Panic));
    let reply = shop.post_with("/v1/orders", &[("x-correlation-id", "web-9")], order("chair", 1)).await;
    reply.assert_problem(500, "internal");
    assert_eq!(reply.header("x-correlation-id"), "web-9");
    assert!(!reply.text().contains("42"), "{}", reply.text());
    shop.faults.set(None);
    assert_eq!(shop.post("/v1/orders", order("chair", 1)).await.status, 202);
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_does_not_answer_leaves_a_way_to_find_out() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    shop.faults.set(Some(Fault::Silent));
    let key = [("idempotency-key", "k-1")];
    shop.post_with("/v1/orders", &key, order("chair", 1)).await.assert_problem(503, "outcome_unknown");
    shop.faults.set(None);
    let again = shop.post_with("/v1/orders", &key, order("chair", 1)).await;
    assert_eq!((again.status.as_u16(), again.header("idempotent-replayed")), (202, "true"));
}

#[tokio::test]
async fn what_is_too_much_is_shed_and_the_watchers_still_see() {
    let shop = Shop::with(Settings { requests_max: 1, waits_max: 1, ..Settings::default() }, 100);
    shop.stock("chair", 10).await;
    shop.faults.set(Some(Fault::Silent));
    let stuck = {
        let shop = shop.clone();
        tokio::spawn(async move { shop.post("/v1/orders", order("chair", 1)).await })
    };
    let shed = loop {
        let reply = shop.get("/v1/products").await;
        if reply.status != 200 {
            break reply;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    shed.assert_problem(503, "overloaded");
    assert_eq!(shed.header("retry-after"), "1");
    assert_eq!(shop.get("/healthz").await.status, 200);
    shop.faults.set(None);
    stuck.abort();
    let _ = stuck.await;
    assert_eq!(shop.get("/v1/products").await.status, 200);
}

#[tokio::test]
async fn too_many_undecided_orders_are_refused() {
    let shop = Shop::with(Settings::default(), 3);
    shop.stock("chair", 10).await;
    let mut refused = 0;
    for _ in 0..4 {
        let reply = shop.post("/v1/orders", order("chair", 1)).await;
        if reply.status == 503 {
            reply.assert_problem(503, "overloaded");
            refused += 1;
        }
    }
    assert_eq!(refused, 1);
}
