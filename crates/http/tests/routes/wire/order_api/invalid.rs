//! Requests that are not valid, in FastAPI's words.

use http::Method;
use serde_json::{Value, json};

use super::{patient, request, shop};
use crate::support::Reply;

const PATHS: [&str; 3] = ["/orders/", "/orders", "/process-order"];

fn errors(reply: &Reply) -> Vec<(String, Value)> {
    assert_eq!(reply.status, 422, "{}", reply.text());
    let detail = reply.json()["detail"].take();
    let errors = detail.as_array().unwrap_or_else(|| panic!("{detail}"));
    assert!(!errors.is_empty());
    let read = |error: &Value| {
        assert!(error["msg"].is_string() && error.get("input").is_some(), "{error}");
        (error["type"].as_str().unwrap().to_owned(), error["loc"].clone())
    };
    errors.iter().map(read).collect()
}

#[tokio::test]
async fn each_error_has_its_type_and_place() {
    let shop = shop(patient()).await;
    let body = |field: &str, value: Value| {
        let mut body = request("PROD001", 1);
        body[field] = value;
        body
    };
    for (body, kind, field) in [
        (body("quantity", json!(0)), "greater_than_equal", "quantity"),
        (body("quantity", json!(-1)), "greater_than_equal", "quantity"),
        (body("quantity", json!("0")), "greater_than_equal", "quantity"),
        (body("quantity", json!(-1.0)), "greater_than_equal", "quantity"),
        (body("quantity", json!(i64::MIN)), "greater_than_equal", "quantity"),
        (body("quantity", json!(1_000_001)), "value_error", "quantity"),
        (body("quantity", json!(u64::MAX)), "int_type", "quantity"),
        (body("quantity", json!(1.5)), "int_from_float", "quantity"),
        (body("quantity", json!(1e30)), "int_type", "quantity"),
        (body("quantity", json!("many")), "int_parsing", "quantity"),
        (body("quantity", json!(true)), "int_type", "quantity"),
        (body("quantity", Value::Null), "int_type", "quantity"),
        (body("product_id", json!(7)), "string_type", "product_id"),
        (body("product_id", json!(" ")), "value_error", "product_id"),
        (body("customer_id", json!([])), "string_type", "customer_id"),
        (body("customer_id", json!("x".repeat(129))), "value_error", "customer_id"),
        (body("payment_method", json!(1)), "string_type", "payment_method"),
    ] {
        for path in PATHS {
            let reply = shop.post(path, body.clone()).await;
            assert_eq!(errors(&reply), [(kind.to_owned(), json!(["body", field]))], "{path} {body}");
        }
    }
    assert_eq!(shop.order_count().await, 0);
}

#[tokio::test]
async fn the_published_error_is_told_in_full() {
    let shop = shop(patient()).await;
    let reply = shop.post("/orders/", request("PROD001", 0)).await;
    let expected = json!({ "detail": [{
        "type": "greater_than_equal", "loc": ["body", "quantity"], "msg": "Input should be greater than or equal to 1",
        "input": 0, "ctx": { "ge": 1 },
    }]});
    assert_eq!((reply.status.as_u16(), reply.json()), (422, expected));
    let reply = shop.post("/orders/", json!({ "product_id": "PROD001", "quantity": 1 })).await;
    let expected = json!({ "detail": [{
        "type": "missing", "loc": ["body", "customer_id"], "msg": "Field required",
        "input": { "product_id": "PROD001", "quantity": 1 },
    }]});
    assert_eq!((reply.status.as_u16(), reply.json()), (422, expected));
}

#[tokio::test]
async fn a_body_that_is_no_object_is_422() {
    let shop = shop(patient()).await;
    for (text, kind) in [
        ("", "missing"),
        ("{", "json_invalid"),
        ("{\"quantity\":1e999}", "json_invalid"),
        ("[]", "model_attributes_type"),
        ("null", "model_attributes_type"),
    ] {
        let reply = shop.post_bytes("/orders/", text.to_owned()).await;
        assert_eq!(errors(&reply)[0].0, kind, "{text}");
    }
    let deep = "[".repeat(100_000);
    assert_eq!(errors(&shop.post_bytes("/orders/", deep).await)[0].0, "json_invalid");
    let order = request("PROD001", 1).to_string();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/xml"] {
        let reply = shop.send(Method::POST, "/orders/", &[("content-type", kind)], order.clone()).await;
        assert_eq!(errors(&reply)[0].0, "model_attributes_type", "{kind}");
    }
    let reply = shop.send(Method::POST, "/orders/", &[], "{}").await;
    assert_eq!(errors(&reply)[0].0, "missing", "without a type it is JSON, as FastAPI has it");
}

#[tokio::test]
async fn an_idempotency_key_is_checked_too() {
    let shop = shop(patient()).await;
    let reply = shop.post_with("/orders/", &[("idempotency-key", "\"open")], request("PROD001", 1)).await;
    assert_eq!(errors(&reply), [("value_error".to_owned(), json!(["header", "idempotency-key"]))]);
}

#[tokio::test]
async fn other_methods_are_405_in_this_apis_words() {
    let shop = shop(patient()).await;
    for path in ["/orders/", "/orders", "/process-order", "/health"] {
        let reply = shop.send(Method::DELETE, path, &[], "").await;
        assert_eq!(reply.status, 405);
        assert!(!reply.header("allow").is_empty(), "{path}");
        assert!(reply.json()["detail"].is_string(), "{path}");
    }
}
