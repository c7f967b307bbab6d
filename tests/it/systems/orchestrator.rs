//! S3: the event-driven orchestrator.

use serde_json::{Value, json};

use crate::support::{Server, Shop, doctor, ordermill, wait_for_mails};

pub fn order(transaction: &str) -> Value {
    json!({
        "transactionId": transaction, "customerId": 42, "customerEmail": "buyer@example.com", "productId": 7,
        "quantity": 2, "price": 19.99, "transactionTime": "2024-05-01T12:00:00", "shippingAddress": "1 Main Street",
        "paymentMethod": "Credit Card",
    })
}

const INVOKE: &str = "/2015-03-31/functions/order-management/invocations";

fn processed() -> Value {
    json!({ "statusCode": 200, "body": "Order processed successfully" })
}

/// The order of this transaction, once it is decided.
async fn decided(shop: &Shop, transaction: &str) -> Value {
    let page = shop.get(&format!("/v1/orders?q={transaction}")).await;
    let id = page.body["orders"][0]["order_id"].as_str().unwrap_or_else(|| panic!("{page:?}")).to_owned();
    shop.wait_for(&id, |order| ["confirmed", "rejected"].contains(&order["status"].as_str().unwrap())).await
}

#[tokio::test]
async fn both_entries_take_an_order_to_its_mail() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let shop = Shop::of(&server);
    shop.stock_product("7", 1_999, 100).await;
    let invoked = shop.post(INVOKE, order("T-1")).await;
    assert_eq!((invoked.status.as_u16(), &invoked.body), (200, &processed()), "{invoked:?}");
    let posted = shop.post("/order-management", order("T-2")).await;
    assert_eq!(posted.status, 200, "{posted:?}");
    assert!(posted.text.contains("Order processed successfully"), "{posted:?}");
    for transaction in ["T-1", "T-2"] {
        let order = decided(&shop, transaction).await;
        assert_eq!(order["status"], "confirmed", "{order}");
        assert_eq!((&order["customer_id"], &order["order_ref"]), (&json!("42"), &json!(transaction)));
        assert_eq!(order["total"], json!({ "amount_minor": 3_998, "currency": "USD" }));
    }
    wait_for_mails(folder.path(), 2);
    assert_eq!(shop.stock("7").await["available"], 96);
    // The same transaction again is the same order; another order under it is none.
    assert_eq!(shop.post(INVOKE, order("T-1")).await.body, processed());
    let mut other = order("T-1");
    other["quantity"] = json!(3);
    assert_eq!(shop.post(INVOKE, other).await.body["statusCode"], 400);
    assert_eq!(shop.get("/v1/orders").await.body["orders"].as_array().unwrap().len(), 2);
    assert!(server.terminate().success());
    doctor(folder.path()).assert_clean();
}

#[tokio::test]
async fn every_step_has_both_outcomes() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let shop = Shop::of(&server);
    shop.stock_product("7", 1_999, 3).await;
    let cases: [(&str, &str, Value, &str); 5] = [
        ("T-declined", "paymentMethod", json!("declined"), "rejected"),
        ("T-short", "quantity", json!(5), "rejected"),
        ("T-price", "price", json!(18.99), "rejected"),
        ("T-unknown", "productId", json!("no-such"), "rejected"),
        ("T-bounced", "customerEmail", json!("bounce@example.com"), "confirmed"),
    ];
    for (transaction, field, value, status) in cases {
        let mut order = order(transaction);
        order[field] = value;
        let answer = shop.post(INVOKE, order).await;
        assert_eq!(answer.body, processed(), "taken, whatever becomes of it: {transaction}");
        let order = decided(&shop, transaction).await;
        assert_eq!(order["status"], status, "{transaction}: {order}");
        let told = if transaction == "T-bounced" { "notification.failed" } else { "notification.sent" };
        shop.wait_for_event(order["order_id"].as_str().unwrap(), told).await;
    }
    let stock = shop.stock("7").await;
    assert_eq!((&stock["available"], &stock["reserved"], &stock["sold"]), (&json!(1), &json!(0), &json!(2)));
    assert!(server.terminate().success());
    doctor(folder.path()).assert_clean();
}

#[tokio::test]
async fn what_is_no_order_is_answered_400() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let shop = Shop::of(&server);
    shop.stock_product("7", 1_999, 3).await;
    let mut bad = vec![json!({}), json!([]), json!("order"), json!(null)];
    for field in ["transactionId", "customerId", "customerEmail", "productId", "quantity", "price"] {
        let mut order = order("T-bad");
        order.as_object_mut().unwrap().remove(field);
        bad.push(order);
    }
    for (field, value) in [
        ("quantity", json!(0)),
        ("quantity", json!(-1)),
        ("price", json!("free")),
        ("customerEmail", json!("nobody")),
        ("transactionTime", json!("yesterday")),
    ] {
        let mut order = order("T-bad");
        order[field] = value;
        bad.push(order);
    }
    for body in bad {
        let invoked = shop.post(INVOKE, body.clone()).await;
        assert_eq!(invoked.body, json!({ "statusCode": 400, "body": "Invalid order data" }), "{body}: {invoked:?}");
        let posted = shop.post("/order-management", body.clone()).await;
        assert_eq!(posted.status, 400, "{body}: {posted:?}");
        assert!(posted.text.contains("Invalid order data"), "{posted:?}");
    }
    assert!(shop.get("/v1/orders").await.body["orders"].as_array().unwrap().is_empty());
}

/// What a page to look into topics and messages gives.
#[tokio::test]
async fn the_channels_are_there_under_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let shop = Shop::of(&server);
    shop.stock_product("7", 1_999, 3).await;
    shop.post(INVOKE, order("T-1")).await;
    let placed = decided(&shop, "T-1").await;
    wait_for_mails(folder.path(), 1);
    let run = |arguments: &[&str]| {
        let output = ordermill().args(arguments).args(["--url", &server.url]).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let list = run(&["bus", "list"]);
    let channels =
        ["order_queue", "payment_status_topic", "inventory_status_topic", "order-tracking.events", "records"];
    for channel in channels {
        assert!(list.contains(channel), "{channel}:\n{list}");
    }
    let id = placed["order_id"].as_str().unwrap();
    for (channel, kind) in [
        ("order_queue", "order.placed"),
        ("payment_status_topic", "payment.captured"),
        ("inventory_status_topic", "inventory.reserved"),
    ] {
        let messages = run(&["bus", "peek", channel, "--json"]);
        assert!(messages.contains(kind) && messages.contains(id), "{channel}: {messages}");
    }
    let payload = folder.path().join("order.json");
    std::fs::write(&payload, order("T-2").to_string()).unwrap();
    let answer = run(&["invoke", "order-management", "--payload", payload.to_str().unwrap()]);
    assert_eq!(serde_json::from_str::<Value>(&answer).unwrap(), processed());
}
