//! Stock is never sold twice, however many callers race.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{PATIENCE, Server, Shop, order_line, wait_for_mails};

#[tokio::test]
async fn two_orders_for_the_last_unit() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1000, 1).await;

    let (a, b) = tokio::join!(shop.place_and_wait(Shop::order("P1", 1)), shop.place_and_wait(Shop::order("P1", 1)));

    let mut statuses = [&a.body["status"], &b.body["status"]].map(|status| status.as_str().unwrap());
    statuses.sort_unstable();
    assert_eq!(statuses, ["confirmed", "rejected"]);
    let loser = if a.body["status"] == "rejected" { &a } else { &b };
    assert_eq!(loser.body["reason"], "out_of_stock");
    let timeline = shop.wait_for_event(&loser.order_id(), "payment.voided").await;
    assert!(!timeline.contains(&"payment.captured".to_owned()), "{timeline:?}");
    assert_eq!(shop.stock("P1").await["available"], 0);
    assert_eq!(shop.stock("P1").await["sold"], 1);
}

/// Places one of many orders, again when the server is too busy to say what became of it: one reference is one order.
async fn place(shop: &Shop, number: usize) -> String {
    let mut order = Shop::order("HOT", 1);
    order["order_ref"] = number.to_string().into();
    let deadline = Instant::now() + PATIENCE * 2;
    loop {
        let answer = shop.place_and_wait(order.clone()).await;
        if answer.status != 503 {
            return answer.order_id();
        }
        assert!(Instant::now() < deadline, "{answer:?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test]
async fn a_thousand_at_once_on_one_product() {
    const ORDERS: usize = 1_000;
    const UNITS: usize = 100;
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let shop = Shop::of(&server);
    shop.stock_product("HOT", 1999, UNITS as i64).await;

    let placed = join_all((0..ORDERS).map(|number| place(&shop, number))).await;

    // A slow machine does not decide all of them while their callers wait.
    let is_decided = |order: &Value| order["status"] == "confirmed" || order["status"] == "rejected";
    let mut orders = Vec::new();
    for id in &placed {
        orders.push(shop.wait_for(id, is_decided).await);
    }
    let with_status = |status: &str| orders.iter().filter(|order| order["status"] == status).count();
    assert_eq!(with_status("confirmed"), UNITS, "exactly what is in stock is sold");
    assert_eq!(with_status("rejected"), ORDERS - UNITS);
    let stock = shop.stock("HOT").await;
    assert_eq!((&stock["available"], &stock["reserved"], &stock["sold"]), (&json!(0), &json!(0), &json!(UNITS)));
    for loser in orders.iter().filter(|order| order["status"] == "rejected") {
        shop.wait_for_event(loser["order_id"].as_str().unwrap(), "payment.voided").await;
    }
    wait_for_mails(&server.data, ORDERS);
}

#[tokio::test]
async fn two_lines_of_one_product_count_together() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1000, 3).await;
    let order =
        |first, second| json!({ "customer_id": "c", "lines": [order_line("P1", first), order_line("P1", second)] });

    let too_many = shop.place_and_wait(order(2, 2)).await;
    assert_eq!(too_many.body["status"], "rejected");
    assert_eq!(too_many.body["short"], json!([{ "product_id": "P1", "missing": 1 }]));

    let enough = shop.place_and_wait(order(1, 2)).await;
    assert_eq!(enough.body["status"], "confirmed");
    assert_eq!(shop.stock("P1").await["available"], 0);
}

#[tokio::test]
async fn a_cancelled_order_gives_its_stock_and_its_money_back() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1000, 5).await;
    let placed = shop.place_and_wait(Shop::order("P1", 2)).await;
    assert_eq!(shop.stock("P1").await["sold"], 2);

    let id = placed.order_id();
    let cancelled = shop.post(&format!("/v1/orders/{id}/cancel"), json!({ "reason": "changed my mind" })).await;
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    assert_eq!(cancelled.body["status"], "cancelled");

    shop.wait_for_event(&id, "payment.refunded").await;
    let stock = shop.stock("P1").await;
    assert_eq!((&stock["available"], &stock["sold"]), (&json!(5), &json!(0)));
    let again = shop.post(&format!("/v1/orders/{id}/cancel"), json!({})).await;
    assert_eq!(again.body["status"], "cancelled", "to cancel twice is to cancel once");
    // Confirmed, cancelled, refunded.
    wait_for_mails(&server.data, 3);
}
