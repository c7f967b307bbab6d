//! Whatever comes in, the answer is a clear problem, and no order is made.

use axum::body::Body;
use http::Method;
use ordermill_core::limits::{BODY_BYTES_MAX, FREE_JSON_BYTES_MAX};
use serde_json::{Value, json};

use crate::support::{Shop, line, order};

async fn shop() -> Shop {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    shop
}

#[tokio::test]
async fn what_is_no_json() {
    let shop = shop().await;
    for bad in ["", "   ", "{", "null x", r#"{"customer_id":"c","lines":[{"product_id":"ch"#, "{'a':1}", "{}\u{feff}"] {
        shop.post_bytes("/v1/orders", bad).await.assert_problem(400, "malformed_json");
    }
    let reply = shop.post_bytes("/v1/orders", b"{\"customer_id\":\"\xc3\x28\",\"lines\":[]}".to_vec()).await;
    reply.assert_problem(400, "malformed_json");
    assert!(reply.text().contains("at column 17"), "{}", reply.text());
    for deep in ["[".repeat(100_000), format!("{}{}", "{\"a\":".repeat(17), "1")] {
        shop.post_bytes("/v1/orders", deep).await.assert_problem(400, "too_deep");
    }
    assert_eq!(shop.order_count().await, 0);
}

#[tokio::test]
async fn what_is_json_of_another_shape() {
    let shop = shop().await;
    for (bad, field) in [
        (json!([]), "(body)"),
        (json!(["c", null, null, null, null, null, [["chair", 1, null]], null, null]), "(body)"),
        (json!("order"), "(body)"),
        (json!({"lines": []}), "customer_id"),
        (json!({"customer_id": "c"}), "lines"),
        (json!({"customer_id": null, "lines": []}), "customer_id"),
        (json!({"customer_id": 1, "lines": []}), "customer_id"),
        (json!({"customer_id": "c", "lines": {}}), "lines"),
        (json!({"customer_id": "c", "lines": [1]}), "lines[0]"),
        (json!({"customer_id": "c", "lines": [line("chair", 1), {"quantity": 1}]}), "lines[1].product_id"),
        (json!({"customer_id": "c", "lines": [{"product_id": "p", "quantity": 1.5}]}), "lines[0].quantity"),
        (json!({"customer_id": "c", "lines": [{"product_id": "p", "quantity": "1"}]}), "lines[0].quantity"),
        (json!({"customer_id": "c", "lines": [{"product_id": "p", "quantity": 1e30}]}), "lines[0].quantity"),
        (json!({"customer_id": "c", "lines": [], "metadata": {}, "colour": "red"}), "colour"),
        (json!({"customer_id": "c", "lines": [{"product_id": "p", "quantity": 1, "price": 1}]}), "lines[0].price"),
    ] {
        let reply = shop.post("/v1/orders", bad.clone()).await;
        reply.assert_problem(422, "invalid_order");
        assert_eq!(reply.fields(), [field], "{bad}: {}", reply.text());
    }
    assert_eq!(shop.order_count().await, 0);
}

#[tokio::test]
async fn every_value_out_of_range_is_named_at_once() {
    let shop = shop().await;
    let reply = shop
        .post(
            "/v1/orders",
            json!({
                "customer_id": " ", "customer_email": "nobody", "order_ref": "x".repeat(129), "currency": "usd",
                "payment_method": "", "shipping_address": 7, "placed_at": "yesterday", "metadata": [1],
                "lines": [line("chair", -1), line("chair", 0), line("", 1), line("chair", i64::MAX)],
            }),
        )
        .await;
    reply.assert_problem(422, "invalid_order");
    let expected = [
        "customer_id",
        "customer_email",
        "order_ref",
        "currency",
        "payment_method",
        "shipping_address",
        "lines[0].quantity",
        "lines[1].quantity",
        "lines[2].product_id",
        "lines[3].quantity",
        "placed_at",
        "metadata",
    ];
    assert_eq!(reply.fields(), expected);
    for lines in [vec![], vec![line("chair", 1); 501]] {
        let reply = shop.post("/v1/orders", json!({"customer_id": "c", "lines": lines})).await;
        reply.assert_problem(422, "invalid_order");
        assert_eq!(reply.fields(), ["lines"]);
    }
    let mut large = order("chair", 1);
    large["metadata"] = json!({"text": "x".repeat(FREE_JSON_BYTES_MAX)});
    assert_eq!(shop.post("/v1/orders", large).await.fields(), ["metadata"]);
    assert_eq!(shop.order_count().await, 0);
}

