//! What stands before and around a body.

use http::Method;
use serde_json::json;

use crate::support::{Shop, line, order, product_body};

/// A packed body was read as if it were not: 400 `malformed_json`, which names nothing that helps.
#[tokio::test]
async fn a_packed_body_is_415_on_every_route() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let packed = |content_type: &'static str| [("content-type", content_type), ("content-encoding", "gzip")];
    let body = b"\x1f\x8b\x08\x00".to_vec();
    for (content_type, method, uri) in [
        ("application/json", Method::POST, "/v1/orders"),
        ("application/x-ndjson", Method::POST, "/v1/orders"),
        ("application/x-ndjson", Method::POST, "/v1/products"),
        ("application/json", Method::PUT, "/v1/stock/chair"),
        ("application/json", Method::POST, "/v1/tracking"),
        ("application/xml", Method::POST, "/order/tracking"),
    ] {
        let reply = shop.send(method, uri, &packed(content_type), body.clone()).await;
        reply.assert_problem(415, "unsupported_media_type");
        assert!(reply.text().contains("Content-Encoding is gzip"), "{}", reply.text());
    }
    // In the words of each system.
    for (uri, said) in [
        ("/v1/order/", "message"),
        ("/orders/", "detail"),
        ("/process-order", "detail"),
        ("/message", "error"),
        ("/order-management", "body"),
        ("/2015-03-31/functions/order-management/invocations", "Message"),
    ] {
        let reply = shop.send(Method::POST, uri, &packed("application/json"), body.clone()).await;
        assert_eq!(reply.status, 415, "{uri}: {}", reply.text());
        let told = reply.json();
        assert!(told[said].is_string() || told.is_string(), "{uri}: {}", reply.text());
        if said == "Message" {
            assert_eq!(reply.headers["x-amzn-errortype"], "UnsupportedMediaTypeException");
        }
    }
    let plain = [("content-type", "application/json"), ("content-encoding", "identity")];
    let reply = shop.send(Method::POST, "/v1/orders", &plain, order("chair", 1).to_string()).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    let reply = shop.send(Method::GET, "/v1/orders", &packed("application/json"), "").await;
    assert_eq!(reply.status, 200, "there is nothing to unpack: {}", reply.text());
    assert_eq!(shop.order_count().await, 1);
}

/// Spreadsheets and shells put U+FEFF before what they write; the first order of a file was refused for it.
#[tokio::test]
async fn the_mark_of_a_text_in_utf_8_is_passed_over() {
    let shop = Shop::new();
    let marked = |text: String| format!("\u{feff}{text}");
    let product = json!({ "product_id": "chair", "stock": 10 });
    let mut product_line = product_body();
    product_line.as_object_mut().unwrap().extend(product.as_object().unwrap().clone());
    let reply = shop.post_lines("/v1/products", marked(format!("{product_line}\n"))).await;
    assert!(!reply.text().contains("problem"), "{}", reply.text());
    let reply = shop.post_bytes("/v1/orders", marked(order("chair", 1).to_string())).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    let lines = format!("{}\n{}\n", order("chair", 1), order("chair", 2));
    let reply = shop.post_lines("/v1/orders", marked(lines)).await;
    assert!(!reply.text().contains("problem"), "{}", reply.text());
    assert_eq!(shop.order_count().await, 3);
    // Of a body that may be left out it is nothing.
    let order_id = shop.place("chair").await;
    let reply = shop.post_bytes(&format!("/v1/orders/{order_id}/cancel"), marked(String::new())).await;
    assert!(reply.status.is_success(), "{}", reply.text());
    // Elsewhere it is part of what was sent.
    let reply = shop
        .post_bytes("/v1/orders", json!({ "customer_id": "\u{feff}c", "lines": [line("chair", 1)] }).to_string())
        .await;
    assert_eq!(reply.json()["customer_id"], "\u{feff}c", "{}", reply.text());
}
