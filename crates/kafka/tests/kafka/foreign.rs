//! Messages that others have written to our topics: none of them keeps a role from its work.

use std::sync::Arc;

use ordermill_core::channel::MessageKey;
use ordermill_core::process::Role;
use ordermill_ports::Delivery;
use ordermill_ports::conformance::Settings;
use ordermill_ports::conformance::shop::Shop;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Message as _, Offset, TopicPartitionList};
use tokio::time::Instant;

use super::ears;
use super::messages::{header, read, text};
use super::stuck::{messages, set};
use crate::support::process::{Process, SOON, until_published};
use crate::support::{Place, raw};

const ROLE: Role = Role::Payments;

/// Places an order, which reaches the role and is dealt with, and so is all that came before it.
async fn an_order_goes_on(process: &Process, shop: &Shop) {
    let order = shop.place(&[("apple", 1)]).await;
    let handed = process.receive_many(ROLE, 1).await;
    assert_eq!(MessageKey(&handed[0].subject).to_string(), order.id.to_string());
    shop.settle(handed.into_iter().map(Delivery::ack)).await;
    process.until_settled(ROLE).await;
}

async fn opened(place: &Place) -> (Arc<Process>, Shop) {
    let settings = Settings::default();
    let process = Process::start(place, &settings, &[ROLE], true).await;
    let shop = process.shop(&settings).await;
    shop.sell("apple", 100).await;
    (process, shop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_whose_name_is_no_text_ends_no_reader() {
    let place = Place::new();
    let (process, shop) = opened(&place).await;
    let topic = place.topic("order_queue");
    an_order_goes_on(&process, &shop).await;
    raw::produce(&place.options().brokers, &topic, b"somebody's", (b"gr\xf6\xdfe", b"7"));
    an_order_goes_on(&process, &shop).await;
    let aside = &read(&place, &format!("{topic}.dlt"), 1).await[0];
    assert_eq!((text(aside.key()), text(aside.payload())), ("somebody's".to_owned(), "{}".to_owned()));
    assert!(header(aside, "dead-letter-reason").contains("the name of a header is no UTF-8"));
    process.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_fails_begins_anew() {
    let place = Place::new();
    let (process, shop) = opened(&place).await;
    let topic = place.topic("order_queue");
    an_order_goes_on(&process, &shop).await;
    ears::trap(&format!("topic=\"{topic}\""));
    let producer: FutureProducer = place.client().create().expect("a sound configuration");
    producer.send(FutureRecord::to(&topic).key("stray").payload("7"), SOON).await.expect("the broker takes it");
    an_order_goes_on(&process, &shop).await;
    assert!(!ears::told(&["what reads for a role has failed"]).is_empty());
    read(&place, &format!("{topic}.dlt"), 1).await;
    process.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_large_for_a_dead_letter_is_noted_there() {
    let place = Place::new();
    let (process, shop) = opened(&place).await;
    let topic = place.topic("order_queue");
    an_order_goes_on(&process, &shop).await;
    // Our own client sends none of more than a million bytes; and brokers look at what a batch has when it is compressed.
    set(&place, &topic, "max.message.bytes", "2000000").await;
    for (size, compression) in [(1_200_000, "none"), (20_000_000, "lz4")] {
        let mut config = place.client();
        config.set("message.max.bytes", "30000000").set("compression.type", compression);
        let producer: FutureProducer = config.create().expect("a sound configuration");
        let value = vec![0_u8; size];
        let deadline = Instant::now() + SOON;
        // The change takes the broker a moment.
        while let Err((error, _)) = producer.send(FutureRecord::to(&topic).key("large").payload(&value), SOON).await {
            assert!(Instant::now() < deadline, "the broker takes it: {error}");
        }
    }
    an_order_goes_on(&process, &shop).await;
    let mut aside = read(&place, &format!("{topic}.dlt"), 2).await;
    aside.sort_by_key(|letter| header(letter, "dead-letter-offset"));
    for (letter, (offset, bytes)) in aside.iter().zip([("1", "1200005"), ("2", "20000005")]) {
        assert_eq!((text(letter.key()), letter.payload()), ("large".to_owned(), None));
        let found =
            ["topic", "partition", "offset", "bytes"].map(|name| header(letter, &format!("dead-letter-{name}")));
        assert_eq!(found, [&topic, "0", offset, bytes]);
    }
    process.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_writes_rubbish_does_not_fill_the_log() {
    let place = Place::new();
    let (process, shop) = opened(&place).await;
    let topic = place.topic("order_queue");
    ears::listen();
    let producer: FutureProducer = place.client().create().expect("a sound configuration");
    for _ in 0..1_000 {
        let record = FutureRecord::to(&topic).key("stray").payload("7");
        drop(producer.send_result(record).map_err(|(error, _)| error).expect("the client takes it"));
    }
    read(&place, &format!("{topic}.dlt"), 1_000).await;
    an_order_goes_on(&process, &shop).await;
    let told = ears::told(&[&format!("topic=\"{topic}\""), "cannot be read"]);
    assert!((1..10).contains(&told.len()), "{} lines", told.len());
    process.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_packs_its_own_way_is_read() {
    let place = Place::new();
    let (process, shop) = opened(&place).await;
    an_order_goes_on(&process, &shop).await;
    for packing in ["zstd", "snappy", "gzip"] {
        set(&place, &place.topic("order_queue"), "compression.type", packing).await;
        let deadline = Instant::now() + SOON;
        while packing_of(&place, &place.topic("order_queue")).await != packing {
            assert!(Instant::now() < deadline, "the topic is told");
        }
        an_order_goes_on(&process, &shop).await;
    }
    process.close().await;
}

/// How the broker compresses what it takes for a topic.
async fn packing_of(place: &Place, topic: &str) -> String {
    let admin: AdminClient<DefaultClientContext> = place.client().create().expect("a sound configuration");
    let topic = [ResourceSpecifier::Topic(topic)];
    let found = admin.describe_configs(&topic, &AdminOptions::new()).await.expect("the broker answers").remove(0);
    let found = found.expect("we may look at it");
    found.get("compression.type").and_then(|entry| entry.value.clone()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_before_it_was_read_is_told_of() {
    let place = Place::new();
    ears::listen();
    let (process, shop) = opened(&place).await;
    an_order_goes_on(&process, &shop).await;
    process.close().await;
    let settings = Settings::default();
    let without_role = Process::start(&place, &settings, &[], true).await;
    let shop = without_role.shop(&settings).await;
    for _ in 0..3 {
        shop.place(&[("apple", 1)]).await;
    }
    until_published(&without_role.store).await;
    without_role.close().await;
    let topic = place.topic("order_queue");
    let admin: AdminClient<DefaultClientContext> = place.client().create().expect("a sound configuration");
    let mut deleted = TopicPartitionList::new();
    // All but the last.
    let last = messages(&place, &topic) - 1;
    deleted.add_partition_offset(&topic, 0, Offset::Offset(last)).expect("a sound offset");
    admin.delete_records(&deleted, &AdminOptions::new()).await.expect("the broker does it");
    let process = Process::start(&place, &settings, &[ROLE], true).await;
    assert!(last > 1, "one at least was not read");
    process.receive_many(ROLE, 1).await;
    let told = ears::told(&["has deleted messages that the role has not read", &topic, "partition=0 offset=1"]);
    assert_eq!(told.len(), 1, "{told:?}");
    process.close().await;
}
