//! Orders and products as callers send them: every violation, each with its path, all at once.

use ordermill_core::input::{Admission, PlaceOrder};
use ordermill_core::intake::{OrderDraft, ProductDraft, Violation};
use ordermill_core::limits::{EVENT_BYTES_MAX, LONG_TEXT_CHARS_MAX, ORDER_LINES_MAX, QUANTITY_MAX, STOCK_UNITS_MAX};
use serde_json::{Value, json};

use crate::support::order_id;

fn check(draft: Value) -> Result<PlaceOrder, Vec<Violation>> {
    let draft: OrderDraft = serde_json::from_value(draft).expect("the draft has the right shape");
    draft.check(order_id(1), Admission::Refuse)
}

fn fields(violations: &[Violation]) -> Vec<&str> {
    violations.iter().map(|violation| violation.field.as_str()).collect()
}

fn refused(draft: Value) -> Vec<Violation> {
    check(draft).expect_err("the draft is wrong")
}

fn line(product_id: &str, quantity: i64) -> Value {
    json!({"product_id": product_id, "quantity": quantity})
}

#[test]
fn a_full_order_is_taken_as_it_is() {
    let order = check(json!({
        "customer_id": "c", "customer_email": "c@example.com", "order_ref": "r", "currency": "EUR",
        "payment_method": "card-1", "shipping_address": {"city": "Berlin"}, "placed_at": "2026-01-31T12:00:00Z",
        "lines": [{"product_id": "tea", "quantity": 2, "unit_price": {"amount_minor": 5, "currency": "EUR"}}],
        "metadata": {"gift": true},
    }))
    .expect("all of it is right");
    assert_eq!(order.lines[0].quantity, 2);
    assert_eq!(order.payment_method.as_str(), "card-1");
    let least = check(json!({"customer_id": "c", "lines": [line("tea", 1)]})).expect("the rest is optional");
    assert_eq!(least.payment_method.as_str(), "ok");
}

#[test]
fn every_violation_is_reported_at_once_in_the_order_of_the_fields() {
    let violations = refused(json!({
        "customer_id": " ", "customer_email": "nobody", "order_ref": "a\nb", "currency": "usd",
        "payment_method": "", "shipping_address": 7, "placed_at": "yesterday", "metadata": [],
        "lines": [
            {"product_id": "", "quantity": 0, "unit_price": {"amount_minor": -1, "currency": "EUR"}},
            {"product_id": "tea", "quantity": -5, "unit_price": {"amount_minor": 1, "currency": "euro"}},
            {"product_id": "cup", "quantity": 9_223_372_036_854_775_807_i64},
        ],
    }));
    let expected = [
        "customer_id",
        "customer_email",
        "order_ref",
        "currency",
        "payment_method",
        "shipping_address",
        "lines[0].product_id",
        "lines[0].quantity",
        "lines[0].unit_price.amount_minor",
        "lines[1].quantity",
        "lines[1].unit_price.currency",
        "lines[2].quantity",
        "placed_at",
        "metadata",
    ];
    assert_eq!(fields(&violations), expected);
    assert!(violations.iter().all(|violation| violation.message.starts_with("must ")), "{violations:?}");
}

#[test]
fn an_order_has_from_one_line_to_the_limit() {
    let lines = |count: usize| (0..count).map(|n| line(&format!("p{n}"), 1)).collect::<Vec<_>>();
    assert_eq!(fields(&refused(json!({"customer_id": "c", "lines": []}))), ["lines"]);
    assert_eq!(fields(&refused(json!({"customer_id": "c", "lines": lines(ORDER_LINES_MAX + 1)}))), ["lines"]);
    check(json!({"customer_id": "c", "lines": lines(ORDER_LINES_MAX)})).expect("as many as may be");
}

#[test]
fn lines_of_one_product_count_together() {
    let draft = |third| {
        let lines = [line("tea", QUANTITY_MAX - 1), line("cup", QUANTITY_MAX), line("tea", 1), line("tea", third)];
        json!({"customer_id": "c", "lines": lines})
    };
    assert_eq!(fields(&refused(draft(1))), ["lines[3].quantity"]);
    assert_eq!(fields(&refused(draft(0))), ["lines[3].quantity"], "reported once, for being wrong by itself");
}

#[test]
fn free_json_is_bounded_in_size_and_depth() {
    let nested = |depth: usize| (0..depth).fold(json!(1), |inner, _| json!({"a": [inner]}));
    let draft = |metadata: Value| json!({"customer_id": "c", "lines": [line("tea", 1)], "metadata": metadata});
    check(draft(nested(8))).expect("sixteen levels");
    let violations = refused(draft(json!({"deeper": nested(8)})));
    assert_eq!(violations, [Violation::new("metadata", "must be nested at most 16 deep")]);
    assert_eq!(fields(&refused(draft(json!({"long": "x".repeat(8 * 1024)})))), ["metadata"]);
    let address = json!({"customer_id": "c", "lines": [line("tea", 1)], "shipping_address": "x".repeat(9_000)});
    assert_eq!(fields(&refused(address)), ["shipping_address"]);
    // As deep as a parser goes: the check itself must not go deeper.
    assert_eq!(fields(&refused(draft(nested(50)))), ["metadata"]);
}

