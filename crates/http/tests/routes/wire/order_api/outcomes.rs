//! What becomes of an order, as it is answered and read.

use ordermill_core::input::Body;
use ordermill_http::{Settings, WireSettings};
use serde_json::{Value, json};

use super::{PLACES, decide, order, patient, refuse_payment, request, send, shop, stock};
use crate::support::line;

#[tokio::test]
async fn a_confirmed_order_is_answered_whole_and_read_again() {
    let shop = shop(patient()).await;
    for path in PLACES {
        let reply = decide(&shop, path, request("PROD001", 2), async |id| shop.confirm(id).await).await;
        assert_eq!((reply.status.as_u16(), reply.header("content-type")), (200, "application/json"));
        let mut answer = reply.json();
        let id = reply.order_id();
        let read = shop.get(&format!("/orders/{id}")).await;
        assert_eq!((read.status.as_u16(), read.json()), (200, answer.clone()));
        for time in ["processed_at", "created_at"] {
            let time = answer[time].take();
            assert!(time.as_str().unwrap().starts_with("2026-01-01T00:00:"), "{time}");
        }
        let expected = json!({
            "order_id": id.to_string(), "product_id": "PROD001", "quantity": 2, "customer_id": "CUST001", "status": "confirmed",
            "total_price": 58, "processed_at": null, "created_at": null,
        });
        assert_eq!(answer, expected);
        assert!(reply.text().contains("\"total_price\":58,"), "an integer when whole: {}", reply.text());
    }
    assert_eq!(stock(&shop, "PROD001").await, 96);
}

#[tokio::test]
async fn the_processor_answers_with_less() {
    let shop = shop(patient()).await;
    let reply = decide(&shop, "/process-order", request("CENTS", 1), async |id| shop.confirm(id).await).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let answer = reply.json();
    assert_eq!(answer.as_object().unwrap().len(), 3, "{answer}");
    assert_eq!((&answer["status"], &answer["total_price"]), (&json!("confirmed"), &json!(19.99)));
    assert!(answer["processed_at"].is_string());
}

#[tokio::test]
async fn totals_are_exact_in_the_configured_currency() {
    for (currency, amount_minor, quantity, text) in
        [("JPY", 500, 3, "1500"), ("KWD", 1_125, 1, "1.125"), ("EUR", 10, 3, "0.3"), ("USD", 1_999, 7, "139.93")]
    {
        let wire = WireSettings { order_api_currency: currency.parse().unwrap(), ..patient().wire };
        let shop = shop(Settings { wire, ..Settings::default() }).await;
        let price = json!({ "amount_minor": amount_minor, "currency": currency });
        shop.put("/v1/products/P", &[], json!({ "name": "P", "price": price })).await;
        shop.put("/v1/stock/P", &[], json!({ "available": 10 })).await;
        let reply = decide(&shop, "/orders/", request("P", quantity), async |id| shop.confirm(id).await).await;
        assert!(reply.text().contains(&format!("\"total_price\":{text},")), "{currency}: {}", reply.text());
    }
}

#[tokio::test]
async fn what_is_declined_is_402() {
    let shop = shop(patient()).await;
    for path in ["/orders/", "/process-order"] {
        let declined = decide(&shop, path, request("PROD001", 1), async |id| refuse_payment(&shop, id).await).await;
        let capture = decide(&shop, path, request("PROD001", 1), async |id| {
            shop.pay(id).await;
            shop.submit(Body::Reserve { order_id: id }).await;
            refuse_payment(&shop, id).await;
        });
        for reply in [declined, capture.await] {
            assert_eq!((reply.status.as_u16(), reply.json()), (402, json!({ "detail": "Payment declined" })));
        }
    }
    assert_eq!(stock(&shop, "PROD001").await, 100);
}

