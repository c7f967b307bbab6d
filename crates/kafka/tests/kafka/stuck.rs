//! A topic that takes nothing: what is for it waits in the ledger, and every order goes on.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ordermill_core::order::Status;
use ordermill_core::process::Role;
use ordermill_ports::conformance::Settings;
use ordermill_ports::{Bus, Delivery};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::time::Instant;

use crate::support::Place;
use crate::support::process::{Process, SOON};

const ROLE: Role = Role::Payments;

/// No message may be longer: with ten bytes the topic takes none.
async fn let_in(place: &Place, topic: &str, bytes_max: &str) {
    let admin: AdminClient<DefaultClientContext> = place.client().create().expect("a sound configuration");
    // Whatever is not named goes back to its default.
    let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set("max.message.bytes", bytes_max);
    let results = admin.alter_configs([&change], &AdminOptions::new()).await.expect("the broker answers");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

fn messages(place: &Place, topic: &str) -> i64 {
    let consumer: BaseConsumer = place.client().create().expect("a sound configuration");
    let ends = consumer.fetch_watermarks(topic, 0, Duration::from_secs(10)).expect("the broker answers");
    ends.1
}

/// A change takes the broker a moment. Gives how many messages have come in until it refuses them.
async fn until_it_refuses(place: &Place, topic: &str) -> i64 {
    let producer: FutureProducer = place.client().create().expect("a sound configuration");
    let deadline = Instant::now() + SOON;
    loop {
        let record = FutureRecord::to(topic).key("probe").payload("more than ten bytes");
        if producer.send(record, SOON).await.is_err() {
            return messages(place, topic);
        }
        assert!(Instant::now() < deadline, "the topic refuses messages");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_for_readers_outside_that_takes_nothing_holds_up_no_order() {
    let place = Place::new();
    let settings = Settings::default();
    let process = Process::start(&place, &settings, &[ROLE], true).await;
    let shop = process.shop(&settings).await;
    shop.sell("apple", 1_000).await;
    let (outside, inside) = (place.topic("order_publisher"), place.topic("order_queue"));
    let_in(&place, &outside, "10").await;
    let before = until_it_refuses(&place, &outside).await;
    let begun = Instant::now();
    // For longer than the publisher waits for an answer: some are not answered for, and the later ones are refused at once.
    let mut placed = 0;
    while begun.elapsed() < Duration::from_secs(14) {
        for _ in 0..5 {
            let order = shop.place(&[("apple", 1)]).await;
            placed += 1;
            // It reaches the role, and its later events are published, too.
            let handed = process.receive_many(ROLE, 1).await;
            shop.settle(handed.into_iter().map(Delivery::ack)).await;
            shop.drive(order.id, Status::Authorized).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let lag = process.store.lag(Role::Relay).await.expect("the ledger answers");
    assert!(lag.parked > 0, "what is for readers outside is put off: {lag:?}");
    assert_eq!(messages(&place, &outside), before);
    let_in(&place, &outside, "1048588").await;
    let deadline = Instant::now() + SOON;
    while messages(&place, &outside) < before + placed {
        let there = messages(&place, &outside) - before;
        assert!(Instant::now() < deadline, "of {placed} messages there are {there}");
        // The ledger's clock stands still by itself, and the relay has the time of day: what was put off is due beyond any wait.
        shop.advance(Timestamp::now().duration_since(shop.now()) + SignedDuration::from_mins(20));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let deadline = Instant::now() + SOON;
    loop {
        let lag = process.store.lag(Role::Relay).await.expect("the ledger answers");
        if (lag.events, lag.parked) == (0, 0) {
            break;
        }
        assert!(Instant::now() < deadline, "{lag:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(messages(&place, &inside), placed, "a topic that has it is not sent it again");
    assert_eq!(messages(&place, &outside), before + placed, "and the client had some of them all the while");
    process.close().await;
}
