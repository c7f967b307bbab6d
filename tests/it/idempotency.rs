//! The same key and the same body give the first answer, for ever; another body is refused.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Server, Shop, wait_for_mails};

async fn place(shop: &Shop, key: &str, order: Value) -> crate::support::Answer {
    shop.send(Method::POST, "/v1/orders", &[("Idempotency-Key", key)], Some(order)).await
}

#[tokio::test]
async fn the_same_request_again_has_the_same_answer_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut server = Server::start(&data);
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1000, 10).await;
    let first = place(&shop, "key-1", Shop::order("P1", 1)).await;
    assert_eq!(first.status, 202);
    let quoted = place(&shop, "\"key-1\"", Shop::order("P1", 1)).await;
    assert_eq!(quoted.text, first.text, "a quoted key is the same key");
    assert_eq!(quoted.headers["idempotent-replayed"], "true");
    shop.wait_for_event(&first.order_id(), "order.confirmed").await;

    server.kill();
    let server = Server::start(&data);
    let shop = Shop::of(&server);
    let again = place(&shop, "key-1", Shop::order("P1", 1)).await;
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    wait_for_mails(&data, 1);
    assert_eq!(shop.stock("P1").await["sold"], 1);
}

#[tokio::test]
async fn the_same_key_with_another_body_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1000, 10).await;
    place(&shop, "key-1", Shop::order("P1", 1)).await;
    let other = place(&shop, "key-1", Shop::order("P1", 2)).await;
    assert_eq!((other.status.as_u16(), other.code()), (422, "idempotency_key_reused"), "{other:?}");
    assert_eq!(other.headers["content-type"], "application/problem+json");
    assert_eq!(shop.get("/v1/orders").await.body["orders"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn concurrent_twins_are_one_order() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1000, 100).await;
    for round in 0..20 {
        let key = format!("twin-{round}");
        let answers = join_all((0..8).map(|_| place(&shop, &key, Shop::order("P1", 1)))).await;
        let first = &answers[0];
        assert!(answers.iter().all(|answer| answer.text == first.text && answer.status == 202), "{answers:?}");
    }
    assert_eq!(shop.get("/v1/orders?limit=100").await.body["orders"].as_array().unwrap().len(), 20);
    wait_for_mails(&server.data, 20);
    assert_eq!(shop.stock("P1").await["sold"], 20);
}

#[tokio::test]
async fn an_order_reference_is_one_order() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1000, 10).await;
    let with_ref = |quantity| {
        let mut order = Shop::order("P1", quantity);
        order["order_ref"] = "shop-1".into();
        order
    };
    let first = shop.post("/v1/orders", with_ref(1)).await;
    let same = shop.post("/v1/orders", with_ref(1)).await;
    assert_eq!(same.order_id(), first.order_id());
    let other = shop.post("/v1/orders", with_ref(2)).await;
    assert_eq!((other.status.as_u16(), other.code()), (409, "order_ref_taken"), "{other:?}");
}

#[tokio::test]
async fn a_change_of_stock_with_a_key_happens_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1000, 10).await;
    for _ in 0..3 {
        let body = json!({ "delta": -3, "reason": "broken" });
        let answer =
            shop.send(Method::POST, "/v1/stock/P1/adjust", &[("Idempotency-Key", "adjust-1")], Some(body)).await;
        assert_eq!((answer.status.as_u16(), &answer.body["available"]), (200, &json!(7)), "{answer:?}");
    }
    assert_eq!(shop.stock("P1").await["available"], 7);
}
