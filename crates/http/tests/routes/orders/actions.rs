//! Cancel, refund, return, retry, resolve.

use axum::body::Body;
use http::Method;
use ordermill_core::event::EventType;
use ordermill_core::input::Body as InputBody;
use ordermill_core::parcel::ParcelStatus;
use serde_json::json;

use crate::support::{Shop, line, order};

#[tokio::test]
async fn cancel_with_and_without_words() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let first = shop.place("chair").await;
    let reply = shop.post(&format!("/v1/orders/{first}/cancel"), json!({"reason": "changed my mind"})).await;
    assert_eq!(reply.status, 200);
    assert_eq!((&reply.json()["status"], &reply.json()["reason"]), (&json!("cancelled"), &json!("changed my mind")));
    let second = shop.place("chair").await;
    let silent = shop.send(Method::POST, &format!("/v1/orders/{second}/cancel"), &[], Body::empty()).await;
    assert_eq!((&silent.json()["status"], &silent.json()["reason"]), (&json!("cancelled"), &json!("requested")));
    let again = shop.post(&format!("/v1/orders/{second}/cancel"), json!({})).await;
    assert_eq!(
        (again.status.as_u16(), &again.json()["version"]),
        (200, &silent.json()["version"]),
        "it stays cancelled"
    );
}

#[tokio::test]
async fn a_shipped_order_is_not_cancelled() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let order_id = shop.place("chair").await;
    shop.confirm(order_id).await;
    let seen_at = ordermill_core::Timestamp::UNIX_EPOCH;
    shop.submit(InputBody::ParcelMoved { order_id, status: ParcelStatus::PickedUp, seen_at }).await;
    let reply = shop.post(&format!("/v1/orders/{order_id}/cancel"), json!({})).await;
    reply.assert_problem(409, "not_cancellable");
    assert!(reply.text().contains("the order is shipped"));
}

#[tokio::test]
async fn refunds_never_exceed_what_was_captured() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let id = shop.place("chair").await;
    let address = format!("/v1/orders/{id}/refund");
    shop.post(&address, json!({})).await.assert_problem(409, "refund_too_large");
    shop.confirm(id).await;
    let part = [("idempotency-key", "refund-1")];
    let reply = shop.post_with(&address, &part, json!({"amount_minor": 1000, "reason": "scratched"})).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["payment"]["refunds_pending_minor"]), (202, &json!(1000)));
    let again = shop.post_with(&address, &part, json!({"reason": "scratched", "amount_minor": 1000})).await;
    assert_eq!((again.status.as_u16(), again.header("idempotent-replayed")), (202, "true"));
    let other = shop.post_with(&address, &part, json!({"amount_minor": 999})).await;
    other.assert_problem(422, "idempotency_key_reused");
    let too_much = shop.post(&address, json!({"amount_minor": 1000})).await;
    too_much.assert_problem(409, "refund_too_large");
    assert_eq!(too_much.fields(), ["amount_minor"]);
    let rest = shop.post(&address, json!({})).await.json();
    assert_eq!(rest["payment"]["refunds_pending_minor"], 1999);
    assert_eq!(rest["links"].get("refund"), None);
    let asked = shop.timeline(id).await.iter().filter(|kind| **kind == EventType::PaymentRefundRequested).count();
    assert_eq!(asked, 2);
}

#[tokio::test]
async fn what_was_shipped_can_come_back() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let order_id = shop.post("/v1/orders", order("chair", 3)).await.order_id();
    let address = format!("/v1/orders/{order_id}/return");
    let back = |quantity: i64, restock: bool| json!({"lines": [line("chair", quantity)], "restock": restock});
    let available = async || shop.get("/v1/stock/chair").await.json()["available"].clone();
    shop.confirm(order_id).await;
    let early = shop.post(&address, back(1, true)).await;
    early.assert_problem(409, "not_returnable");
    let order_now = shop.get(&format!("/v1/orders/{order_id}")).await.json();
    assert_eq!((order_now["links"].get("return"), available().await), (None, json!(7)));
    let seen_at = ordermill_core::Timestamp::UNIX_EPOCH;
    shop.submit(InputBody::ParcelMoved { order_id, status: ParcelStatus::PickedUp, seen_at }).await;

    let key = [("idempotency-key", "return-1")];
    let reply = shop.post_with(&address, &key, back(1, true)).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["status"]), (200, &json!("shipped")));
    assert_eq!(reply.json()["returned"], json!([line("chair", 1)]));
    assert_eq!(reply.json()["links"]["return"], json!(address));
    assert_eq!(reply.header("etag"), format!("\"{}\"", reply.json()["version"]));
    let again = shop.post_with(&address, &key, back(1, true)).await;
    assert_eq!((again.status.as_u16(), again.header("idempotent-replayed")), (200, "true"));
    shop.post_with(&address, &key, back(1, false)).await.assert_problem(422, "idempotency_key_reused");
    assert_eq!(available().await, 8, "one unit came back, once");

    let too_many = shop.post(&address, back(3, true)).await;
    too_many.assert_problem(409, "return_too_large");
    assert_eq!(too_many.fields(), ["lines"]);
    let twice = json!({"lines": [line("chair", 1), line("chair", 2)]});
    shop.post(&address, twice).await.assert_problem(409, "return_too_large");
    let other = shop.post(&address, json!({"lines": [line("table", 1)]})).await;
    other.assert_problem(409, "return_too_large");
    let rest = shop.post(&address, json!({"lines": [line("chair", 1), line("chair", 1)]})).await.json();
    assert_eq!((&rest["status"], &rest["returned"]), (&json!("returned"), &json!([line("chair", 3)])));
    assert_eq!((rest["links"].get("return"), available().await), (None, json!(8)), "not asked back into stock");
    assert_eq!(rest["payment"]["refunds_pending_minor"], 0, "a return moves no money");
    assert!(rest["links"]["refund"].is_string());
    shop.post(&address, back(1, true)).await.assert_problem(409, "not_returnable");
}

