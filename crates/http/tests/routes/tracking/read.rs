//! `GET /v1/tracking`, `GET /v1/tracking/{id}` and `GET /v1/tracking/{id}/events`.

use http::Method;
use ordermill_core::input::Body as InputBody;
use ordermill_core::parcel::ParcelStatus;
use serde_json::{Value, json};

use super::{at, event};
use crate::support::{Reply, Shop, order};

fn ids(page: &Reply) -> Vec<String> {
    assert_eq!(page.status, 200, "{}", page.text());
    let page = page.json();
    let parcels = page["parcels"].as_array().unwrap();
    parcels.iter().map(|parcel| parcel["parcel_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_parcel_of_nobodys_order() {
    let shop = Shop::new();
    shop.get("/v1/tracking/A%2F1").await.assert_problem(404, "parcel_not_found");
    shop.track(vec![event("A/1", "PICKED_UP_AT_WAREHOUSE", &at(8, 0))]).await;
    let reply = shop.get("/v1/tracking/A%2F1").await;
    assert_eq!((reply.status.as_u16(), reply.header("etag")), (200, "\"1\""));
    let mut parcel = reply.json();
    assert_eq!(parcel["created_at"], parcel["updated_at"]);
    for field in ["created_at", "updated_at"] {
        assert!(parcel.as_object_mut().unwrap().remove(field).unwrap().is_string());
    }
    assert_eq!(
        parcel,
        json!({
            "parcel_id": "A/1", "status": "picked_up", "seen_at": at(8, 0), "version": 1,
            "reports": {"moved": 1, "late": 0, "refused": 0},
            "links": {
                "self": "/v1/tracking/A%2F1",
                "events": "/v1/tracking/A%2F1/events",
                "stream": "/v1/tracking/A%2F1/stream",
            },
        })
    );
    for link in ["self", "events"] {
        assert_eq!(shop.get(parcel["links"][link].as_str().unwrap()).await.status, 200, "{link}");
    }
    let tag = [("if-none-match", "\"1\"")];
    assert_eq!(shop.send(Method::GET, "/v1/tracking/A%2F1", &tag, "").await.status, 304);
    shop.track(vec![event("A/1", "DELIVERY_ISSUE", &at(7, 0))]).await;
    assert_eq!(shop.send(Method::GET, "/v1/tracking/A%2F1", &tag, "").await.status, 200);
}

#[tokio::test]
async fn a_parcel_of_ours_is_found_by_both_names_of_its_order() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let mut body = order("chair", 1);
    body["order_ref"] = "R-77".into();
    let by_ref = shop.post("/v1/orders", body.clone()).await.order_id();
    body["order_ref"] = "R-78".into();
    let by_id = shop.post("/v1/orders", body).await.order_id();
    let unmoved = shop.place("chair").await;
    shop.track(vec![
        event("R-77", "OUT_FOR_DELIVERY", &at(8, 0)),
        event(&by_id.to_string(), "DELIVERED", &at(9, 0)),
        event("R-79", "DELIVERED", &at(9, 0)),
    ])
    .await;
    for (name, parcel_id, order_id, status) in [
        ("R-77".to_owned(), "R-77".to_owned(), by_ref, "out_for_delivery"),
        (by_ref.to_string(), "R-77".to_owned(), by_ref, "out_for_delivery"),
        ("R-78".to_owned(), "R-78".to_owned(), by_id, "delivered"),
        (by_id.to_string(), "R-78".to_owned(), by_id, "delivered"),
    ] {
        let parcel = shop.get(&format!("/v1/tracking/{name}")).await.json();
        assert_eq!(parcel["parcel_id"], parcel_id, "{name}");
        assert_eq!(parcel["order_id"], order_id.to_string(), "{name}");
        assert_eq!(parcel["status"], status, "{name}");
        assert_eq!(parcel["links"]["order"], format!("/v1/orders/{order_id}"));
        let events = shop.get(&format!("/v1/tracking/{name}/events")).await.json();
        assert_eq!(events["events"][0]["subject"], format!("parcel/{parcel_id}"), "{name}");
    }
    let parcel = shop.get("/v1/tracking/R-79").await.json();
    assert_eq!(parcel.get("order_id"), None, "R-79 is no order of ours");
    shop.get(&format!("/v1/tracking/{unmoved}")).await.assert_problem(404, "parcel_not_found");
    let page = shop.get("/v1/tracking").await.json();
    let of = |id: &str| {
        page["parcels"].as_array().unwrap().iter().find(|parcel| parcel["parcel_id"] == id).unwrap()["order_id"].clone()
    };
    assert_eq!((of("R-77"), of("R-78"), of("R-79")), (json!(by_ref), json!(by_id), Value::Null));
}

/// What the tracking role does with what was reported here, done by hand.
#[tokio::test]
async fn an_order_of_ours_is_shipped_and_delivered_with_its_parcel() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let order_id = shop.place("chair").await;
    shop.confirm(order_id).await;
    let id = order_id.to_string();
    let steps = [
        ("PICKED_UP_AT_WAREHOUSE", ParcelStatus::PickedUp, "shipped"),
        ("OUT_FOR_DELIVERY", ParcelStatus::OutForDelivery, "shipped"),
        ("DELIVERED", ParcelStatus::Delivered, "delivered"),
    ];
    for (hour, (name, status, order_status)) in (8..).zip(steps) {
        shop.track(vec![event(&id, name, &at(hour, 0))]).await;
        let seen_at = at(hour, 0).parse().unwrap();
        shop.submit(InputBody::ParcelMoved { order_id, status, seen_at }).await;
        let order = shop.get(&format!("/v1/orders/{id}")).await.json();
        assert_eq!((&order["status"], &order["parcel"]), (&json!(order_status), &json!(status)));
    }
    assert_eq!(shop.get(&format!("/v1/tracking/{id}")).await.json()["delivered_at"], at(10, 0));
}

