//! S1: order, inventory, product and user services.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Server, Shop};

const TOKENS: &str = "[{token=\"env:SELLER\", subject=\"user-1\", scopes=[\"orders:write\", \"orders:read\"]}, \
                       {token=\"env:READER\", subject=\"user-2\", scopes=[\"orders:read\"]}]";

fn start(folder: &std::path::Path) -> Server {
    Server::start_with(
        folder,
        &[("ORDERMILL_AUTH__TOKENS", TOKENS), ("SELLER", "seller-token"), ("READER", "reader-token")],
    )
}

async fn place(shop: &Shop, token: Option<&str>, body: Value) -> Answer {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<(&str, &str)> = bearer.iter().map(|bearer| ("Authorization", bearer.as_str())).collect();
    shop.send(Method::POST, "/v1/order/", &headers, Some(body)).await
}

#[tokio::test]
async fn an_order_with_a_token_is_stored_as_its_subjects() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path());
    let shop = Shop::of(&server);
    assert_eq!(shop.get("/v1/health/").await.body, json!({ "status": "OK" }));
    shop.stock_product("P1", 1_000, 10).await;
    for body in [
        json!({ "product_id": "P1", "quantity": 2 }),
        json!({ "message": "hello", "product_id": "P1", "quantity": 1 }),
        json!({ "lines": [{ "product_id": "P1", "quantity": 1 }] }),
    ] {
        let answer = place(&shop, Some("seller-token"), body.clone()).await;
        assert!(answer.status.is_success(), "{body}: {answer:?}");
        let id = answer.order_id();
        assert_eq!(answer.body["message"], json!(format!("Processed order:{id}")));
        let order = shop.wait_for(&id, |order| order["status"] == "confirmed").await;
        assert_eq!(order["customer_id"], "user-1");
    }
    assert_eq!(shop.stock("P1").await["available"], 6);
    assert!(!server.log_text().contains("seller-token"));
}

#[tokio::test]
async fn who_may_not_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path());
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1_000, 10).await;
    let good = json!({ "product_id": "P1", "quantity": 1 });
    for (token, status) in [(None, 401), (Some("wrong"), 401), (Some(""), 401), (Some("reader-token"), 403)] {
        let answer = place(&shop, token, good.clone()).await;
        assert_eq!(answer.status, status, "{token:?}: {answer:?}");
        assert!(answer.body["message"].is_string(), "{answer:?}");
    }
    let alone = place(&shop, Some("seller-token"), json!({ "message": "hello" })).await;
    assert_eq!(alone.status, 400);
    let words = alone.body["message"].as_str().unwrap();
    assert!(words.contains("product_id") && words.contains("quantity"), "{words}");
    for bad in [
        json!({ "product_id": "P1", "quantity": 0 }),
        json!({ "product_id": "P1", "quantity": "two" }),
        json!({ "product_id": "P1" }),
        json!([]),
    ] {
        let answer = place(&shop, Some("seller-token"), bad.clone()).await;
        assert_eq!(answer.status, 400, "{bad}: {answer:?}");
        assert!(answer.body["message"].is_string(), "{answer:?}");
    }
    let unknown = place(&shop, Some("seller-token"), json!({ "product_id": "P9", "quantity": 1 })).await;
    assert_eq!(unknown.status, 404, "{unknown:?}");
    assert_eq!(shop.stock("P1").await["available"], 10);
    assert!(shop.get("/v1/orders").await.body["orders"].as_array().unwrap().is_empty());
}

