//! `GET /v1/events`

use serde_json::Value;

use crate::support::{Shop, order};

#[tokio::test]
async fn the_feed_holds_every_event_once_and_goes_on() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let placed = shop.post_with("/v1/orders", &[("x-correlation-id", "web-1")], order("chair", 1)).await.order_id();
    shop.confirm(placed).await;
    let mut seen: Vec<Value> = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = shop.get(&format!("/v1/events?limit=2&cursor={cursor}")).await.json();
        let events = page["events"].as_array().unwrap().clone();
        cursor = page["next"].as_str().unwrap().to_owned();
        if events.is_empty() {
            break;
        }
        assert!(events.len() <= 2);
        seen.extend(events);
    }
    let names: Vec<&str> = seen.iter().map(|event| event["id"].as_str().unwrap()).collect();
    let expected: Vec<String> = ["product/chair/1".to_owned(), "product/chair/2".to_owned()]
        .into_iter()
        .chain((1..=5).map(|version| format!("{placed}/{version}")))
        .collect();
    assert_eq!(names, expected);
    assert_eq!(seen[1]["type"], "stock.set");
    assert_eq!(seen[0].get("correlationid"), None);
    assert!(seen[2..].iter().all(|event| event["correlationid"] == "web-1" && event["subject"] == placed.to_string()));
    // The end of the feed is a place to come back to.
    let again = shop.get(&format!("/v1/events?cursor={cursor}")).await.json();
    assert_eq!(again["next"], cursor);
    let news = shop.place("chair").await;
    let page = shop.get(&format!("/v1/events?cursor={cursor}")).await.json();
    assert_eq!(page["events"][0]["id"], format!("{news}/1"));
    shop.get("/v1/events?cursor=nonsense").await.assert_problem(400, "invalid_query");
}
