//! Bad input gets a clear problem that names the field, makes no order, and leaves the server well.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Answer, Server, Shop, order_line};

async fn shop(folder: &tempfile::TempDir) -> (Server, Shop) {
    let server = Server::start(&folder.path().join("data"));
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1000, 100).await;
    (server, shop)
}

async fn post_bytes(shop: &Shop, body: impl Into<Vec<u8>>) -> Answer {
    shop.try_send(Method::POST, "/v1/orders", &[], Some(body.into())).await.unwrap()
}

/// Fields that a problem names.
fn fields(answer: &Answer) -> Vec<&str> {
    let errors = answer.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    errors.iter().map(|error| error["field"].as_str().unwrap()).collect()
}

fn assert_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert!(answer.body["type"].as_str().is_some_and(|kind| kind.contains(code)), "{answer:?}");
    assert!(answer.body["title"].is_string() && answer.body["detail"].is_string(), "{answer:?}");
}

async fn assert_no_orders(shop: &Shop) {
    assert_eq!(shop.get("/v1/orders").await.body["orders"], json!([]));
    let answer = shop.place_and_wait(Shop::order("P1", 1)).await;
    assert_eq!(answer.body["status"], "confirmed", "the server is well");
}

#[tokio::test]
async fn bodies_that_are_no_json() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, shop) = shop(&folder).await;
    assert_problem(&post_bytes(&shop, "").await, 400, "malformed_json");
    assert_problem(
        &post_bytes(&shop, r#"{"customer_id":"c","lines":[{"product_id":"P1","#).await,
        400,
        "malformed_json",
    );
    assert_problem(
        &post_bytes(&shop, b"{\"customer_id\":\"\xff\xfe\",\"lines\":[]}".to_vec()).await,
        400,
        "malformed_json",
    );
    assert_problem(&post_bytes(&shop, "[".repeat(100_000)).await, 400, "too_deep");
    let nested = format!("{{\"customer_id\":\"c\",\"metadata\":{}1{}}}", "{\"a\":".repeat(50), "}".repeat(50));
    assert_problem(&post_bytes(&shop, nested).await, 400, "too_deep");
    let huge = format!("{{\"customer_id\":\"{}\"}}", "c".repeat(1 << 20));
    assert_problem(&post_bytes(&shop, huge).await, 413, "body_too_large");
    let xml =
        shop.try_send(Method::POST, "/v1/orders", &[("content-type", "application/xml")], Some(b"<o/>".to_vec())).await;
    assert_problem(&xml.unwrap(), 415, "unsupported_media_type");
    assert_no_orders(&shop).await;
}

#[tokio::test]
async fn fields_of_the_wrong_type_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, shop) = shop(&folder).await;
    for (order, field) in [
        (json!({ "lines": [order_line("P1", 1)] }), "customer_id"),
        (json!({ "customer_id": 7, "lines": [order_line("P1", 1)] }), "customer_id"),
        (json!({ "customer_id": "c", "lines": "P1" }), "lines"),
        (json!({ "customer_id": "c", "lines": [{ "product_id": "P1", "quantity": "2" }] }), "lines[0].quantity"),
        (json!({ "customer_id": "c", "lines": [{ "product_id": "P1", "quantity": 1.5 }] }), "lines[0].quantity"),
        (json!({ "customer_id": "c", "lines": [order_line("P1", 1)], "colour": "red" }), "colour"),
    ] {
        let answer = shop.post("/v1/orders", order).await;
        assert_problem(&answer, 422, "invalid_order");
        assert!(answer.text.contains(field), "{field} is named: {answer:?}");
    }
    assert_no_orders(&shop).await;
}

#[tokio::test]
async fn values_out_of_range_are_all_named_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, shop) = shop(&folder).await;
    let answer = shop
        .post(
            "/v1/orders",
            json!({
                "customer_id": " ",
                "customer_email": "nobody",
                "currency": "dollars",
                "lines": [order_line("P1", -1), order_line("P1", 0), order_line("", 1), order_line("P1", i64::MAX)],
                "placed_at": "yesterday",
                "metadata": [],
            }),
        )
        .await;
    assert_problem(&answer, 422, "invalid_order");
    assert_eq!(
        fields(&answer),
        [
            "customer_id",
            "customer_email",
            "currency",
            "lines[0].quantity",
            "lines[1].quantity",
            "lines[2].product_id",
            "lines[3].quantity",
            "placed_at",
            "metadata"
        ]
    );
    for lines in [json!([]), Value::Array(vec![order_line("P1", 1); 501])] {
        let answer = shop.post("/v1/orders", json!({ "customer_id": "c", "lines": lines })).await;
        assert_problem(&answer, 422, "invalid_order");
        assert_eq!(fields(&answer), ["lines"]);
    }
    assert_no_orders(&shop).await;
}

