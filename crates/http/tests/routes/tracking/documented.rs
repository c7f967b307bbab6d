//! What the document says of parcels is what is taken and answered.

use serde_json::{Value, json};

use super::{WIRE, at, batch, event};
use crate::support::Shop;

/// Every field that is there is described, and every required one is there.
#[track_caller]
fn assert_described(document: &Value, schema: &str, value: &Value) {
    let described = &document["components"]["schemas"][schema];
    let fields = described["properties"].as_object().unwrap_or_else(|| panic!("{schema} is not described"));
    for field in value.as_object().unwrap_or_else(|| panic!("{value} is no {schema}")).keys() {
        assert!(fields.contains_key(field), "{schema}.{field} is not described");
    }
    for required in described["required"].as_array().unwrap() {
        assert!(value.get(required.as_str().unwrap()).is_some(), "{schema}.{required} is missing in {value}");
    }
}

#[tokio::test]
async fn answers_have_the_documented_fields() {
    let shop = Shop::new();
    let document = shop.get("/openapi.json").await.json();
    shop.stock("chair", 10).await;
    let id = shop.place("chair").await.to_string();
    let wire = batch(vec![event(&id, "DELIVERED", &at(8, 0)), event(&id, "DELIVERED", &at(9, 0))]);
    let results = shop.post(WIRE, wire.clone()).await.json();
    let report = json!({"parcel_id": id, "status": "picked_up", "seen_at": at(10, 0)});
    let canonical = json!({ "reports": [report] });
    let answer = shop.post("/v1/tracking", canonical.clone()).await.json();
    let page = shop.get("/v1/tracking").await.json();
    let parcel = shop.get(&format!("/v1/tracking/{id}")).await.json();
    let events = shop.get(&format!("/v1/tracking/{id}/events")).await.json();
    for (schema, value) in [
        ("TrackingBatch", &wire),
        ("TrackingEvent", &wire["event"][0]),
        ("TrackingResult", &results[0]),
        ("TrackingResult", &results[1]),
        ("ParcelReports", &canonical),
        ("ParcelReport", &canonical["reports"][0]),
        ("ReportResults", &answer),
        ("ReportResult", &answer["results"][0]),
        ("Parcel", &parcel),
        ("ReportCounts", &parcel["reports"]),
        ("ParcelLinks", &parcel["links"]),
        ("ParcelPage", &page),
        ("ParcelEvents", &events),
        ("CloudEvent", &events["events"][0]),
        ("ActuatorHealth", &shop.get("/actuator/health").await.json()),
        ("ActuatorInfo", &shop.get("/actuator/info").await.json()),
    ] {
        assert_described(&document, schema, value);
    }
    assert_eq!(page["parcels"][0], parcel);
}

#[tokio::test]
async fn the_documented_statuses_are_those_that_are_read() {
    let shop = Shop::new();
    let document = shop.get("/openapi.json").await.json();
    let names = |schema: &str| document["components"]["schemas"][schema]["enum"].as_array().unwrap().clone();
    let wire = names("TrackingStatus");
    let canonical = names("ParcelStatus");
    assert_eq!((wire.len(), canonical.len()), (4, 4));
    for (number, (wire, canonical)) in wire.iter().zip(&canonical).enumerate() {
        let id = format!("P-{number}");
        let answers = shop.track(vec![json!({"orderId": id, "status": wire, "eventTs": at(8, 0)})]).await;
        assert_eq!(answers[0]["published"], true);
        assert_eq!(shop.get(&format!("/v1/tracking/{id}")).await.json()["status"], *canonical);
    }
}

#[tokio::test]
async fn both_formats_and_every_status_are_documented() {
    let shop = Shop::new();
    let document = shop.get("/openapi.json").await.json();
    let track = &document["paths"][WIRE]["post"];
    for kind in ["application/json", "application/xml"] {
        assert!(track["requestBody"]["content"][kind]["schema"].is_object(), "{kind}");
    }
    for status in ["202", "400", "401", "403", "408", "413", "415", "431", "500", "503"] {
        assert!(track["responses"][status].is_object(), "{status}");
    }
    assert!(track["responses"].get("422").is_none(), "S4 knows 400 only");
    let xml = &document["components"]["schemas"]["TrackingBatch"]["xml"];
    assert_eq!(xml["name"], "events");
}
