//! S2: `/orders/`, `/orders/{id}`, `/process-order`, `/health`.

mod access;
mod failures;
mod gone;
mod invalid;
mod ledger;
mod outcomes;
mod patience;

use std::time::Duration;

use ordermill_core::id::OrderId;
use ordermill_core::input::{Body, PaymentAnswer, PaymentResult};
use ordermill_core::payment::{DeclineReason, due_request};
use ordermill_http::{Settings, WireSettings};
use ordermill_ports::Queries as _;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::{Reply, Shop};

const PLACES: [&str; 2] = ["/orders/", "/orders"];

fn request(product: &str, quantity: i64) -> Value {
    json!({ "product_id": product, "quantity": quantity, "customer_id": "CUST001" })
}

/// Settings under which nobody gets impatient.
fn patient() -> Settings {
    let wire = WireSettings { order_api_patience: Duration::from_secs(3_600), ..WireSettings::default() };
    Settings { wire, ..Settings::default() }
}

/// A shop with the published products.
async fn shop(settings: Settings) -> Shop {
    let shop = Shop::with(settings, 1_000);
    for (product, amount_minor, stock) in [("PROD001", 2_900, 100), ("PROD002", 4_900, 50), ("CENTS", 1_999, 10)] {
        let price = json!({ "amount_minor": amount_minor, "currency": "USD" });
        shop.put(&format!("/v1/products/{product}"), &[], json!({ "name": product, "price": price })).await;
        shop.put(&format!("/v1/stock/{product}"), &[], json!({ "available": stock })).await;
    }
    shop
}

/// Sends a request that waits, and gives the order it has placed.
async fn send(
    shop: &Shop,
    path: &'static str,
    headers: &'static [(&str, &str)],
    body: Value,
) -> (JoinHandle<Reply>, OrderId) {
    let before = shop.order_count().await;
    let waiting = {
        let shop = shop.clone();
        tokio::spawn(async move { shop.post_with(path, headers, body).await })
    };
    loop {
        let orders = shop.get("/v1/orders").await.json();
        let orders = orders["orders"].as_array().unwrap();
        if orders.len() > before {
            return (waiting, orders[0]["order_id"].as_str().unwrap().parse().unwrap());
        }
        assert!(!waiting.is_finished(), "answered without an order: {:?}", waiting.await);
        tokio::task::yield_now().await;
    }
}

/// Places an order and has it decided while the client waits.
async fn decide(shop: &Shop, path: &'static str, body: Value, decide: impl AsyncFnOnce(OrderId)) -> Reply {
    let (waiting, id) = send(shop, path, &[], body).await;
    decide(id).await;
    waiting.await.unwrap()
}

/// Refuses the payment that is due next.
async fn refuse_payment(shop: &Shop, order_id: OrderId) {
    let order = shop.store.order(order_id).await.unwrap().unwrap();
    let due = due_request(&order).unwrap();
    let answer = PaymentAnswer::Refused { reason: DeclineReason::Declined };
    shop.submit(Body::PaymentResult(PaymentResult { key: due.key, answer })).await;
}

async fn stock(shop: &Shop, product: &str) -> Value {
    shop.get(&format!("/v1/stock/{product}")).await.json()["available"].clone()
}

async fn order(shop: &Shop, id: OrderId) -> Value {
    shop.get(&format!("/v1/orders/{id}")).await.json()
}

/// The order once it is cancelled.
async fn cancelled(shop: &Shop, id: OrderId) -> Value {
    for _ in 0..10_000 {
        let order = order(shop, id).await;
        if order["status"] == "cancelled" {
            return order;
        }
        tokio::task::yield_now().await;
        std::thread::sleep(Duration::from_micros(200));
    }
    panic!("it is not cancelled: {}", order(shop, id).await);
}
