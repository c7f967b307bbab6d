//! `POST /v1/orders`: the answer, and the idempotency contract.

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::{Shop, line, order};

#[tokio::test]
async fn an_order_is_answered_as_it_was_taken() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let body = json!({
        "customer_id": "c-1", "customer_email": "c-1@example.com", "order_ref": "R-1", "currency": "USD",
        "lines": [{"product_id": "chair", "quantity": 2, "unit_price": {"amount_minor": 1999, "currency": "USD"}}],
        "shipping_address": "1 Main Street", "placed_at": "2025-12-31T10:00:00Z", "metadata": {"a": [1]},
    });
    let reply = shop.post_with("/v1/orders", &[("x-correlation-id", "web-7")], body).await;
    assert_eq!(reply.status, 202);
    let id = reply.order_id();
    assert_eq!(reply.header("location"), format!("/v1/orders/{id}"));
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.header("x-correlation-id"), "web-7");
    assert_eq!(reply.headers.get("idempotency-key-expires"), None, "no key was given");
    let mut answer = reply.json();
    let created = answer["created_at"].take();
    assert!(created.as_str().unwrap().starts_with("2026-01-01T00:00:00."), "{created}");
    assert_eq!(answer["updated_at"].take(), created);
    assert_eq!(
        answer,
        json!({
            "order_id": id.to_string(), "status": "placed", "total": {"amount_minor": 3998, "currency": "USD"},
            "lines": [{"product_id": "chair", "quantity": 2, "unit_price": {"amount_minor": 1999, "currency": "USD"}}],
            "customer_id": "c-1", "customer_email": "c-1@example.com", "order_ref": "R-1",
            "shipping_address": "1 Main Street", "placed_at": "2025-12-31T10:00:00Z", "created_at": null, "updated_at": null,
            "version": 1, "correlation_id": "web-7", "metadata": {"a": [1]},
            "payment": {"authorized_minor": 0, "captured_minor": 0, "voided_minor": 0, "refunded_minor": 0, "refunds_pending_minor": 0},
            "links": {
                "self": format!("/v1/orders/{id}"), "events": format!("/v1/orders/{id}/events"),
                "stream": format!("/v1/orders/{id}/events/stream"), "cancel": format!("/v1/orders/{id}/cancel"),
            },
        })
    );
}

#[tokio::test]
async fn without_a_correlation_id_the_order_stands_for_itself() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    for unusable in ["", "   ", &"x".repeat(129)] {
        let reply = shop.post_with("/v1/orders", &[("x-correlation-id", unusable)], order("chair", 1)).await;
        let id = reply.order_id().to_string();
        assert_eq!(reply.header("x-correlation-id"), id);
        assert_eq!(reply.json()["correlation_id"], id);
    }
    let other = shop.get("/v1/orders").await;
    assert!(other.header("x-correlation-id").starts_with("req_"));
    let refused = shop.post_with("/v1/orders", &[("x-correlation-id", "web-8")], json!({})).await;
    assert_eq!(refused.header("x-correlation-id"), "web-8", "problems carry it too");
}

#[tokio::test]
async fn the_same_key_and_body_give_the_same_bytes() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let first = shop.post_with("/v1/orders", &[("idempotency-key", "k-1")], order("chair", 1)).await;
    assert_eq!(first.status, 202);
    assert_eq!(first.headers.get("idempotent-replayed"), None);
    assert_eq!(first.header("idempotency-key-expires")[..10], *"2026-01-02", "24 hours later");
    shop.confirm(first.order_id()).await;
    // Other order of fields, other white space, other quotes: the same meaning.
    let again = r#" {"lines":[{"quantity":1,"product_id":"chair"}], "customer_email":"customer-1@example.com",
        "customer_id":"customer-1"}"#;
    let headers = [("content-type", "application/json"), ("idempotency-key", "\"k-1\"")];
    let second = shop.send(http::Method::POST, "/v1/orders", &headers, again).await;
    assert_eq!((second.status, &second.bytes), (first.status, &first.bytes), "though the order is confirmed by now");
    assert_eq!(second.header("idempotent-replayed"), "true");
    assert_eq!(second.header("idempotency-key-expires"), first.header("idempotency-key-expires"));
    assert_eq!(second.header("location"), first.header("location"));
    assert_eq!(shop.order_count().await, 1);
}

/// It was told too early when the order was placed long before the key was first used.
#[tokio::test]
async fn a_new_key_with_a_known_reference_lives_from_its_first_use() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let mut body = order("chair", 1);
    body["order_ref"] = "R-1".into();
    let placed = shop.post("/v1/orders", body.clone()).await.json();
    let created_at: Timestamp = placed["created_at"].as_str().unwrap().parse().unwrap();
    let first = shop.post_with("/v1/orders", &[("idempotency-key", "k-1")], body.clone()).await;
    let expires: Timestamp = first.header("idempotency-key-expires").parse().unwrap();
    assert!(expires.duration_since(created_at) > SignedDuration::from_hours(24), "{created_at} {expires}");
    let again = shop.post_with("/v1/orders", &[("idempotency-key", "k-1")], body).await;
    assert_eq!(again.header("idempotency-key-expires"), first.header("idempotency-key-expires"));
}

