//! A topic that takes nothing, or not everything: what is for it waits in the ledger, or is given up, and every other order goes on.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ordermill_core::event::Subject;
use ordermill_core::order::Status;
use ordermill_core::process::Role;
use ordermill_ports::conformance::Settings;
use ordermill_ports::conformance::shop::Shop;
use ordermill_ports::{Bus, Delivery, Submission};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::time::Instant;

use crate::messages::{header, read};
use crate::support::Place;
use crate::support::process::{Process, SOON};
use crate::support::server::Cluster;

const ROLE: Role = Role::Payments;

/// Sets an option of a topic. Whatever else was set goes back to its default.
pub async fn set(place: &Place, topic: &str, option: &str, value: &str) {
    let admin: AdminClient<DefaultClientContext> = place.client().create().expect("a sound configuration");
    let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(option, value);
    let results = admin.alter_configs([&change], &AdminOptions::new()).await.expect("the broker answers");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

/// How many messages have come in; `None` where the broker cannot say.
fn count(place: &Place, topic: &str) -> Option<i64> {
    let consumer: BaseConsumer = place.client().create().expect("a sound configuration");
    consumer.fetch_watermarks(topic, 0, Duration::from_secs(10)).ok().map(|ends| ends.1)
}

pub fn messages(place: &Place, topic: &str) -> i64 {
    count(place, topic).expect("the broker answers")
}

/// Places an order that goes on: it reaches the role, and its later events are published, too.
async fn place_and_drive(process: &Process, shop: &Shop) {
    let order = shop.place(&[("apple", 1)]).await;
    let handed = process.receive_many(ROLE, 1).await;
    shop.settle(handed.into_iter().map(Delivery::ack)).await;
    shop.drive(order.id, Status::Authorized).await;
}

/// A change takes the broker a moment. Gives how many messages have come in until it refuses one of so many bytes.
async fn until_it_refuses(place: &Place, topic: &str, bytes: usize) -> i64 {
    let producer: FutureProducer =
        place.client().set("message.timeout.ms", "1000").create().expect("a sound configuration");
    let deadline = Instant::now() + SOON;
    loop {
        let payload = "a".repeat(bytes);
        let record = FutureRecord::to(topic).key("probe").payload(&payload);
        if producer.send(record, SOON).await.is_err() {
            return messages(place, topic);
        }
        assert!(Instant::now() < deadline, "the topic refuses messages");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The ledger's clock stands still by itself, and the relay has the time of day: what was put off is due beyond any wait.
fn let_all_be_due(shop: &Shop) {
    shop.advance(Timestamp::now().duration_since(shop.now()) + SignedDuration::from_mins(20));
}

/// Waits until the relay has nothing left to publish, and nothing put off.
async fn until_relayed(process: &Process) {
    let deadline = Instant::now() + SOON;
    loop {
        let lag = process.store.lag(Role::Relay).await.expect("the ledger answers");
        if (lag.events, lag.parked) == (0, 0) {
            return;
        }
        assert!(Instant::now() < deadline, "{lag:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
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
    // None that is older than it is when it arrives.
    set(&place, &outside, "message.timestamp.before.max.ms", "0").await;
    let before = until_it_refuses(&place, &outside, 10).await;
    let begun = Instant::now();
    // For longer than the publisher waits for an answer: some are not answered for, and the later ones are refused at once.
    let mut placed = 0;
    while begun.elapsed() < Duration::from_secs(14) {
        for _ in 0..5 {
            place_and_drive(&process, &shop).await;
            placed += 1;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let lag = process.store.lag(Role::Relay).await.expect("the ledger answers");
    assert!(lag.parked > 0, "what is for readers outside is put off: {lag:?}");
    assert_eq!(messages(&place, &outside), before);
    set(&place, &outside, "message.timestamp.before.max.ms", &i64::MAX.to_string()).await;
    let deadline = Instant::now() + SOON;
    while messages(&place, &outside) < before + placed {
        let there = messages(&place, &outside) - before;
        assert!(Instant::now() < deadline, "of {placed} messages there are {there}");
        let_all_be_due(&shop);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    until_relayed(&process).await;
    assert_eq!(messages(&place, &inside), placed, "a topic that has it is not sent it again");
    assert_eq!(messages(&place, &outside), before + placed, "and this one has each once");
    process.close().await;
}

/// Makes a topic of one partition on this broker.
async fn make(place: &Place, topic: &str, broker: i32) {
    let admin: AdminClient<DefaultClientContext> = place.client().create().expect("a sound configuration");
    let replicas: &[&[i32]] = &[&[broker]];
    let topic = NewTopic::new(topic, 1, TopicReplication::Variable(replicas));
    let results = admin.create_topics([&topic], &AdminOptions::new()).await.expect("the broker answers");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_without_a_leader_holds_up_no_order() {
    let mut cluster = Cluster::of_three();
    let place = Place::on(&cluster.brokers(), "partitions=1&replication=1&min_isr=1");
    let outside = place.topic("order_publisher");
    make(&place, &outside, 3).await;
    for channel in ["order_queue", "payment_status_topic"] {
        make(&place, &place.topic(channel), 1).await;
    }
    let settings = Settings::default();
    let process = Process::start(&place, &settings, &[ROLE], true).await;
    let shop = process.shop(&settings).await;
    shop.sell("apple", 100_000).await;
    place_and_drive(&process, &shop).await;
    cluster.kill(2);
    let (mut placed, mut deadline) = (1, Instant::now() + SOON);
    let parked = async || process.store.lag(Role::Relay).await.expect("the ledger answers").parked;
    while parked().await == 0 {
        assert!(Instant::now() < deadline, "what is for the topic is put off");
        place_and_drive(&process, &shop).await;
        placed += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Also what the client has, long before it gives that up.
    while i64::try_from(parked().await).expect("few") < placed - 1 {
        assert!(Instant::now() < deadline, "what is never answered for is put off");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    cluster.revive(2);
    deadline = Instant::now() + SOON * 2;
    while count(&place, &outside).is_none_or(|there| there < placed) {
        assert!(Instant::now() < deadline, "of {placed} messages there are {:?}", count(&place, &outside));
        let_all_be_due(&shop);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let_all_be_due(&shop);
    until_relayed(&process).await;
    // The client had them all the while. One that was tried again before its answer came is there twice.
    let there = read(&place, &outside, usize::try_from(messages(&place, &outside)).expect("few")).await;
    let events: BTreeSet<String> = there.iter().map(|message| header(message, "ordermill-position")).collect();
    assert_eq!(i64::try_from(events.len()).expect("few"), placed, "each is there");
    process.close().await;
}

/// The topic takes any of the small orders alone, and no batch of many.
const BYTES_MAX: usize = 2_500;
const SMALL: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_too_large_for_its_topic_is_a_dead_letter_until_the_topic_takes_it() {
    let place = Place::new();
    let settings = Settings::default();
    let process = Process::start(&place, &settings, &[ROLE], true).await;
    let shop = process.shop(&settings).await;
    let names: Vec<String> =
        (0..120_u64).map(|number| format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    for name in names.iter().map(String::as_str).chain(["apple"]) {
        shop.sell(name, 1_000).await;
    }
    let topic = place.topic("order_queue");
    set(&place, &topic, "max.message.bytes", &BYTES_MAX.to_string()).await;
    until_it_refuses(&place, &topic, 2 * BYTES_MAX).await;
    let lines: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    // In one commit, so that the relay hands all of them over in one go.
    let mut orders: Vec<Submission> = (0..SMALL).map(|_| Submission::new(shop.placing(&[("apple", 1)]))).collect();
    orders.insert(SMALL / 2, Submission::new(shop.placing(&lines)));
    let placed = shop.submit(orders).await;
    let large = placed[SMALL / 2].as_ref().expect("it is taken").order().expect("an order").id;
    let handed = process.receive_many(ROLE, SMALL).await;
    assert!(handed.iter().all(|delivery| delivery.subject != Subject::Order(large)));
    shop.settle(handed.into_iter().map(Delivery::ack)).await;
    let deadline = Instant::now() + SOON;
    let letters = loop {
        let letters = process.store.dead_letters(None, 10).await.expect("the ledger answers");
        if !letters.is_empty() {
            break letters;
        }
        assert!(Instant::now() < deadline, "it is given up");
        let_all_be_due(&shop);
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let [letter] = &letters[..] else { panic!("one alone does not fit: {letters:?}") };
    assert_eq!((letter.delivery.role, &letter.delivery.subject), (Role::Relay, &Subject::Order(large)));
    assert!(
        letter.reason.contains("order_queue") && letter.reason.contains("MessageSizeTooLarge"),
        "{}",
        letter.reason
    );
    until_relayed(&process).await;
    set(&place, &topic, "max.message.bytes", "1048588").await;
    process.store.redrive(&[letter.id]).await.expect("the ledger answers");
    let handed = loop {
        let handed = process.receive(ROLE, Duration::from_millis(200)).await;
        if !handed.is_empty() {
            break handed;
        }
        assert!(Instant::now() < deadline, "it reaches its role");
        let_all_be_due(&shop);
    };
    assert!(handed.len() == 1 && handed[0].subject == Subject::Order(large), "{handed:?}");
    shop.settle(handed.into_iter().map(Delivery::ack)).await;
    until_relayed(&process).await;
    process.close().await;
}