#[tokio::test]
async fn the_limits_themselves_are_possible() {
    let shop = shop().await;
    let widest: Vec<Value> = vec![line("chair", 1); 500];
    assert_eq!(shop.post("/v1/orders", json!({"customer_id": "c", "lines": widest})).await.status, 202);
    assert_eq!(shop.post("/v1/orders", order("chair", 1_000_000)).await.status, 202);
}

#[tokio::test]
async fn bodies_have_a_type_and_a_size() {
    let shop = shop().await;
    let text = order("chair", 1).to_string();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""] {
        let reply = shop.send(Method::POST, "/v1/orders", &[("content-type", kind)], text.clone()).await;
        reply.assert_problem(415, "unsupported_media_type");
    }
    shop.send(Method::POST, "/v1/orders", &[], text.clone()).await.assert_problem(415, "unsupported_media_type");

    let padded = |bytes: usize| format!("{text}{}", " ".repeat(bytes - text.len()));
    assert_eq!(shop.post_bytes("/v1/orders", padded(BODY_BYTES_MAX)).await.status, 202);
    shop.post_bytes("/v1/orders", padded(BODY_BYTES_MAX + 1)).await.assert_problem(413, "body_too_large");
    // The same without a length, in pieces.
    let pieces = |bytes: usize| {
        let pieces: Vec<_> = padded(bytes).into_bytes().chunks(10_000).map(<[u8]>::to_vec).collect();
        Body::from_stream(futures_util::stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>)))
    };
    assert_eq!(shop.post_bytes("/v1/orders", pieces(BODY_BYTES_MAX)).await.status, 202);
    shop.post_bytes("/v1/orders", pieces(BODY_BYTES_MAX + 1)).await.assert_problem(413, "body_too_large");
    assert_eq!(shop.order_count().await, 2);
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there() {
    let shop = shop().await;
    shop.get("/v2/orders").await.assert_problem(404, "not_found");
    shop.get("/v1/orders/").await.assert_problem(404, "not_found");
    let uuid = "0198f3c2a1b47c3e9d5f6a7b8c9d0e1f";
    for id in
        [uuid.to_owned(), format!("ord_{uuid}"), format!("ORD_{uuid}"), "ord_1".into(), "%ff".into(), "a%2Fb".into()]
    {
        shop.get(&format!("/v1/orders/{id}")).await.assert_problem(404, "order_not_found");
        shop.get(&format!("/v1/orders/{id}/events")).await.assert_problem(404, "order_not_found");
        shop.post(&format!("/v1/orders/{id}/cancel"), json!({})).await.assert_problem(404, "order_not_found");
    }
    let reply = shop.send(Method::DELETE, "/v1/orders", &[], Body::empty()).await;
    reply.assert_problem(405, "method_not_allowed");
    let mut allowed: Vec<&str> = reply.header("allow").split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
    shop.send(Method::POST, "/healthz", &[], Body::empty()).await.assert_problem(405, "method_not_allowed");
}

#[tokio::test]
async fn headers_have_a_size() {
    let shop = shop().await;
    let long = "x".repeat(20_000);
    let reply = shop.send(Method::GET, "/v1/orders", &[("x-long", long.as_str())], Body::empty()).await;
    reply.assert_problem(431, "headers_too_large");
}
