//! How much one batch may hold, in both formats.

use std::time::Duration;

use http::Method;
use ordermill_core::limits::{PARCEL_EVENTS_MAX, TRACKING_BODY_BYTES_MAX, TRACKING_REPORTS_MAX};
use ordermill_http::Settings;
use serde_json::{Value, json};

use super::{WIRE, at, batch, event};
use crate::support::{Fault, Reply, Shop};

/// The longest id there is, with a number in it.
fn long_id(number: usize) -> String {
    format!("{number:0>128}")
}

fn json_events(count: usize) -> String {
    let event = |number| json!({"orderId": long_id(number), "status": "PICKED_UP_AT_WAREHOUSE", "eventTs": "2026-03-01T10:00:00.123456789+00:00"});
    batch((0..count).map(event).collect()).to_string()
}

fn xml_events(count: usize) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<events>");
    for number in 0..count {
        let id = long_id(number);
        xml.push_str(&format!(
            "\n  <event>\n    <orderId>{id}</orderId>\n    <status>PICKED_UP_AT_WAREHOUSE</status>\n    <eventTs>2026-03-01T10:00:00Z</eventTs>\n  </event>"
        ));
    }
    xml + "\n</events>"
}

fn all_accepted(reply: &Reply, count: usize) {
    assert_eq!(reply.status, 202, "{}", reply.text());
    let answers = reply.json();
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), count);
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!(*answer, json!({"orderId": long_id(number), "accepted": true, "published": true}));
    }
}

#[tokio::test]
async fn ten_thousand_are_taken_and_one_more_is_not() {
    let shop = Shop::new();
    let too_many = shop.post_bytes(WIRE, json_events(TRACKING_REPORTS_MAX + 1)).await;
    too_many.assert_problem(413, "too_many_reports");
    assert!(too_many.text().contains("10001"), "{}", too_many.text());
    let too_many = shop.track_xml(xml_events(TRACKING_REPORTS_MAX + 1)).await;
    too_many.assert_problem(413, "too_many_reports");
    assert!(too_many.text().contains("10001"), "{}", too_many.text());
    assert!(!shop.has_parcels().await);
    all_accepted(&shop.post_bytes(WIRE, json_events(TRACKING_REPORTS_MAX)).await, TRACKING_REPORTS_MAX);
    let other = Shop::new();
    all_accepted(&other.track_xml(xml_events(TRACKING_REPORTS_MAX)).await, TRACKING_REPORTS_MAX);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413_however_few_events_it_has() {
    let shop = Shop::new();
    let padded = |bytes: usize| {
        let event = r#"{"event":[{"orderId":"A","status":"DELIVERED","eventTs":0}]}"#;
        format!("{event}{}", " ".repeat(bytes - event.len()))
    };
    shop.post_bytes(WIRE, padded(TRACKING_BODY_BYTES_MAX + 1)).await.assert_problem(413, "body_too_large");
    shop.track_xml(padded(TRACKING_BODY_BYTES_MAX + 1)).await.assert_problem(413, "body_too_large");
    assert!(!shop.has_parcels().await);
    assert_eq!(shop.post_bytes(WIRE, padded(TRACKING_BODY_BYTES_MAX)).await.status, 202);
}

/// Many tiny events must not take much memory before they are found too many.
#[tokio::test]
async fn a_million_empty_events_are_counted_and_not_kept() {
    let shop = Shop::new();
    let body = format!(r#"{{"event":[{}{{}}]}}"#, "{},".repeat(1_000_000));
    let reply = shop.post_bytes(WIRE, body).await;
    reply.assert_problem(413, "too_many_reports");
    assert!(reply.text().contains("1000001"), "{}", reply.text());
    let body = format!("<events>{}</events>", "<event/>".repeat(500_000));
    shop.track_xml(body).await.assert_problem(413, "too_many_reports");
}

/// A batch takes its room until it is committed: senders that do not wait for each other must not fill the memory with reports.
#[tokio::test]
async fn batches_that_wait_for_the_ledger_keep_their_room() {
    let body = json_events(1_000);
    let length = body.len().to_string();
    let send = async |shop: Shop| {
        let headers = [("content-type", "application/json"), ("content-length", length.as_str())];
        shop.send(Method::POST, WIRE, &headers, body.clone()).await
    };
    let shop = Shop::with(Settings { body_memory_bytes_max: body.len() * 3 / 2, ..Settings::default() }, 1_000);
    shop.faults.set(Some(Fault::Silent));
    {
        let mut waiting = std::pin::pin!(send(shop.clone()));
        while !shop.has_parcels().await {
            assert!(futures_util::poll!(waiting.as_mut()).is_pending());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        send(shop.clone()).await.assert_problem(503, "overloaded");
    }
    shop.faults.set(None);
    assert_eq!(send(shop.clone()).await.status, 202);
}

#[tokio::test]
async fn ten_thousand_mistakes_are_counted_and_the_first_hundred_named() {
    let shop = Shop::new();
    let reply = shop.post(WIRE, batch(vec![json!({}); TRACKING_REPORTS_MAX])).await;
    reply.assert_problem(400, "invalid_tracking");
    assert_eq!(reply.fields().len(), 100);
    assert_eq!(reply.json()["detail"], json!("30000 fields are not valid; the first 100 are named"));
    // What a caller sends is repeated in part only.
    let long: Value = json!({"orderId": "A", "status": "X".repeat(1_000_000), "eventTs": 0});
    let reply = shop.post(WIRE, batch(vec![long])).await;
    reply.assert_problem(400, "invalid_tracking");
    assert!(reply.bytes.len() < 1_000, "{} bytes", reply.bytes.len());
}

#[tokio::test]
async fn one_parcel_cannot_be_reported_for_ever() {
    let shop = Shop::new();
    let mut events = vec![event("A", "OUT_FOR_DELIVERY", &at(10, 0))];
    for second in 1..=PARCEL_EVENTS_MAX {
        events.push(json!({"orderId": "A", "status": "DELIVERY_ISSUE", "eventTs": second}));
    }
    let answers = shop.track(events).await;
    let answers = answers.as_array().unwrap();
    let (last, kept) = answers.split_last().unwrap();
    assert!(kept.iter().all(|answer| answer["accepted"] == true));
    assert_eq!(*last, json!({"orderId": "A", "accepted": false, "published": false, "reason": "too_many_events"}));
    let timeline = shop.get("/v1/tracking/A/events").await.json();
    assert_eq!(timeline["events"].as_array().unwrap().len(), PARCEL_EVENTS_MAX as usize);
    // What is known is still known.
    let again = shop.track(vec![event("A", "OUT_FOR_DELIVERY", &at(10, 0))]).await;
    assert_eq!(again[0]["reason"], "duplicate");
}