#[tokio::test]
async fn the_timeline_keeps_what_was_late_and_what_was_refused() {
    let shop = Shop::new();
    let events = vec![
        event("A", "OUT_FOR_DELIVERY", &at(10, 0)),
        event("A", "PICKED_UP_AT_WAREHOUSE", &at(8, 0)),
        event("A", "PICKED_UP_AT_WAREHOUSE", &at(8, 0)),
        event("A", "PICKED_UP_AT_WAREHOUSE", &at(12, 0)),
        event("A", "DELIVERED", &at(14, 0)),
    ];
    let reply = shop.post_with(super::WIRE, &[("x-correlation-id", "batch-7")], super::batch(events)).await;
    assert_eq!((reply.status.as_u16(), reply.header("x-correlation-id")), (202, "batch-7"));
    let timeline = shop.get("/v1/tracking/A/events").await.json();
    let events = timeline["events"].as_array().unwrap();
    let seen: Vec<(&str, &Value)> =
        events.iter().map(|event| (event["type"].as_str().unwrap(), &event["data"])).collect();
    let data = |status: &str, hour| json!({"status": status, "seen_at": at(hour, 0), "correlation_id": "batch-7"});
    let mut refused = data("picked_up", 12);
    refused["reason"] = "out_of_order".into();
    assert_eq!(
        seen,
        [
            ("tracking.moved", &data("out_for_delivery", 10)),
            ("tracking.late", &data("picked_up", 8)),
            ("tracking.refused", &refused),
            ("tracking.moved", &data("delivered", 14)),
        ]
    );
    assert_eq!((&events[2]["id"], &events[2]["sequence"]), (&json!("parcel/A/3"), &json!(3)));
    let later = shop.get("/v1/tracking/A/events?after=3").await.json();
    assert_eq!(later["events"], json!(events[3..]));
    let parcel = shop.get("/v1/tracking/A").await.json();
    assert_eq!(parcel["reports"], json!({"moved": 2, "late": 1, "refused": 1}));
    shop.get("/v1/tracking/A/events?after=x").await.assert_problem(400, "invalid_query");
    shop.get("/v1/tracking/B/events").await.assert_problem(404, "parcel_not_found");
}

#[tokio::test]
async fn pages_hold_every_parcel_once_newest_first() {
    let shop = Shop::new();
    for number in 0..7 {
        shop.track(vec![event(&format!("P-{number}"), "OUT_FOR_DELIVERY", &at(8, number))]).await;
    }
    let mut seen = Vec::new();
    let mut address = "/v1/tracking?limit=3".to_owned();
    loop {
        let page = shop.get(&address).await;
        assert!(ids(&page).len() <= 3);
        seen.extend(ids(&page));
        let Some(next) = page.json()["next"].as_str().map(str::to_owned) else { break };
        // What comes in meanwhile is newer, and what is reported again keeps its place: nothing is disturbed.
        let again = event("P-1", "DELIVERY_ISSUE", &at(9, 0));
        shop.track(vec![event(&format!("N-{}", seen.len()), "DELIVERED", &at(9, 0)), again]).await;
        address = format!("/v1/tracking?limit=3&cursor={next}");
    }
    assert_eq!(seen, ["P-6", "P-5", "P-4", "P-3", "P-2", "P-1", "P-0"]);
}

#[tokio::test]
async fn parcels_are_listed_by_where_they_are() {
    let shop = Shop::new();
    shop.track(vec![
        event("A", "PICKED_UP_AT_WAREHOUSE", &at(8, 0)),
        event("B", "OUT_FOR_DELIVERY", &at(8, 0)),
        event("C", "DELIVERED", &at(8, 0)),
        event("A", "DELIVERY_ISSUE", &at(9, 0)),
    ])
    .await;
    for (query, expected) in [
        ("", vec!["C", "B", "A"]),
        ("?status=picked_up", vec![]),
        ("?status=delivery_issue", vec!["A"]),
        ("?status=delivered,out_for_delivery", vec!["C", "B"]),
        ("?status=delivered&status=delivery_issue", vec!["C", "A"]),
    ] {
        assert_eq!(ids(&shop.get(&format!("/v1/tracking{query}")).await), expected, "{query}");
    }
    for (query, field) in
        [("status=lost", "status"), ("limit=0", "limit"), ("cursor=abc", "cursor"), ("colour=red", "colour")]
    {
        let reply = shop.get(&format!("/v1/tracking?{query}")).await;
        reply.assert_problem(400, "invalid_query");
        assert_eq!(reply.fields(), [field]);
    }
    let feed = shop.get("/v1/events").await.json()["next"].as_str().unwrap().to_owned();
    shop.get(&format!("/v1/tracking?cursor={feed}")).await.assert_problem(400, "invalid_query");
}