#[tokio::test]
async fn the_same_key_with_another_body_is_refused() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let key = [("idempotency-key", "k-1")];
    let first = shop.post_with("/v1/orders", &key, order("chair", 1)).await;
    shop.post_with("/v1/orders", &key, order("chair", 2)).await.assert_problem(422, "idempotency_key_reused");
    let cancel = format!("/v1/orders/{}/cancel", first.order_id());
    shop.post_with(&cancel, &key, json!({})).await.assert_problem(422, "idempotency_key_reused");
    assert_eq!(shop.order_count().await, 1);
}

#[tokio::test]
async fn a_key_that_is_none_is_refused() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    for bad in ["", "  ", "\"\"", "\"open", &"k".repeat(129)] {
        let reply = shop.post_with("/v1/orders", &[("idempotency-key", bad)], order("chair", 1)).await;
        reply.assert_problem(400, "idempotency_key_invalid");
        assert_eq!(reply.fields(), ["Idempotency-Key"]);
    }
    assert_eq!(shop.order_count().await, 0);
}

#[tokio::test]
async fn a_refused_request_does_not_use_its_key_up() {
    let shop = Shop::new();
    let key = [("idempotency-key", "k-1")];
    shop.post_with("/v1/orders", &key, order("chair", 1)).await.assert_problem(422, "unknown_product");
    shop.stock("chair", 10).await;
    assert_eq!(shop.post_with("/v1/orders", &key, order("chair", 1)).await.status, 202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_twins_are_one_order() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let twins = (0..50).map(|_| {
        let shop = shop.clone();
        tokio::spawn(
            async move { shop.post_with("/v1/orders", &[("idempotency-key", "twin")], order("chair", 1)).await },
        )
    });
    let replies: Vec<_> = join_all(twins).await.into_iter().map(Result::unwrap).collect();
    assert!(replies.iter().all(|reply| reply.status == 202 && reply.bytes == replies[0].bytes));
    assert_eq!(replies.iter().filter(|reply| reply.header("idempotent-replayed") == "true").count(), 49);
    assert_eq!(shop.order_count().await, 1);
}

#[tokio::test]
async fn an_order_reference_stands_for_one_order() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let with_ref = |quantity: i64| {
        let mut body = order("chair", quantity);
        body["order_ref"] = "R-1".into();
        body
    };
    let first = shop.post("/v1/orders", with_ref(1)).await;
    let again = shop.post("/v1/orders", with_ref(1)).await;
    assert_eq!((again.status, &again.bytes), (first.status, &first.bytes));
    assert_eq!(again.header("idempotent-replayed"), "true");
    let taken = shop.post("/v1/orders", with_ref(2)).await;
    taken.assert_problem(409, "order_ref_taken");
    assert_eq!(taken.fields(), ["order_ref"]);
    assert!(taken.text().contains(&first.order_id().to_string()));
}

#[tokio::test]
async fn what_the_catalogue_says_no_to_names_its_line() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let euro = json!({"name": "Stuhl", "price": {"amount_minor": 100, "currency": "EUR"}});
    shop.put("/v1/products/stuhl", &[], euro).await;
    let dear = json!({"name": "Throne", "price": {"amount_minor": 1_000_000_000_000_000_i64, "currency": "USD"}});
    shop.put("/v1/products/throne", &[], dear).await;
    let old_price = json!({"product_id": "chair", "quantity": 1, "unit_price": {"amount_minor": 1, "currency": "USD"}});
    for (second, code, field) in [
        (line("ghost", 1), "unknown_product", "lines[1].product_id"),
        (old_price, "price_changed", "lines[1].unit_price"),
        (line("stuhl", 1), "mixed_currencies", "lines[1].unit_price"),
        (line("throne", 2), "total_too_large", "lines[1].quantity"),
    ] {
        let lines: Vec<Value> = vec![line("chair", 1), second];
        let reply = shop.post("/v1/orders", json!({"customer_id": "c", "lines": lines})).await;
        reply.assert_problem(422, code);
        assert_eq!(reply.fields(), [field]);
    }
    assert_eq!(shop.order_count().await, 0);
}

#[tokio::test]
async fn a_trace_context_travels_with_the_order() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let traced = shop.post_with("/v1/orders", &[("traceparent", trace)], order("chair", 1)).await.order_id();
    let untraced = shop.post_with("/v1/orders", &[("traceparent", "00-nonsense")], order("chair", 1)).await.order_id();
    let event = |events: Value| events["events"][0]["traceparent"].clone();
    assert_eq!(event(shop.get(&format!("/v1/orders/{traced}/events")).await.json()), trace);
    assert_eq!(event(shop.get(&format!("/v1/orders/{untraced}/events")).await.json()), Value::Null);
}
