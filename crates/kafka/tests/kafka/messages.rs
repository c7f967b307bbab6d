//! What is on the topics: what readers outside have always known, what nobody can read, and what was given up.

use std::time::Duration;

use ordermill_core::channel::MessageKey;
use ordermill_core::order::Status;
use ordermill_core::parcel::ParcelStatus;
use ordermill_core::process::Role;
use ordermill_ports::conformance::Settings;
use ordermill_ports::publisher::{Announcement, Trace};
use ordermill_ports::{Position, Publisher, Queries};
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::Place;
use crate::support::process::{Process, SOON, until};

const ROLE: Role = Role::Payments;

/// So many messages of a topic, from its beginning.
pub async fn read(place: &Place, topic: &str, count: usize) -> Vec<OwnedMessage> {
    let mut config = place.client();
    config.set("group.id", format!("reader-{topic}")).set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = config.create().expect("a sound configuration");
    consumer.subscribe(&[topic]).expect("a sound name");
    let deadline = Instant::now() + SOON;
    let mut messages = Vec::new();
    while messages.len() < count {
        assert!(Instant::now() < deadline, "{topic} has only {messages:?}");
        if let Some(Ok(message)) = consumer.poll(Duration::ZERO) {
            messages.push(message.detach());
        } else {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    messages
}

pub fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8(bytes.unwrap_or_default().to_vec()).expect("text")
}

fn value(message: &OwnedMessage) -> Value {
    serde_json::from_slice(message.payload().expect("it has a value")).expect("JSON")
}

pub fn header(message: &OwnedMessage, name: &str) -> String {
    let headers = message.headers().expect("it has headers");
    let found = headers.iter().find(|header| header.key == name).unwrap_or_else(|| panic!("no {name}: {headers:?}"));
    text(found.value)
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_outside_get_what_they_know() {
    let place = Place::with("replication=1&min_isr=1");
    let settings = Settings::default();
    let process = Process::start(&place, &settings, &[], true).await;
    let shop = process.shop(&settings).await;
    shop.sell("apple", 10).await;
    let order = shop.place(&[("apple", 2)]).await;
    shop.drive(order.id, Status::Confirmed).await;
    shop.track("t-1", ParcelStatus::PickedUp, 0).await;
    let moved = &read(&place, &place.topic("order-tracking.events"), 1).await[0];
    assert_eq!(text(moved.key()), "t-1");
    let seen_at = value(moved)["eventTs"].clone();
    let expected = json!({
        "orderId": "t-1", "status": "PICKED_UP_AT_WAREHOUSE", "eventTs": seen_at, "schemaVersion": "v1",
    });
    assert_eq!(value(moved), expected);
    assert!(seen_at.as_str().expect("text").parse::<ordermill_core::Timestamp>().is_ok());
    let placed = &read(&place, &place.topic("order_publisher"), 1).await[0];
    let id = order.id.to_string();
    assert_eq!(
        (text(placed.key()), header(placed, "content-type")),
        (id.clone(), "application/cloudevents+json".to_owned())
    );
    let event = value(placed);
    assert_eq!((&event["specversion"], &event["type"]), (&json!("1.0"), &json!("order.placed")));
    assert_eq!((&event["id"], &event["subject"]), (&json!(format!("{id}/1")), &json!(id)));
    assert_eq!((&event["source"], &event["correlationid"]), (&json!("/ordermill"), &json!(id)));
    assert_eq!(event["data"]["lines"][0]["product_id"], "apple");
    // An order's later events tell what caused them, and keep their order under the order's key.
    let paid = read(&place, &place.topic("payment_status_topic"), 2).await;
    let types: Vec<Value> = paid.iter().map(|message| value(message)["type"].clone()).collect();
    assert_eq!(types, ["payment.authorized", "payment.captured"]);
    assert!(paid.iter().all(|message| text(message.key()) == id));
    let consumer: BaseConsumer = place.client().create().expect("a sound configuration");
    let metadata = consumer.fetch_metadata(None, Duration::from_secs(10)).expect("the broker answers");
    let partitions = |name: &str| {
        let name = place.topic(name);
        let topic = metadata.topics().iter().find(|topic| topic.name() == name);
        topic.map_or(0, |topic| topic.partitions().len())
    };
    let names = ["order-tracking.events", "order_publisher", "order_queue", "order_queue.dlt"];
    assert_eq!(names.map(partitions), [6, 3, 6, 1]);
    process.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_nobody_can_read_is_put_aside() {
    let place = Place::new();
    let settings = Settings::default();
    let process = Process::start(&place, &settings, &[ROLE], true).await;
    let shop = process.shop(&settings).await;
    let topic = place.topic("order_queue");
    let producer: FutureProducer = place.client().create().expect("a sound configuration");
    let stray = FutureRecord::to(&topic).key("somebody's").payload("{\"hello\":1}");
    producer.send(stray, SOON).await.expect("the broker takes it");
    let broken = OwnedHeaders::new().insert(Header { key: "ordermill-position", value: Some("seven") });
    let broken = FutureRecord::to(&topic).key("ours?").payload("").headers(broken);
    producer.send(broken, SOON).await.expect("the broker takes it");
    shop.sell("apple", 10).await;
    shop.place(&[("apple", 1)]).await;
    let deliveries = process.receive_many(ROLE, 1).await;
    assert_eq!(process.receive(ROLE, Duration::from_millis(200)).await, [], "they are nothing to a role");
    shop.settle(deliveries.into_iter().map(ordermill_ports::Delivery::ack)).await;
    let mut aside = read(&place, &format!("{topic}.dlt"), 2).await;
    // Each is put aside by itself.
    aside.sort_by_key(|message| header(message, "dead-letter-offset"));
    assert_eq!((text(aside[0].key()), text(aside[0].payload())), ("somebody's".to_owned(), "{\"hello\":1}".to_owned()));
    assert!(header(&aside[0], "dead-letter-reason").contains("not written by this system"));
    assert!(header(&aside[1], "dead-letter-reason").contains("ordermill-position cannot be read"));
    assert_eq!(header(&aside[1], "ordermill-position"), "seven", "its own headers are kept");
    let found: Vec<String> = ["role", "topic", "partition", "offset"]
        .iter()
        .map(|name| header(&aside[1], &format!("dead-letter-{name}")))
        .collect();
    assert_eq!(found, ["payments", &topic, "0", "1"]);
    process.until_settled(ROLE).await;
    process.close().await;
    // They were passed: the next process is not told of them, nor of the order.
    let next = Process::start(&place, &settings, &[ROLE], true).await;
    until("it reads on", || next.bus.is_caught_up()).await;
    assert_eq!(next.receive(ROLE, Duration::from_millis(300)).await, []);
    next.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_role_gave_up_is_copied_with_its_reason() {
    let place = Place::new();
    let settings = Settings::default();
    let process = Process::start(&place, &settings, &[ROLE], true).await;
    let shop = process.shop(&settings).await;
    shop.sell("apple", 10).await;
    let order = shop.place(&[("apple", 1)]).await;
    let delivery = process.receive_many(ROLE, 1).await.remove(0);
    shop.settle([delivery.retry(shop.now(), "busy".to_owned())]).await;
    let again = process.receive_many(ROLE, 1).await.remove(0);
    assert_eq!(again.tries, 1, "it was parked by the ledger");
    shop.settle([again.dead_letter("no such card".to_owned())]).await;
    let copy = &read(&place, &place.topic("order_queue.dlt"), 1).await[0];
    assert_eq!((text(copy.key()), value(copy)["type"].clone()), (order.id.to_string(), json!("order.placed")));
    let headers = ["reason", "role", "tries"].map(|name| header(copy, &format!("dead-letter-{name}")));
    assert_eq!(headers, ["no such card", "payments", "2"]);
    process.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_published_twice_is_told_once() {
    let place = Place::new();
    let settings = Settings::default();
    let process = Process::start(&place, &settings, &[ROLE], true).await;
    let shop = process.shop(&settings).await;
    shop.sell("apple", 10).await;
    for _ in 0..3 {
        shop.place(&[("apple", 1)]).await;
    }
    let publish_again = async || {
        let events = process.store.feed(Position(0), 100).await.expect("readable");
        let again = events.into_iter().map(|event| Announcement { event, trace: Trace::default() });
        for answer in process.publisher.publish(again.collect()).await {
            answer.await.expect("the broker takes it");
        }
    };
    publish_again().await;
    let deliveries = process.receive_many(ROLE, 3).await;
    publish_again().await;
    shop.settle(deliveries.iter().cloned().map(ordermill_ports::Delivery::ack)).await;
    publish_again().await;
    // A fourth order comes behind all of them.
    let last = shop.place(&[("apple", 1)]).await;
    let rest = process.receive_many(ROLE, 1).await;
    assert_eq!(MessageKey(&rest[0].subject).to_string(), last.id.to_string());
    assert_eq!(process.receive(ROLE, Duration::from_millis(200)).await, []);
    process.close().await;
}