#[tokio::test]
async fn retry_and_resolve_end_attention() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let id = shop.place("chair").await;
    let address = |action: &str| format!("/v1/orders/{id}/{action}");
    shop.post(&address("retry"), json!({})).await.assert_problem(409, "no_attention");
    shop.give_up(id).await;
    shop.post(&address("resolve"), json!({"note": "called them"})).await.assert_problem(409, "not_resolvable");
    let retried = shop.send(Method::POST, &address("retry"), &[], Body::empty()).await;
    assert_eq!((retried.status.as_u16(), retried.json().get("attention")), (200, None));
    shop.confirm(id).await;
    shop.give_up(id).await;
    let resolved = shop.post(&address("resolve"), json!({"note": "called them"})).await;
    assert_eq!((resolved.status.as_u16(), resolved.json().get("attention")), (200, None));
    let events = shop.get(&address("events")).await.json();
    let cleared = events["events"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(cleared["type"], "order.attention_cleared");
    assert_eq!(cleared["data"], json!({"remedy": "resolved", "note": "called them"}));
}

#[tokio::test]
async fn what_is_asked_is_checked() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let id = shop.place("chair").await;
    for (action, body, field) in [
        ("cancel", json!({"reason": ""}), "reason"),
        ("cancel", json!({"reason": "x".repeat(501)}), "reason"),
        ("cancel", json!({"reason": 7}), "reason"),
        ("cancel", json!({"because": "x"}), "because"),
        ("cancel", json!([]), "(body)"),
        ("refund", json!({"amount_minor": 0}), "amount_minor"),
        ("refund", json!({"amount_minor": -5}), "amount_minor"),
        ("refund", json!({"amount_minor": "5"}), "amount_minor"),
        ("retry", json!({"note": "x"}), "note"),
        ("resolve", json!({"note": "a\u{0}b"}), "note"),
        ("return", json!({}), "lines"),
        ("return", json!({"lines": []}), "lines"),
        ("return", json!({"lines": vec![line("chair", 1); 501]}), "lines"),
        ("return", json!({"lines": [line("chair", 0)]}), "lines[0].quantity"),
        ("return", json!({"lines": [line("chair", 1), line("chair", -1)]}), "lines[1].quantity"),
        ("return", json!({"lines": [line("chair", 1_000_001)]}), "lines[0].quantity"),
        ("return", json!({"lines": [line("", 1)]}), "lines[0].product_id"),
        ("return", json!({"lines": [{"product_id": "chair"}]}), "lines[0].quantity"),
        ("return", json!({"lines": [line("chair", 1)], "restock": "yes"}), "restock"),
        ("return", json!({"lines": [line("chair", 1)], "reason": "x"}), "reason"),
    ] {
        let reply = shop.post(&format!("/v1/orders/{id}/{action}"), body.clone()).await;
        reply.assert_problem(422, "invalid_request");
        assert_eq!(reply.fields(), [field], "{action} {body}");
    }
    let address = format!("/v1/orders/{id}/cancel");
    shop.post_bytes(&address, "{").await.assert_problem(400, "malformed_json");
    shop.send(Method::POST, &address, &[], "{}").await.assert_problem(415, "unsupported_media_type");
    shop.send(Method::POST, &format!("/v1/orders/{id}/return"), &[], "")
        .await
        .assert_problem(415, "unsupported_media_type");
    let nobody = "/v1/orders/ord_0198f3c2a1b47c3e9d5f6a7b8c9d0e1f/retry";
    shop.post(nobody, json!({})).await.assert_problem(404, "order_not_found");
}
