//! Messages that others have written to our topics: none of them keeps a role from its work.

use std::sync::Arc;

use ordermill_core::channel::MessageKey;
use ordermill_core::process::Role;
use ordermill_ports::Delivery;
use ordermill_ports::conformance::Settings;
use ordermill_ports::conformance::shop::Shop;
use rdkafka::Message as _;
use rdkafka::producer::{FutureProducer, FutureRecord};

use super::ears;
use super::messages::{header, read, text};
use crate::support::process::{Process, SOON};
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
