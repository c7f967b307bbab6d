//! `POST /v1/tracking`.

use http::Method;
use ordermill_http::TRACKING_REPORTS_TOTAL;
use serde_json::{Value, json};

use super::{WIRE, at, batch, event};
use crate::support::Shop;

fn report(id: &str, status: &str, seen_at: &str) -> Value {
    json!({ "parcel_id": id, "status": status, "seen_at": seen_at })
}

#[tokio::test]
async fn both_addresses_are_one_intake() {
    let shop = Shop::new();
    shop.track(vec![event("A", "PICKED_UP_AT_WAREHOUSE", &at(8, 0))]).await;
    let reports = vec![
        report("A", "picked_up", &at(8, 0)),
        report("A", "out_for_delivery", &at(9, 0)),
        report("A", "delivery_issue", &at(7, 0)),
        report("A", "picked_up", &at(10, 0)),
        report("B/ä 1", "delivered", "2026-03-01T12:00:00+02:00"),
    ];
    let reply = shop.post("/v1/tracking", json!({ "reports": reports })).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    assert_eq!(
        reply.json(),
        json!({"results": [
            {"parcel_id": "A", "verdict": "duplicate"},
            {"parcel_id": "A", "verdict": "moved"},
            {"parcel_id": "A", "verdict": "late"},
            {"parcel_id": "A", "verdict": "refused", "reason": "out_of_order"},
            {"parcel_id": "B/ä 1", "verdict": "moved"},
        ]})
    );
    let again = shop.track(vec![event("A", "OUT_FOR_DELIVERY", &at(9, 0))]).await;
    assert_eq!(again[0]["reason"], "duplicate");
}

#[tokio::test]
async fn it_is_read_as_strictly_as_the_rest_of_v1() {
    let shop = Shop::new();
    let good = || report("A", "delivered", &at(1, 0));
    let with = |field: &str, value: Value| {
        let mut report = good();
        report[field] = value;
        json!({ "reports": [report] })
    };
    for (body, field) in [
        (json!({}), "reports"),
        (json!({"reports": []}), "reports"),
        (json!({"reports": {}}), "reports"),
        (json!({"event": []}), "event"),
        (json!({"reports": [good()], "carrier": "x"}), "carrier"),
        (with("courier", json!("x")), "reports[0].courier"),
        (with("parcel_id", json!(1)), "reports[0].parcel_id"),
        (with("parcel_id", json!(" ")), "reports[0].parcel_id"),
        (with("status", json!("DELIVERED")), "reports[0].status"),
        (with("status", json!(" delivered")), "reports[0].status"),
        (with("seen_at", json!(1_772_359_200)), "reports[0].seen_at"),
        (with("seen_at", json!("1772359200")), "reports[0].seen_at"),
        (with("seen_at", json!("2026-03-01T10:00:00")), "reports[0].seen_at"),
        (with("seen_at", Value::Null), "reports[0].seen_at"),
    ] {
        let reply = shop.post("/v1/tracking", body.clone()).await;
        reply.assert_problem(422, "invalid_request");
        assert_eq!(reply.fields(), [field], "{body}: {}", reply.text());
    }
    shop.post_bytes("/v1/tracking", "{").await.assert_problem(400, "malformed_json");
    let many = vec![good(); 10_001];
    shop.post("/v1/tracking", json!({ "reports": many })).await.assert_problem(413, "too_many_reports");
    let xml = shop.send(Method::POST, "/v1/tracking", &[("content-type", "application/xml")], "<events/>").await;
    xml.assert_problem(415, "unsupported_media_type");
    assert!(!shop.has_parcels().await);
}

#[tokio::test]
async fn reports_are_counted_by_what_came_of_them() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    // Everything in this test runs on this thread, bodies being small.
    let _guard = metrics::set_default_local_recorder(&recorder);
    let shop = Shop::new();
    let events = vec![
        event("A", "OUT_FOR_DELIVERY", &at(9, 0)),
        event("A", "OUT_FOR_DELIVERY", &at(9, 0)),
        event("A", "OUT_FOR_DELIVERY", &at(8, 0)),
        event("A", "OUT_FOR_DELIVERY", &at(10, 0)),
        event("A", "PICKED_UP_AT_WAREHOUSE", &at(11, 0)),
        event("A", "DELIVERED", &at(12, 0)),
    ];
    shop.track(events).await;
    shop.post(WIRE, batch(vec![event("A", "LOST", &at(13, 0))])).await;
    let text = handle.render();
    for (verdict, count) in [("moved", 2), ("late", 1), ("duplicate", 1), ("refused", 2)] {
        let line = format!("{TRACKING_REPORTS_TOTAL}{{verdict=\"{verdict}\"}} {count}");
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}
