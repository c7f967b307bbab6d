//! Orders that are taken, and what they are then.

use ordermill_http::{Settings, WireAuth, WireSettings};
use serde_json::{Value, json};

use super::{ENTRIES, invalid, order, payment_method, processed, sandbox, shop, stored};
use crate::support::Fault;

#[tokio::test]
async fn both_entries_store_the_order() {
    let shop = shop(sandbox()).await;
    for (number, entry) in ENTRIES.into_iter().enumerate() {
        let transaction = format!("T-{number}");
        let mut body = order(&transaction);
        body["giftWrap"] = json!({ "colour": "red" });
        let reply = shop.post(entry, body).await;
        assert_eq!((reply.status.as_u16(), reply.json()), (200, processed()), "{entry}");
        let order = stored(&shop, &transaction).await;
        assert_eq!(order["status"], "placed");
        assert_eq!((&order["order_ref"], &order["customer_id"]), (&json!(transaction), &json!("42")));
        assert_eq!(order["total"], json!({ "amount_minor": 3_998, "currency": "USD" }));
        assert_eq!((&order["lines"][0]["product_id"], &order["lines"][0]["quantity"]), (&json!("7"), &json!(2)));
        assert_eq!(
            (&order["customer_email"], &order["placed_at"]),
            (&json!("buyer@example.com"), &json!("2024-05-01T12:00:00Z"))
        );
        assert_eq!(order["shipping_address"], "1 Main Street");
        assert_eq!(order["metadata"], json!({ "giftWrap": { "colour": "red" } }), "what has no field of ours");
    }
}

#[tokio::test]
async fn the_transaction_is_the_key() {
    let shop = shop(sandbox()).await;
    for (number, entry) in ENTRIES.into_iter().enumerate() {
        let mut first = order("T");
        // A number stands for its own text, so the same order may come in either way.
        first["transactionId"] = json!(700 + number);
        let mut text = first.clone();
        text["transactionId"] = json!((700 + number).to_string());
        for body in [&first, &first, &text] {
            assert_eq!(shop.post(entry, body.clone()).await.json(), processed());
        }
        let mut other = first.clone();
        other["quantity"] = json!(3);
        assert_eq!(shop.post(entry, other).await.json(), invalid(), "the transaction belongs to another order");
    }
    assert_eq!(shop.order_count().await, 2);
}

#[tokio::test]
async fn another_price_or_an_unknown_product_is_taken_and_rejected_with_a_mail() {
    let shop = shop(sandbox()).await;
    for (transaction, field, value, reason) in [
        ("T-1", "price", "18.99", "price_changed"),
        ("T-2", "price", "19.999", "price_changed"),
        ("T-3", "price", "19.9899999999999999999999", "price_changed"),
        ("T-4", "price", "0", "price_changed"),
        ("T-5", "productId", "\"no-such\"", "unknown_product"),
        ("T-6", "productId", "8", "unknown_product"),
    ] {
        let text = order(transaction).to_string();
        let present = if field == "price" { "\"price\":19.99" } else { "\"productId\":7" };
        assert!(text.contains(present), "{text}");
        let text = text.replace(present, &format!("\"{field}\":{value}"));
        let reply = shop.post_bytes("/order-management", text).await;
        assert_eq!((reply.status.as_u16(), reply.json()), (200, processed()), "{transaction}");
        let order = stored(&shop, transaction).await;
        assert_eq!((&order["status"], &order["reason"]), (&json!("rejected"), &json!(reason)), "{transaction}");
        let id = order["order_id"].as_str().unwrap().parse().unwrap();
        let mails = ordermill_ports::Queries::order(&*shop.store, id).await.unwrap().unwrap().mails.clone();
        assert_eq!(mails.len(), 1, "{transaction}: the customer is told");
    }
    assert_eq!(
        stored(&shop, "T-2").await["metadata"],
        json!({ "price": "19.999" }),
        "what it was, as it was rejected for it"
    );
}

#[tokio::test]
async fn a_price_is_read_exactly_however_it_is_written() {
    let shop = shop(sandbox()).await;
    for (number, price) in ["19.99", "19.990", "1.999e1", "1999E-2"].into_iter().enumerate() {
        let transaction = format!("T-{number}");
        let text = order(&transaction).to_string().replace("\"price\":19.99", &format!("\"price\":{price}"));
        assert_eq!(shop.post_bytes("/order-management", text).await.json(), processed());
        assert_eq!(stored(&shop, &transaction).await["status"], "placed", "{price}");
    }
}

