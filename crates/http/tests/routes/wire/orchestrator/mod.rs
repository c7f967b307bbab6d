//! S3: `/order-management`, and the invocation of its function.

mod entry;
mod invalid;
mod invoke;

use ordermill_http::{Settings, WireSettings};
use ordermill_ports::Queries as _;
use serde_json::{Value, json};

use crate::support::Shop;

const INVOKE: &str = "/2015-03-31/functions/order-management/invocations";
const ENTRIES: [&str; 2] = ["/order-management", INVOKE];

fn order(transaction: &str) -> Value {
    json!({
        "transactionId": transaction, "customerId": 42, "customerEmail": "buyer@example.com", "productId": 7,
        "quantity": 2, "price": 19.99, "transactionTime": "2024-05-01T12:00:00", "shippingAddress": "1 Main Street",
        "paymentMethod": "Credit Card",
    })
}

fn processed() -> Value {
    json!({ "statusCode": 200, "body": "Order processed successfully" })
}

fn invalid() -> Value {
    json!({ "statusCode": 400, "body": "Invalid order data" })
}

/// Settings as the program sets them with the sandbox.
fn sandbox() -> Settings {
    Settings { wire: WireSettings { free_text_payment_is_ok: true, ..WireSettings::default() }, ..Settings::default() }
}

/// A shop with product 7 for 19.99 USD.
async fn shop(settings: Settings) -> Shop {
    let shop = Shop::with(settings, 1_000);
    shop.stock("7", 100).await;
    shop
}

/// The order of a transaction.
async fn stored(shop: &Shop, transaction: &str) -> Value {
    let page = shop.get(&format!("/v1/orders?q={transaction}")).await.json();
    let orders = page["orders"].as_array().unwrap();
    assert_eq!(orders.len(), 1, "{page}");
    orders[0].clone()
}

/// How the order of a transaction is paid.
async fn payment_method(shop: &Shop, transaction: &str) -> String {
    let id = stored(shop, transaction).await["order_id"].as_str().unwrap().parse().unwrap();
    shop.store.order(id).await.unwrap().unwrap().placement.payment_method.to_string()
}
