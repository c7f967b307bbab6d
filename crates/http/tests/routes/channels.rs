//! `/v1/channels`

use ordermill_core::input::{Body as InputBody, ParcelReport};
use ordermill_core::parcel::ParcelStatus;
use ordermill_core::process::Role;
use ordermill_ports::{Bus as _, Ledger as _, Source, Submission};
use serde_json::{Value, json};

use crate::support::{Live, Shop};

async fn report(shop: &Shop, parcel: &str, status: ParcelStatus, seen_at: &str) {
    let report = ParcelReport {
        parcel_id: parcel.parse().unwrap(),
        status,
        seen_at: seen_at.parse().unwrap(),
        correlation_id: Some("carrier-1".parse().unwrap()),
    };
    shop.submit(InputBody::Track(report)).await;
}

async fn messages(shop: &Shop, address: &str) -> Vec<Value> {
    shop.get(&format!("/v1/channels/{address}")).await.json()["messages"].as_array().unwrap().clone()
}

/// Makes the payments role give up on everything it is handed.
async fn give_up(shop: &Shop) {
    let deliveries = shop.store.receive(Role::Payments, 10).await.unwrap();
    let given_up =
        deliveries.into_iter().map(|delivery| Submission::settle(delivery.dead_letter("it is gone".to_owned())));
    for result in shop.store.submit(Source::Results, given_up.collect()).await {
        result.unwrap();
    }
}

#[tokio::test]
async fn channels_show_who_reads_them_and_how_far() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    shop.place("chair").await;
    let list = shop.get("/v1/channels").await.json();
    let channels = list["channels"].as_array().unwrap();
    let names: Vec<&str> = channels.iter().map(|channel| channel["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "order_queue",
            "payment_status_topic",
            "inventory_status_topic",
            "order-tracking.events",
            "records",
            "order_publisher",
            "order_status_topic"
        ]
    );
    let queue = &channels[0];
    assert_eq!(queue["dead_letter_channel"], "order_queue_dead_letter");
    assert_eq!((&queue["event_types"], &queue["dead_letters"]), (&json!(["order.placed"]), &json!(0)));
    assert_eq!(queue["consumers"][0]["role"], "payments");
    assert!(queue["consumers"][0]["lag"].as_u64().unwrap() >= 1, "{queue}");
    assert!(queue["consumers"][0]["oldest"].is_string());
    assert_eq!((&channels[5]["consumers"], &channels[5]["event_types"]), (&json!([]), &json!(["order.placed"])));
    give_up(&shop).await;
    let list = shop.get("/v1/channels").await.json();
    assert_eq!((&list["channels"][0]["dead_letters"], &list["channels"][5]["dead_letters"]), (&json!(1), &json!(0)));
    shop.get("/v1/channels?colour=1").await.assert_problem(400, "invalid_query");
}