#[tokio::test]
async fn currencies_have_their_own_decimals() {
    for (currency, price, amount_minor) in [("JPY", "500", 500), ("KWD", "1.125", 1_125)] {
        let wire = WireSettings { orchestrator_currency: currency.parse().unwrap(), ..sandbox().wire };
        let shop = shop(Settings { wire, ..Settings::default() }).await;
        let money = json!({ "amount_minor": amount_minor, "currency": currency });
        shop.put("/v1/products/7", &[], json!({ "name": "P", "price": money })).await;
        let text = order("T-1").to_string().replace("\"price\":19.99", &format!("\"price\":{price}"));
        shop.post_bytes("/order-management", text).await;
        let stored = stored(&shop, "T-1").await;
        assert_eq!((&stored["status"], &stored["total"]["amount_minor"]), (&json!("placed"), &json!(2 * amount_minor)));
    }
}

#[tokio::test]
async fn ids_keep_their_digits_and_addresses_their_parts() {
    let shop = shop(sandbox()).await;
    let address = json!({ "street": "1 Main Street", "city": "Springfield" });
    let mut body = order("T-1");
    body["shippingAddress"] = address.clone();
    let text = body.to_string().replace("\"customerId\":42", "\"customerId\":12345678901234567890123");
    assert_eq!(shop.post_bytes("/order-management", text).await.json(), processed());
    let order = stored(&shop, "T-1").await;
    assert_eq!((&order["customer_id"], &order["shipping_address"]), (&json!("12345678901234567890123"), &address));
}

#[tokio::test]
async fn with_the_sandbox_any_payment_method_or_none_is_taken() {
    let shop = shop(sandbox()).await;
    for (transaction, method, taken, kept) in [
        ("T-1", json!("Credit Card"), "Credit Card", Value::Null),
        ("T-2", json!("declined"), "declined", Value::Null),
        ("T-3", Value::Null, "ok", Value::Null),
        ("T-4", json!(""), "ok", json!({ "paymentMethod": "" })),
        ("T-5", json!({ "card": "4242" }), "ok", json!({ "paymentMethod": { "card": "4242" } })),
        ("T-6", json!("x".repeat(200)), "ok", json!({ "paymentMethod": "x".repeat(200) })),
    ] {
        let mut body = order(transaction);
        body["paymentMethod"] = method;
        assert_eq!(shop.post("/order-management", body).await.json(), processed(), "{transaction}");
        assert_eq!(payment_method(&shop, transaction).await, taken, "{transaction}");
        assert_eq!(stored(&shop, transaction).await["metadata"], kept, "{transaction}");
    }
    let mut body = order("T-7");
    body.as_object_mut().unwrap().remove("paymentMethod");
    assert_eq!(shop.post("/order-management", body).await.json(), processed());
    assert_eq!(payment_method(&shop, "T-7").await, "ok");
}

#[tokio::test]
async fn with_a_real_provider_a_payment_method_is_asked_for() {
    let shop = shop(Settings::default()).await;
    for method in [Value::Null, json!(""), json!({ "card": "4242" })] {
        let mut body = order("T-1");
        body["paymentMethod"] = method.clone();
        assert_eq!(shop.post("/order-management", body).await.json(), invalid(), "{method}");
    }
    let mut body = order("T-2");
    body["paymentMethod"] = json!("pm_card_visa");
    assert_eq!(shop.post("/order-management", body).await.json(), processed());
    assert_eq!(payment_method(&shop, "T-2").await, "pm_card_visa");
}

#[tokio::test]
async fn a_ledger_that_cannot_is_500() {
    let shop = shop(sandbox()).await;
    for (fault, retry_after) in
        [(Fault::NotCommitted, "1"), (Fault::Overloaded, "2"), (Fault::Closing, "1"), (Fault::Panic, "")]
    {
        shop.faults.set(Some(fault));
        let reply = shop.post("/order-management", order("T-1")).await;
        let expected = json!({ "statusCode": 500, "body": "Error processing order" });
        assert_eq!((reply.status.as_u16(), reply.json()), (500, expected), "{fault:?}");
        assert_eq!(reply.header("retry-after"), retry_after, "{fault:?}");
    }
    shop.faults.set(None);
    assert_eq!(
        shop.post("/order-management", order("T-1")).await.json(),
        processed(),
        "the same transaction may be sent again"
    );
}

#[tokio::test]
async fn a_token_is_asked_for_where_that_is_set() {
    let wire = WireSettings { orchestrator_auth: WireAuth::Token, ..sandbox().wire };
    let shop = shop(Settings { wire, ..Settings::default() }).await;
    for (header, status, words) in [
        ("Bearer wrong", 401, "Unauthorized"),
        ("AWS4-HMAC-SHA256 Credential=x", 401, "Unauthorized"),
        ("Bearer viewer-secret", 403, "Forbidden"),
    ] {
        let reply = shop.post_with("/order-management", &[("authorization", header)], order("T-1")).await;
        assert_eq!(
            (reply.status.as_u16(), reply.json()),
            (status, json!({ "statusCode": status, "body": words })),
            "{header}"
        );
        assert!(reply.header("www-authenticate").starts_with("Bearer"));
    }
    let writer = [("authorization", "Bearer writer-secret")];
    assert_eq!(shop.post_with("/order-management", &writer, order("T-1")).await.json(), processed());
}
