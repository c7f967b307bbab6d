//! S1: `/v1/order/` and `/v1/health/`.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Fault, Reply, Shop, line};

const WRITER: (&str, &str) = ("authorization", "Bearer writer-secret");

async fn place(shop: &Shop, body: Value) -> Reply {
    shop.post_with("/v1/order/", &[WRITER], body).await
}

#[track_caller]
fn assert_message(reply: &Reply, status: u16) -> String {
    assert_eq!((reply.status.as_u16(), reply.header("content-type")), (status, "application/json"), "{}", reply.text());
    let body = reply.json();
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    body["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn health_is_ok() {
    let shop = Shop::new();
    shop.faults.set(Some(Fault::NotCommitted));
    let reply = shop.get("/v1/health/").await;
    assert_eq!((reply.status.as_u16(), reply.json()), (200, json!({ "status": "OK" })));
}

#[tokio::test]
async fn an_order_is_stored_as_the_tokens_subjects() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let reply = place(&shop, json!({ "message": "hello", "product_id": "chair", "quantity": 2 })).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let id = reply.order_id();
    let mut answer = reply.json();
    assert!(answer["created_at"].take().is_string());
    let expected = json!({
        "message": format!("Processed order:{id}"), "order_id": id.to_string(), "user_id": "user-writer", "status": "placed",
        "total": { "amount_minor": 3_998, "currency": "USD" }, "created_at": null,
    });
    assert_eq!(answer, expected);
    assert_eq!(reply.header("location"), format!("/v1/orders/{id}"));
    let stored = shop.get(reply.header("location")).await.json();
    assert_eq!((&stored["customer_id"], &stored["status"]), (&json!("user-writer"), &json!("placed")));
    assert_eq!(stored["metadata"], json!({ "message": "hello" }));
    assert_eq!(stored["lines"][0]["quantity"], 2);
}

#[tokio::test]
async fn our_own_lines_are_taken_too() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let body = json!({
        "message": "hello", "customer_id": "user-writer", "customer_email": "a@example.com", "order_ref": "R-1",
        "lines": [line("chair", 1), line("chair", 2)], "metadata": { "a": 1 }, "shipping_address": "1 Main Street",
    });
    let reply = place(&shop, body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let stored = shop.get(reply.header("location")).await.json();
    assert_eq!((&stored["order_ref"], &stored["lines"].as_array().unwrap().len()), (&json!("R-1"), &2));
    assert_eq!(stored["metadata"], json!({ "a": 1, "message": "hello" }));
    let other = place(&shop, json!({ "order_ref": "R-1", "product_id": "chair", "quantity": 1 })).await;
    assert!(assert_message(&other, 409).contains(&reply.order_id().to_string()));
}

#[tokio::test]
async fn a_key_gives_the_first_answer() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let headers = [WRITER, ("idempotency-key", "k-1")];
    let body = |quantity: i64| json!({ "product_id": "chair", "quantity": quantity });
    let first = shop.post_with("/v1/order/", &headers, body(1)).await;
    shop.confirm(first.order_id()).await;
    let again = shop.post_with("/v1/order/", &headers, body(1)).await;
    assert_eq!((again.status, &again.bytes), (first.status, &first.bytes));
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_message(&shop.post_with("/v1/order/", &headers, body(2)).await, 400);
    assert_eq!(shop.order_count().await, 1);
}

#[tokio::test]
async fn a_message_alone_is_told_what_an_order_needs() {
    let shop = Shop::new();
    let words = assert_message(&place(&shop, json!({ "message": "hello" })).await, 400);
    assert!(words.contains("product_id") && words.contains("quantity") && words.contains("lines"), "{words}");
}

#[tokio::test]
async fn what_is_no_order_is_400() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let euro = json!({ "name": "Stuhl", "price": { "amount_minor": 100, "currency": "EUR" } });
    shop.put("/v1/products/stuhl", &[], euro).await;
    for (body, words) in [
        (json!({}), "product_id"),
        (json!({ "product_id": "chair" }), "quantity: is required"),
        (json!({ "quantity": 1 }), "product_id: is required"),
        (json!({ "product_id": "chair", "quantity": 0 }), "quantity: must be from 1"),
        (json!({ "product_id": "chair", "quantity": "1" }), "quantity"),
        (json!({ "product_id": "chair", "quantity": 1, "message": 7 }), "message"),
        (json!({ "product_id": "chair", "quantity": 1, "colour": "red" }), "colour: is not a field known here"),
        (json!({ "product_id": "chair", "quantity": 1, "lines": [line("chair", 1)] }), "lines: must be left out"),
        (json!({ "product_id": "chair", "quantity": 1, "customer_id": "user-other" }), "customer_id"),
        (
            json!({ "product_id": "chair", "quantity": 1, "message": "a", "metadata": { "message": "b" } }),
            "metadata.message",
        ),
        (json!({ "product_id": "chair", "quantity": 1, "message": "x".repeat(9_000) }), "metadata"),
        (json!({ "lines": [] }), "lines"),
        (json!({ "lines": [line("chair", 1), line("stuhl", 1)] }), "USD"),
        (json!([]), "must be an object"),
    ] {
        let reply = place(&shop, body.clone()).await;
        let message = assert_message(&reply, 400);
        assert!(message.contains(words), "{body}: {message}");
    }
    let broken = shop.send(Method::POST, "/v1/order/", &[WRITER, ("content-type", "application/json")], "{").await;
    assert_message(&broken, 400);
    assert_message(&shop.send(Method::POST, "/v1/order/", &[WRITER], "{}").await, 415);
    assert_eq!(shop.order_count().await, 0);
}

#[tokio::test]
async fn an_unknown_product_is_404() {
    let shop = Shop::new();
    let message = assert_message(&place(&shop, json!({ "product_id": "ghost", "quantity": 1 })).await, 404);
    assert!(message.contains("ghost"), "{message}");
}

#[tokio::test]
async fn who_may_not_is_told_so() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    for (header, status, challenge) in [
        (None, 401, "Bearer realm"),
        (Some("Bearer wrong"), 401, "Bearer realm"),
        (Some("Basic d3JpdGVy"), 401, "Bearer realm"),
        (Some("Bearer viewer-secret"), 403, "scope=\"orders:write\""),
    ] {
        let headers: Vec<(&str, &str)> = header.map(|value| ("authorization", value)).into_iter().collect();
        let reply = shop.post_with("/v1/order/", &headers, json!({ "product_id": "chair", "quantity": 1 })).await;
        assert_message(&reply, status);
        assert!(reply.header("www-authenticate").contains(challenge), "{}", reply.header("www-authenticate"));
    }
    shop.secrets.set_away(true);
    assert_message(&place(&shop, json!({ "product_id": "chair", "quantity": 1 })).await, 503);
    assert_eq!(shop.order_count().await, 0);
}

#[tokio::test]
async fn failures_are_told_in_a_message() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    for (fault, status) in
        [(Fault::NotCommitted, 503), (Fault::Overloaded, 503), (Fault::Closing, 503), (Fault::Panic, 500)]
    {
        shop.faults.set(Some(fault));
        let reply = place(&shop, json!({ "product_id": "chair", "quantity": 1 })).await;
        let message = assert_message(&reply, status);
        assert!(!message.contains("secret"), "{message}");
        assert_eq!(reply.header("retry-after").is_empty(), status == 500);
    }
    let reply = shop.send(Method::GET, "/v1/order/", &[], "").await;
    assert_message(&reply, 405);
    assert!(!reply.header("allow").is_empty());
}