#[tokio::test]
async fn what_the_catalogue_does_not_have() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, shop) = shop(&folder).await;
    let euros = json!({ "name": "Euro thing", "price": { "amount_minor": 100, "currency": "EUR" } });
    shop.send(Method::PUT, "/v1/products/EURO", &[], Some(euros)).await;
    let dear = json!({ "name": "Dear thing", "price": { "amount_minor": 999_999_999_999_999_i64, "currency": "USD" } });
    shop.send(Method::PUT, "/v1/products/DEAR", &[], Some(dear)).await;
    let order = |lines: Value| json!({ "customer_id": "c", "lines": lines });

    let unknown = shop.post("/v1/orders", order(json!([order_line("P1", 1), order_line("GHOST", 1)]))).await;
    assert_problem(&unknown, 422, "unknown_product");
    assert_eq!(fields(&unknown), ["lines[1].product_id"]);

    let mixed = shop.post("/v1/orders", order(json!([order_line("P1", 1), order_line("EURO", 1)]))).await;
    assert_problem(&mixed, 422, "mixed_currencies");

    let overflow = shop.post("/v1/orders", order(json!([order_line("DEAR", 1_000_000)]))).await;
    assert_problem(&overflow, 422, "total_too_large");

    let stale =
        json!([{ "product_id": "P1", "quantity": 1, "unit_price": { "amount_minor": 999, "currency": "USD" } }]);
    let price = shop.post("/v1/orders", order(stale)).await;
    assert_problem(&price, 422, "price_changed");
    assert_no_orders(&shop).await;
}

#[tokio::test]
async fn bulk_lines_fail_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, shop) = shop(&folder).await;
    let good = |reference: &str| {
        let mut order = Shop::order("P1", 1);
        order["order_ref"] = reference.into();
        order.to_string().into_bytes()
    };
    let lines = [
        good("a"),
        b"{\"customer_id\":".to_vec(),
        b"{\"customer_id\":\"\xff\"}".to_vec(),
        good("b"),
        Vec::new(),
        good("a"),
    ];
    let body = lines.join(&b'\n');
    let answer = shop
        .try_send(Method::POST, "/v1/orders", &[("content-type", "application/x-ndjson")], Some(body))
        .await
        .unwrap();
    assert_eq!(answer.status, 200);
    let results: Vec<Value> = answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(results.len(), 5, "a blank line is passed over: {}", answer.text);
    assert_eq!(results[0]["line"], 1);
    assert_eq!(results[1]["problem"]["code"], "malformed_json");
    assert_eq!(results[2]["problem"]["code"], "malformed_json");
    assert_eq!(results[3]["line"], 4);
    assert_eq!(results[4]["line"], 6);
    assert_eq!(results[4]["order_id"], results[0]["order_id"], "the same reference is the same order");
}

#[tokio::test]
async fn slow_and_oversized_clients_are_shown_the_door() {
    let folder = tempfile::tempdir().unwrap();
    let environment = [("ORDERMILL_HTTP__HEAD_TIMEOUT", "500ms"), ("ORDERMILL_HTTP__BODY_TIMEOUT", "1s")];
    let server = Server::start_with(&folder.path().join("data"), &environment);
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1000, 100).await;
    let address = server.url.trim_start_matches("http://").to_owned();

    // A head that never ends, and a body that never comes.
    let mut head = TcpStream::connect(&address).await.unwrap();
    head.write_all(b"POST /v1/orders HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let mut body = TcpStream::connect(&address).await.unwrap();
    let promise =
        "POST /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    body.write_all(promise.as_bytes()).await.unwrap();
    for mut stream in [head, body] {
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "the connection was left open");
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    }

    let long = "x".repeat(200_000);
    let answer = shop.try_send(Method::GET, "/healthz", &[("x-long", long.as_str())], None).await;
    assert!(answer.map_or(true, |answer| answer.status == 431), "a head of 200 kB is refused");
}

#[tokio::test]
async fn many_slow_clients_do_not_keep_the_others_out() {
    let folder = tempfile::tempdir().unwrap();
    // They may be at their heads for longer than the others wait for anything.
    let server = Server::start_with(&folder.path().join("data"), &[("ORDERMILL_HTTP__HEAD_TIMEOUT", "10m")]);
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1000, 100).await;
    let address = server.url.trim_start_matches("http://").to_owned();
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(b"GET / HT").await.unwrap();
        slow.push(stream);
    }
    assert_no_orders(&shop).await;
}