#[tokio::test]
async fn messages_of_a_channel_are_its_events_with_their_keys() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let mut orders = Vec::new();
    for _ in 0..5 {
        orders.push(shop.place("chair").await.to_string());
    }
    shop.confirm(orders[0].parse().unwrap()).await;
    for channel in ["order_queue", "order_publisher"] {
        let found = messages(&shop, &format!("{channel}/messages")).await;
        let keys: Vec<&str> = found.iter().map(|message| message["key"].as_str().unwrap()).collect();
        assert_eq!(keys, orders);
        assert_eq!((&found[0]["type"], &found[0]["specversion"]), (&json!("order.placed"), &json!("1.0")));
        assert_eq!((found[0].get("value"), found[0].get("dead_letter")), (None, None));
    }
    let kinds: Vec<Value> =
        messages(&shop, "payment_status_topic/messages").await.iter().map(|message| message["type"].clone()).collect();
    assert_eq!(kinds, ["payment.authorized", "payment.captured"]);
    assert_eq!(messages(&shop, "inventory_status_topic/messages").await.len(), 1);
    // Page by page, to the end.
    let (mut seen, mut address) = (Vec::new(), "order_queue/messages?limit=2".to_owned());
    loop {
        let page = shop.get(&format!("/v1/channels/{address}")).await.json();
        seen.extend(
            page["messages"].as_array().unwrap().iter().map(|message| message["key"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else { break };
        address = format!("order_queue/messages?limit=2&cursor={next}");
    }
    assert_eq!(seen, orders);
    let newest = messages(&shop, "order_queue/messages?last=2").await;
    assert_eq!([&newest[0]["key"], &newest[1]["key"]], [&orders[3], &orders[4]]);
    shop.get("/v1/channels/nothing/messages").await.assert_problem(404, "channel_not_found");
    let cursor =
        shop.get("/v1/channels/order_queue/messages?limit=1").await.json()["next"].as_str().unwrap().to_owned();
    for bad in ["last=0", "last=501", "limit=0", "cursor=x", &format!("last=1&cursor={cursor}")] {
        shop.get(&format!("/v1/channels/order_queue/messages?{bad}")).await.assert_problem(400, "invalid_query");
    }
}

#[tokio::test]
async fn the_newest_messages_are_found_behind_many_others() {
    let shop = Shop::new();
    report(&shop, "P-1", ParcelStatus::PickedUp, "2026-01-01T00:00:00Z").await;
    let puts = (0..4_000).map(|number| {
        json!({"product_id": format!("p-{number}"), "name": "n", "price": {"amount_minor": 1, "currency": "USD"}})
            .to_string()
    });
    let reply = shop.post_lines("/v1/products", puts.collect::<Vec<_>>().join("\n")).await;
    assert_eq!(reply.lines().len(), 4_000);
    let found = messages(&shop, "order-tracking.events/messages?last=5").await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["key"], "P-1");
}

#[tokio::test]
async fn tracking_messages_have_the_value_their_readers_know() {
    let shop = Shop::new();
    report(&shop, "ORD-1", ParcelStatus::PickedUp, "2026-01-31T12:00:00Z").await;
    report(&shop, "ORD-1", ParcelStatus::OutForDelivery, "2026-01-31T13:00:00Z").await;
    report(&shop, "ORD-1", ParcelStatus::DeliveryIssue, "2026-01-31T12:30:00Z").await;
    let found = messages(&shop, "order-tracking.events/messages").await;
    assert_eq!(found.len(), 3);
    assert_eq!(
        found[0]["value"],
        json!({"orderId": "ORD-1", "status": "PICKED_UP_AT_WAREHOUSE", "eventTs": "2026-01-31T12:00:00Z", "schemaVersion": "v1"})
    );
    assert_eq!((&found[2]["type"], &found[2]["value"]["status"]), (&json!("tracking.late"), &json!("DELIVERY_ISSUE")));
    assert!(
        found.iter().all(|message| message["key"] == "ORD-1" && message["correlationid"] == "carrier-1"),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_dead_letter_channel_says_why() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let first = shop.place("chair").await.to_string();
    let second = shop.place("chair").await.to_string();
    assert_eq!(messages(&shop, "order_queue_dead_letter/messages").await, Vec::<Value>::new());
    give_up(&shop).await;
    let found = messages(&shop, "order_queue_dead_letter/messages").await;
    assert_eq!([&found[0]["key"], &found[1]["key"]], [&first, &second]);
    let letter = &found[0]["dead_letter"];
    assert_eq!((&letter["role"], &letter["reason"]), (&json!("payments"), &json!("it is gone")));
    assert_eq!((&found[0]["type"], &found[0]["data"]["customer_id"]), (&json!("order.placed"), &json!("customer-1")));
    let page = shop.get("/v1/channels/order_queue_dead_letter/messages?limit=1").await.json();
    let rest = format!("order_queue_dead_letter/messages?cursor={}", page["next"].as_str().unwrap());
    assert_eq!(messages(&shop, &rest).await[0]["key"], second);
    assert_eq!(messages(&shop, "order_queue_dead_letter/messages?last=1").await[0]["key"], second);
    for other in [
        "payment_status_topic_dead_letter",
        "order-tracking.events.dlt",
        "records_dead_letter",
        "order_publisher_dead_letter",
    ] {
        assert_eq!(messages(&shop, &format!("{other}/messages")).await, Vec::<Value>::new(), "{other}");
    }
}

#[tokio::test]
async fn channels_are_followed_from_where_one_looked() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    shop.place("chair").await;
    let next = shop.get("/v1/channels/order_queue/messages?last=1").await.json()["next"].as_str().unwrap().to_owned();
    let news = shop.place("chair").await.to_string();
    let mut live = Live::open(&shop, "/v1/channels/order_queue/stream", &[("last-event-id", &next)]).await;
    let (_, kind, message) = live.next_of_feed().await.unwrap();
    assert_eq!((kind.as_str(), &message["key"]), ("order.placed", &json!(news)));
    let mut dead = Live::open(&shop, "/v1/channels/order_queue_dead_letter/stream", &[]).await;
    give_up(&shop).await;
    let (id, kind, message) = dead.next_of_feed().await.unwrap();
    assert_eq!((kind.as_str(), &message["dead_letter"]["reason"]), ("order.placed", &json!("it is gone")));
    let behind = Live::open(&shop, &format!("/v1/channels/order_queue_dead_letter/stream?cursor={id}"), &[])
        .await
        .next_of_feed()
        .await;
    assert_eq!(behind.unwrap().2["key"], news);
    let wrong = Live::open(&shop, "/v1/channels/order_queue/stream", &[("last-event-id", &id)]).await;
    assert_eq!(wrong.status, 400, "a place in another stream is none in this");
    shop.get("/v1/channels/nothing/stream").await.assert_problem(404, "channel_not_found");
}
