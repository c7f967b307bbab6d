//! `POST /order/tracking` in JSON: what is taken, what comes of it, and what is not taken.

use http::Method;
use serde_json::{Value, json};

use super::{WIRE, at, batch, event};
use crate::support::Shop;

#[tokio::test]
async fn the_published_sample_is_accepted() {
    let shop = Shop::new();
    let body =
        r#"{"event":[{"orderId":"ORD-1001","status":"PICKED_UP_AT_WAREHOUSE","eventTs":"2025-08-01T10:15:30Z"}]}"#;
    let reply = shop.post_bytes(WIRE, body).await;
    assert_eq!((reply.status.as_u16(), reply.header("content-type")), (202, "application/json"));
    assert_eq!(reply.text(), r#"[{"orderId":"ORD-1001","accepted":true,"published":true}]"#);
}

#[tokio::test]
async fn every_verdict_is_answered_in_its_place() {
    let shop = Shop::new();
    let answers = shop
        .track(vec![
            event("A", "OUT_FOR_DELIVERY", &at(10, 0)),
            event("B", "DELIVERED", &at(9, 0)),
            event("A", "OUT_FOR_DELIVERY", &at(10, 0)),
            event("A", "PICKED_UP_AT_WAREHOUSE", &at(8, 0)),
            event("A", "OUT_FOR_DELIVERY", &at(11, 0)),
            event("A", "PICKED_UP_AT_WAREHOUSE", &at(12, 0)),
            event("B", "DELIVERY_ISSUE", &at(13, 0)),
            event("A", "DELIVERED", &at(14, 0)),
        ])
        .await;
    let moved = |id| json!({"orderId": id, "accepted": true, "published": true});
    let refused = |id, reason| json!({"orderId": id, "accepted": false, "published": false, "reason": reason});
    assert_eq!(
        answers,
        json!([
            moved("A"),
            moved("B"),
            {"orderId": "A", "accepted": true, "published": false, "reason": "duplicate"},
            {"orderId": "A", "accepted": true, "published": true, "reason": "late"},
            refused("A", "same_status"),
            refused("A", "out_of_order"),
            refused("B", "already_delivered"),
            moved("A"),
        ])
    );
    let parcel = shop.get("/v1/tracking/A").await.json();
    assert_eq!((&parcel["status"], &parcel["delivered_at"]), (&json!("delivered"), &json!(at(14, 0))));
    // The same batch again: what was taken is known, and what was refused is refused again and kept once.
    let again = shop.track(vec![event("A", "DELIVERED", &at(14, 0)), event("B", "DELIVERY_ISSUE", &at(13, 0))]).await;
    assert_eq!(again[0]["reason"], "duplicate");
    assert_eq!(again[1]["reason"], "already_delivered");
    assert_eq!(shop.get("/v1/tracking/B").await.json()["reports"]["refused"], 1);
}

/// The table of S4: from each state, each next one.
#[tokio::test]
async fn a_parcel_moves_only_along_the_table() {
    const PICKED_UP: &str = "PICKED_UP_AT_WAREHOUSE";
    let states = [PICKED_UP, "OUT_FOR_DELIVERY", "DELIVERY_ISSUE", "DELIVERED"];
    let allowed = |from: &str, to: &str| match from {
        "PICKED_UP_AT_WAREHOUSE" => to == "OUT_FOR_DELIVERY" || to == "DELIVERY_ISSUE",
        "OUT_FOR_DELIVERY" => to == "DELIVERY_ISSUE" || to == "DELIVERED",
        "DELIVERY_ISSUE" => to == "OUT_FOR_DELIVERY" || to == "DELIVERED",
        _ => false,
    };
    let shop = Shop::new();
    for from in states {
        for to in states {
            let id = format!("{from}-{to}");
            let answers = shop.track(vec![event(&id, from, &at(1, 0)), event(&id, to, &at(2, 0))]).await;
            assert_eq!(answers[0]["accepted"], true, "anything comes first: {id}");
            assert_eq!(answers[1]["accepted"], allowed(from, to), "{id}: {answers}");
            assert_eq!(answers[1]["published"], allowed(from, to), "{id}: {answers}");
        }
    }
}

#[tokio::test]
async fn orders_may_be_interleaved_and_keep_their_order() {
    let shop = Shop::new();
    let way = ["PICKED_UP_AT_WAREHOUSE", "OUT_FOR_DELIVERY", "DELIVERY_ISSUE", "OUT_FOR_DELIVERY", "DELIVERED"];
    let mut events = Vec::new();
    for (step, status) in (0..).zip(way) {
        events.extend((0..300).map(|order| event(&format!("O-{order}"), status, &at(step, 0))));
    }
    // More than one call to the ledger takes, so a call ends in the midst of the orders.
    let answers = shop.track(events.clone()).await;
    for (answer, event) in answers.as_array().unwrap().iter().zip(&events) {
        assert_eq!(*answer, json!({"orderId": event["orderId"], "accepted": true, "published": true}));
    }
    for order in [0, 123, 299] {
        let parcel = shop.get(&format!("/v1/tracking/O-{order}")).await.json();
        assert_eq!((&parcel["status"], &parcel["reports"]["moved"]), (&json!("delivered"), &json!(5)));
    }
}

#[tokio::test]
async fn instants_are_taken_as_jackson_takes_them() {
    let shop = Shop::new();
    for (given, seen_at) in [
        (json!("2026-03-01T10:00:00Z"), "2026-03-01T10:00:00Z"),
        (json!("2026-03-01T10:00:00.123456789Z"), "2026-03-01T10:00:00.123456789Z"),
        (json!("2026-03-01T10:00:00+05:30"), "2026-03-01T04:30:00Z"),
        (json!("2026-03-01T10:00:00-08:00"), "2026-03-01T18:00:00Z"),
        (json!(" 2026-03-01T10:00:00Z "), "2026-03-01T10:00:00Z"),
        (json!(1_772_359_200), "2026-03-01T10:00:00Z"),
        (json!("1772359200"), "2026-03-01T10:00:00Z"),
        (json!("1772359200.5"), "2026-03-01T10:00:00.5Z"),
        (json!(1_772_359_200.25), "2026-03-01T10:00:00.25Z"),
        (json!(-1), "1969-12-31T23:59:59Z"),
        (json!("0001-01-01T00:00:00Z"), "0001-01-01T00:00:00Z"),
        (json!("9999-12-31T23:59:59Z"), "9999-12-30T22:00:00.999999999Z"),
    ] {
        let id = format!("T{given}").replace([' ', '"'], "");
        let mut report = event(&id, "DELIVERED", "");
        report["eventTs"] = given.clone();
        let answers = shop.track(vec![report]).await;
        assert_eq!(answers[0]["accepted"], true, "{given}");
        let parcel = shop.get(&format!("/v1/tracking/{}", id.replace('+', "%2B"))).await.json();
        assert_eq!(parcel["seen_at"], seen_at, "{given}");
    }
    // All digits are kept of a number, too.
    let body = r#"{"event":[{"orderId":"exact","status":"DELIVERED","eventTs":1772359200.123456789}]}"#;
    assert_eq!(shop.post_bytes(WIRE, body).await.status, 202);
    assert_eq!(shop.get("/v1/tracking/exact").await.json()["seen_at"], "2026-03-01T10:00:00.123456789Z");
}

#[tokio::test]
async fn what_jackson_passes_over_is_passed_over() {
    let shop = Shop::new();
    let body = json!({"source": {"a": [1, {}]}, "event": [
        {"orderId": 4711, "status": " DELIVERED ", "eventTs": at(1, 0), "courier": null, "weight": 1.5},
        {"orderId": "a\"b\\c\u{e4}\n".trim(), "status": "DELIVERED", "eventTs": at(1, 0)},
    ]});
    let reply = shop.post(WIRE, body).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    let ids: Vec<Value> = reply.json().as_array().unwrap().iter().map(|answer| answer["orderId"].clone()).collect();
    assert_eq!(ids, [json!("4711"), json!("a\"b\\cä")]);
}

#[tokio::test]
async fn one_bad_event_keeps_the_whole_batch_out() {
    let shop = Shop::new();
    let good = || event("G", "DELIVERED", &at(1, 0));
    let with = |field: &str, value: Value| {
        let mut event = good();
        event[field] = value;
        event
    };
    let without = |field: &str| {
        let mut event = good();
        event.as_object_mut().unwrap().remove(field);
        event
    };
    for (bad, field) in [
        (with("orderId", json!("")), "orderId"),
        (with("orderId", json!("   ")), "orderId"),
        (with("orderId", json!("a\u{7}b")), "orderId"),
        (with("orderId", json!("x".repeat(129))), "orderId"),
        (with("orderId", Value::Null), "orderId"),
        (with("orderId", json!(true)), "orderId"),
        (with("orderId", json!(["x"])), "orderId"),
        (without("orderId"), "orderId"),
        (with("status", json!("")), "status"),
        (with("status", json!("LOST")), "status"),
        (with("status", json!("delivered")), "status"),
        (with("status", json!("picked_up")), "status"),
        (with("status", json!(3)), "status"),
        (without("status"), "status"),
        (with("eventTs", json!("")), "eventTs"),
        (with("eventTs", json!("yesterday")), "eventTs"),
        (with("eventTs", json!("2026-03-01")), "eventTs"),
        (with("eventTs", json!("2026-03-01T10:00:00")), "eventTs"),
        (with("eventTs", json!("2026-02-30T10:00:00Z")), "eventTs"),
        (with("eventTs", json!("2026-03-01T25:00:00Z")), "eventTs"),
        (with("eventTs", json!(1_772_359_200_000_i64)), "eventTs"),
        (with("eventTs", json!({})), "eventTs"),
        (without("eventTs"), "eventTs"),
    ] {
        let reply = shop.post(WIRE, batch(vec![good(), bad.clone(), good()])).await;
        reply.assert_problem(400, "invalid_tracking");
        assert_eq!(reply.fields(), [format!("event[1].{field}")], "{bad}");
    }
    assert!(!shop.has_parcels().await);
    // All that is wrong is said at once.
    let reply = shop.post(WIRE, batch(vec![json!({}), good(), event("", "X", "Y")])).await;
    reply.assert_problem(400, "invalid_tracking");
    let expected = ["event[0].orderId", "event[0].status", "event[0].eventTs"];
    let expected: Vec<String> = expected
        .iter()
        .map(|&field| field.to_owned())
        .chain(["orderId", "status", "eventTs"].map(|field| format!("event[2].{field}")))
        .collect();
    assert_eq!(reply.fields(), expected);
}

#[tokio::test]
async fn what_is_no_batch_is_400() {
    let shop = Shop::new();
    for (body, code, field) in [
        ("", "malformed_json", None),
        ("{", "malformed_json", None),
        (r#"{"event":[{"orderId":"a"}"#, "malformed_json", None),
        ("{\"event\":[{\"orderId\":\"a\u{1}\"}]}", "malformed_json", None),
        (r#"{"event":[]} {}"#, "malformed_json", None),
        (r#"{"event":[]}"#, "invalid_tracking", Some("event")),
        ("{}", "invalid_tracking", Some("event")),
        (r#"{"events":[]}"#, "invalid_tracking", Some("event")),
        (r#"{"event":null}"#, "invalid_tracking", Some("event")),
        (r#"{"event":{}}"#, "invalid_tracking", Some("event")),
        (r#"{"event":[1]}"#, "invalid_tracking", Some("event[0]")),
        (r#"{"event":[{},["a","DELIVERED","2026-03-01T10:00:00Z"]]}"#, "invalid_tracking", Some("event[1]")),
        (r#"{"event":[],"event":[]}"#, "invalid_tracking", Some("event")),
        (r#"{"event":[{"status":"DELIVERED","status":"DELIVERED"}]}"#, "invalid_tracking", Some("event[0].status")),
        ("[]", "invalid_tracking", Some("(body)")),
        ("null", "invalid_tracking", Some("(body)")),
    ] {
        let reply = shop.post_bytes(WIRE, body).await;
        reply.assert_problem(400, code);
        assert_eq!(
            reply.fields(),
            field.map(str::to_owned).into_iter().collect::<Vec<_>>(),
            "{body}: {}",
            reply.text()
        );
    }
    let not_utf8: Vec<u8> = [br#"{"event":[{"orderId":""#, &b"\xff\"}]}"[..]].concat();
    shop.post_bytes(WIRE, not_utf8).await.assert_problem(400, "malformed_json");
    let surrogate = r#"{"event":[{"orderId":"\ud800","status":"DELIVERED","eventTs":0}]}"#;
    let reply = shop.post_bytes(WIRE, surrogate).await;
    reply.assert_problem(400, "invalid_tracking");
    assert_eq!(reply.fields(), ["event[0].orderId"]);
    let deep = format!(r#"{{"event":[],"x":{}{}}}"#, "[".repeat(1_000), "]".repeat(1_000));
    shop.post_bytes(WIRE, deep).await.assert_problem(400, "too_deep");
}

#[tokio::test]
async fn other_types_are_415() {
    let shop = Shop::new();
    let body = batch(vec![event("A", "DELIVERED", &at(1, 0))]).to_string();
    for kind in
        ["text/plain", "text/xml", "application/x-www-form-urlencoded", "application/x-ndjson", "application/jsonx"]
    {
        let reply = shop.send(Method::POST, WIRE, &[("content-type", kind)], body.clone()).await;
        reply.assert_problem(415, "unsupported_media_type");
        assert!(reply.text().contains("application/json or application/xml"), "{}", reply.text());
    }
    shop.send(Method::POST, WIRE, &[], body.clone()).await.assert_problem(415, "unsupported_media_type");
    assert!(!shop.has_parcels().await);
    let kind = [("content-type", "application/json;charset=UTF-8")];
    assert_eq!(shop.send(Method::POST, WIRE, &kind, body).await.status, 202);
    shop.get(WIRE).await.assert_problem(405, "method_not_allowed");
}

#[tokio::test]
async fn the_operators_of_the_old_system_find_what_they_look_for() {
    let shop = Shop::new();
    let health = shop.get("/actuator/health").await;
    assert_eq!((health.status.as_u16(), health.text()), (200, r#"{"status":"UP"}"#));
    let info = shop.get("/actuator/info").await;
    assert_eq!(info.json(), json!({"build": {"name": "ordermill", "version": env!("CARGO_PKG_VERSION")}}));
    let metrics = shop.get("/actuator/prometheus").await;
    assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(metrics.text(), "ordermill_up 1\n");
}