#[test]
fn an_order_fits_into_one_event() {
    let lines = |id: &str| (0..ORDER_LINES_MAX).map(|n| line(&format!("{n:03}{id}"), QUANTITY_MAX)).collect::<Vec<_>>();
    let draft = |id: &str| {
        let full = json!({"text": "x".repeat(8_000)});
        json!({"customer_id": "\"".repeat(128), "lines": lines(id), "shipping_address": full, "metadata": full})
    };
    let violations = refused(draft(&"茶".repeat(125)));
    assert_eq!(fields(&violations), ["lines"], "{violations:?}");
    let order = check(draft(&"x".repeat(125))).expect("ids of 128 letters fit");
    let bytes = serde_json::to_vec(&order).expect("a request is plain data").len();
    assert!(bytes > 100_000, "the largest order is large: {bytes}");

    let mut world = crate::support::world::World::new(&[]);
    for line in &order.lines {
        let price = ordermill_core::money::Money { amount_minor: 1_000, currency: "JPY".parse().expect("yen") };
        let put = crate::support::world::put_product(line.product_id.as_str(), price, None);
        world.submit(ordermill_core::input::Body::PutProduct(put)).expect("a new product");
    }
    let decision = world.submit(crate::support::place(order)).expect("the order is taken");
    let data = decision.events[0].data();
    assert!(data.len() <= EVENT_BYTES_MAX, "{} bytes", data.len());
}

#[test]
fn bad_addresses_are_named() {
    for bad in ["", "a", "a@b@c", "a b@c.example", "a@b\nBcc: x@y", "a@b,c@d", "ä@b.example"] {
        let draft = json!({"customer_id": "c", "customer_email": bad, "lines": [line("tea", 1)]});
        assert_eq!(fields(&refused(draft)), ["customer_email"], "{bad:?}");
    }
}

#[test]
fn unknown_fields_and_wrong_types_do_not_parse() {
    for wrong in [
        json!({"customer_id": "c", "lines": [line("tea", 1)], "colour": "red"}),
        json!({"customer_id": "c", "lines": [{"product_id": "tea", "quantity": 1.5}]}),
        json!({"customer_id": "c", "lines": [{"product_id": "tea", "quantity": "1"}]}),
        json!({"customer_id": 5, "lines": [line("tea", 1)]}),
        json!({"lines": [line("tea", 1)]}),
        json!({"customer_id": "c"}),
    ] {
        assert!(serde_json::from_value::<OrderDraft>(wrong.clone()).is_err(), "{wrong}");
    }
    let beyond = "{\"customer_id\":\"c\",\"lines\":[{\"product_id\":\"tea\",\"quantity\":9223372036854775808}]}";
    assert!(serde_json::from_str::<OrderDraft>(beyond).is_err(), "beyond 64 bits");
}

#[test]
fn products_are_checked_alike() {
    let check =
        |draft: Value, path| serde_json::from_value::<ProductDraft>(draft).expect("the right shape").check(path, None);
    let price = json!({"amount_minor": 1999, "currency": "USD"});
    let good = check(json!({"name": "Tea", "price": price}), Some("tea")).expect("all of it is right");
    assert!(good.active && good.opening_stock.is_none());
    let violations = check(
        json!({
            "product_id": "cup", "name": "", "price": {"amount_minor": 1, "currency": "dollar"},
            "description": "x".repeat(LONG_TEXT_CHARS_MAX + 1), "stock": STOCK_UNITS_MAX + 1,
        }),
        Some("tea"),
    )
    .expect_err("all of it is wrong");
    assert_eq!(fields(&violations), ["product_id", "name", "price.currency", "description", "stock"]);
    let with_nul = json!({"name": "Tea", "price": price, "description": "black\n\u{0}green"});
    let violations = check(with_nul, Some("tea")).expect_err("not every database keeps it");
    assert_eq!(violations, [Violation::new("description", "must not hold the character U+0000")]);
    let nameless = check(json!({"name": "Tea", "price": price}), None).expect_err("an id is needed somewhere");
    assert_eq!(nameless, [Violation::new("product_id", "is required")]);
}

#[test]
fn a_trace_context_that_is_none_is_left_out() {
    let order = || check(json!({"customer_id": "c", "lines": [line("tea", 1)]})).expect("all of it is right");
    let real = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    assert_eq!(order().traced(None, Some(real.into())).traceparent.as_deref(), Some(real));
    assert_eq!(order().traced(None, Some("x".repeat(129).into())).traceparent, None);
}