#[tokio::test]
async fn what_is_short_or_unknown_is_400() {
    let shop = shop(patient()).await;
    let euro = json!({ "name": "Stuhl", "price": { "amount_minor": 100, "currency": "EUR" } });
    shop.put("/v1/products/EURO", &[], euro).await;
    shop.put("/v1/stock/EURO", &[], json!({ "available": 10 })).await;
    for path in ["/orders/", "/orders", "/process-order"] {
        let short = decide(&shop, path, request("PROD002", 51), async |id| {
            shop.pay(id).await;
            shop.submit(Body::Reserve { order_id: id }).await;
        });
        let unknown = shop.post(path, request("GHOST", 1)).await;
        let foreign = shop.post(path, request("EURO", 1)).await;
        for reply in [short.await, unknown, foreign] {
            assert_eq!((reply.status.as_u16(), reply.json()), (400, json!({ "detail": "Insufficient inventory" })));
        }
    }
    assert_eq!(stock(&shop, "PROD002").await, 50);
}

#[tokio::test]
async fn what_a_person_cancels_meanwhile_is_409() {
    let shop = shop(patient()).await;
    let reply = decide(&shop, "/orders/", request("PROD001", 1), async |order_id| {
        shop.submit(Body::Cancel { order_id, reason: "changed my mind".into() }).await;
    });
    let reply = reply.await;
    assert_eq!((reply.status.as_u16(), reply.json()), (409, json!({ "detail": "The order was cancelled" })));
}

#[tokio::test]
async fn an_order_is_read_in_every_state() {
    let shop = shop(patient()).await;
    let read = async |id: &str| shop.get(&format!("/orders/{id}")).await;
    let (waiting, id) = send(&shop, "/orders/", &[], request("CENTS", 1)).await;
    let placed = read(&id.to_string()).await.json();
    assert_eq!((&placed["status"], &placed["processed_at"]), (&json!("placed"), &Value::Null));
    assert_eq!(placed["total_price"], 19.99);
    shop.confirm(id).await;
    let confirmed = waiting.await.unwrap().json();
    let cancel = shop.post(&format!("/v1/orders/{id}/cancel"), json!({})).await;
    assert_eq!(cancel.status, 200);
    let later = read(&id.to_string()).await.json();
    assert_eq!(later["status"], "cancelled");
    assert_eq!(later["processed_at"], confirmed["processed_at"], "it was decided when it was confirmed");
    let (waiting, id) = send(&shop, "/orders/", &[], request("CENTS", 1)).await;
    refuse_payment(&shop, id).await;
    waiting.await.unwrap();
    let rejected = read(&id.to_string()).await.json();
    assert_eq!(rejected["status"], "rejected");
    assert!(rejected["processed_at"].is_string());
}

#[tokio::test]
async fn what_is_no_order_of_this_api_is_404() {
    let shop = shop(patient()).await;
    let lines = json!({ "customer_id": "c", "lines": [line("PROD001", 1), line("PROD002", 1)] });
    let two_products = shop.post("/v1/orders", lines).await.order_id().to_string();
    let euro = json!({ "name": "Stuhl", "price": { "amount_minor": 100, "currency": "EUR" } });
    shop.put("/v1/products/EURO", &[], euro).await;
    let foreign = shop.place("EURO").await.to_string();
    for id in ["ord_00000000000000000000000000000000", "nonsense", "%FF", &two_products, &foreign] {
        let reply = shop.get(&format!("/orders/{id}")).await;
        assert_eq!((reply.status.as_u16(), reply.json()), (404, json!({ "detail": "Order not found" })), "{id}");
    }
    let other = shop.place("PROD001").await;
    assert_eq!(
        shop.get(&format!("/orders/{other}")).await.json()["customer_id"],
        "customer-1",
        "orders of /v1 are orders"
    );
}

#[tokio::test]
async fn a_customers_orders_are_read_newest_first_in_a_window() {
    let shop = shop(patient()).await;
    let mut placed = Vec::new();
    for _ in 0..3 {
        let reply = decide(&shop, "/orders/", request("PROD001", 1), async |id| shop.confirm(id).await).await;
        placed.push((reply.order_id(), reply.json()["created_at"].as_str().unwrap().to_owned()));
    }
    let list = format!("/v1/orders?customer_id=CUST001&from={}&to={}", placed[0].1, placed[2].1);
    let page = shop.get(&list).await.json();
    let ids: Vec<&str> =
        page["orders"].as_array().unwrap().iter().map(|order| order["order_id"].as_str().unwrap()).collect();
    assert_eq!(ids, [placed[1].0.to_string(), placed[0].0.to_string()]);
    assert!(order(&shop, placed[2].0).await["metadata"].is_null());
}
