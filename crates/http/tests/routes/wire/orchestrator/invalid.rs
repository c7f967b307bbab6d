//! What is no order, at both entries.

use http::Method;
use serde_json::{Value, json};

use super::{ENTRIES, invalid, order, sandbox, shop};

#[tokio::test]
async fn what_has_not_the_shape_is_400() {
    let shop = shop(sandbox()).await;
    let mut bad = vec![json!({}), json!([]), json!([[]]), json!("order"), json!(null), json!(7)];
    for field in [
        "transactionId",
        "customerId",
        "customerEmail",
        "productId",
        "quantity",
        "price",
        "transactionTime",
        "shippingAddress",
    ] {
        let mut missing = order("T-bad");
        missing.as_object_mut().unwrap().remove(field);
        bad.push(missing);
        let mut null = order("T-bad");
        null[field] = Value::Null;
        bad.push(null);
    }
    for (field, value) in [
        ("transactionId", json!("")),
        ("transactionId", json!("x".repeat(129))),
        ("transactionId", json!(true)),
        ("customerId", json!({ "id": 1 })),
        ("customerEmail", json!("nobody")),
        ("customerEmail", json!(7)),
        ("productId", json!(" ")),
        ("quantity", json!(0)),
        ("quantity", json!(-1)),
        ("quantity", json!(1.5)),
        ("quantity", json!("2")),
        ("quantity", json!(1_000_001)),
        ("price", json!(-0.01)),
        ("price", json!("19.99")),
        ("price", json!("free")),
        ("price", json!(1e300)),
        ("transactionTime", json!("yesterday")),
        ("transactionTime", json!(1_700_000_000)),
        ("shippingAddress", json!(7)),
        ("shippingAddress", json!(["1 Main Street"])),
        ("note", json!("x".repeat(9_000))),
    ] {
        let mut body = order("T-bad");
        body[field] = value;
        bad.push(body);
    }
    for body in bad {
        for (entry, status) in ENTRIES.into_iter().zip([400, 200]) {
            let reply = shop.post(entry, body.clone()).await;
            assert_eq!((reply.status.as_u16(), reply.json()), (status, invalid()), "{entry}: {body}");
        }
    }
    assert_eq!(shop.order_count().await, 0);
}

#[tokio::test]
async fn what_is_no_json_is_400() {
    let shop = shop(sandbox()).await;
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    for text in ["{", "", "nul", deep.as_str()] {
        let reply = shop.post_bytes("/order-management", text.to_owned()).await;
        assert_eq!((reply.status.as_u16(), reply.json()), (400, invalid()));
    }
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let text = order("T-1").to_string().replace("\"quantity\":2", &format!("\"quantity\":2,\"note\":{}", nested(200)));
    assert_eq!(shop.post_bytes("/order-management", text).await.json(), invalid());
    let large = order("T-1").to_string().replace("Main", &"x".repeat(300_000));
    let reply = shop.post_bytes("/order-management", large).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["statusCode"]), (413, &json!(413)));
    assert_eq!(shop.order_count().await, 0);
}

/// API gateways do not look at the type, and neither do we: the payload itself says what it is.
#[tokio::test]
async fn the_type_of_the_body_does_not_matter() {
    let shop = shop(sandbox()).await;
    for (number, kind) in
        ["text/plain", "application/octet-stream", "application/x-www-form-urlencoded"].into_iter().enumerate()
    {
        let body = order(&format!("T-{number}")).to_string();
        let reply = shop.send(Method::POST, "/order-management", &[("content-type", kind)], body).await;
        assert_eq!(reply.status, 200, "{kind}");
    }
    let reply = shop.get("/order-management").await;
    assert_eq!(reply.status, 405);
    assert_eq!(reply.json()["statusCode"], 405);
}