/// Reads, changes with the version that was read, loses against somebody who was faster, deletes, and finds it again.
#[tokio::test]
async fn products_and_customers_are_real_services() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path());
    let shop = Shop::of(&server);
    let price = json!({ "amount_minor": 500, "currency": "USD" });
    for (path, first, second) in [
        ("/v1/products/P1", json!({ "name": "One", "price": price }), json!({ "name": "Two", "price": price })),
        ("/v1/customers/C1", json!({ "name": "One", "email": "c1@example.com" }), json!({ "name": "Two" })),
        ("/v1/users/U1", json!({ "name": "One" }), json!({ "name": "Two" })),
    ] {
        let list = path.rsplit_once('/').unwrap().0;
        assert_eq!(shop.get(path).await.status, 404, "{path}");
        let put = shop.send(Method::PUT, path, &[], Some(first)).await;
        assert!(put.status.is_success(), "{path}: {put:?}");
        let etag = put.headers["etag"].to_str().unwrap().to_owned();
        let changed = shop.send(Method::PUT, path, &[("If-Match", &etag)], Some(second.clone())).await;
        assert!(changed.status.is_success(), "{path}: {changed:?}");
        let stale = shop.send(Method::PUT, path, &[("If-Match", &etag)], Some(second)).await;
        assert_eq!(stale.status, 412, "{path}: {stale:?}");
        let etag = changed.headers["etag"].to_str().unwrap().to_owned();
        let unchanged = shop.send(Method::GET, path, &[("If-None-Match", &etag)], None).await;
        assert_eq!(unchanged.status, 304, "{path}");
        let stale = shop.send(Method::DELETE, path, &[("If-Match", "\"1\"")], None).await;
        assert_eq!(stale.status, 412, "{path}: {stale:?}");
        let deleted = shop.send(Method::DELETE, path, &[("If-Match", &etag)], None).await;
        assert!(deleted.status.is_success(), "{path}: {deleted:?}");
        assert_eq!(shop.get(path).await.status, 404, "{path} is deleted");
        assert!(!shop.get(list).await.text.contains("\"Two\""), "{list}");
        assert!(
            shop.get(&format!("{list}?deleted=true")).await.text.contains("\"Two\""),
            "{list} with what was deleted"
        );
    }
    let bad = shop.send(Method::PUT, "/v1/customers/C2", &[], Some(json!({ "name": "", "email": "nobody" }))).await;
    assert_eq!((bad.status.as_u16(), bad.body["errors"].as_array().map(Vec::len)), (422, Some(2)), "{bad:?}");
}

#[tokio::test]
async fn a_deleted_product_cannot_be_ordered() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path());
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1_000, 10).await;
    assert!(shop.send(Method::DELETE, "/v1/products/P1", &[], None).await.status.is_success());
    assert_eq!(shop.post("/v1/orders", Shop::order("P1", 1)).await.code(), "unknown_product");
    shop.stock_product("P1", 1_000, 10).await;
    assert_eq!(shop.place_and_wait(Shop::order("P1", 1)).await.body["status"], "confirmed");
}

/// A poller of the change feed sees each new order once, and nothing of what becomes of it.
#[tokio::test]
async fn a_poller_sees_new_orders_only() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path());
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1_000, 100).await;
    let mut placed = Vec::new();
    for _ in 0..20 {
        placed.push(shop.place_and_wait(Shop::order("P1", 1)).await.order_id());
    }
    assert_eq!(shop.post(&format!("/v1/orders/{}/cancel", placed[0]), json!({})).await.status, 200);
    let (mut seen, mut cursor) = (Vec::new(), None::<String>);
    for _ in 0..100 {
        let after = cursor.as_ref().map_or(String::new(), |cursor| format!("&cursor={cursor}"));
        let page = shop.get(&format!("/v1/events?subject=order&change=insert&limit=7{after}")).await;
        assert_eq!(page.status, 200, "{page:?}");
        for event in page.body["events"].as_array().unwrap() {
            assert_eq!(event["type"], "order.placed");
            seen.push(event["subject"].as_str().unwrap().to_owned());
        }
        let next = page.body["next"].as_str().map(str::to_owned);
        if next == cursor {
            break;
        }
        cursor = next;
    }
    assert_eq!(seen, placed);
}

#[tokio::test]
async fn other_origins_are_let_in_by_name_only() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &[("ORDERMILL_HTTP__CORS_ORIGINS", "[\"https://shop.example\"]")]);
    let shop = Shop::of(&server);
    for (origin, allowed) in [("https://shop.example", true), ("https://elsewhere.example", false)] {
        let headers = [("Origin", origin), ("Access-Control-Request-Method", "POST")];
        let answer = shop.send(Method::OPTIONS, "/v1/orders", &headers, None).await;
        let granted = answer.headers.get("access-control-allow-origin").and_then(|value| value.to_str().ok());
        assert_eq!(granted == Some(origin), allowed, "{answer:?}");
    }
}
