//! More messages than a process takes in ahead of its role: what is beyond stays with the broker, and comes when there is room.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use ordermill_core::channel;
use ordermill_core::id::OrderId;
use ordermill_core::process::Role;
use ordermill_ports::conformance::Settings;
use ordermill_ports::{Bus as _, Delivery, Ledger as _, Position, Source, Submission};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::time::{Instant, sleep};

use crate::support::Place;
use crate::support::process::{Process, SOON, until};

const ROLE: Role = Role::Payments;

/// Messages that wait in a process, and all that are in it: `Bounds` of the crate.
const WAITING_MAX: usize = 2 * 1024;
const ALL_MAX: usize = 32 * 1024;

/// Positions of a partition's messages begin at so many times its number.
const STRIDE: u64 = 1_000_000;

/// Events of one order, one behind the other.
const OF_ORDER: u64 = 10;

/// As the relay would publish them: so many events in each partition of `order_queue`.
async fn publish(place: &Place, partitions: i32, count: u64) -> BTreeSet<Position> {
    let producer: FutureProducer = place
        .client()
        .set("linger.ms", "20")
        .set("enable.idempotence", "true")
        .create()
        .expect("a sound configuration");
    let (topic, mut sent, mut positions) = (place.topic("order_queue"), Vec::new(), BTreeSet::new());
    for (partition, index) in (0..partitions).flat_map(|partition| (0..count).map(move |index| (partition, index))) {
        let position = (u64::from(partition.unsigned_abs()) + 1) * STRIDE + index;
        let order = OrderId::from_bytes(u128::from(position / OF_ORDER).to_be_bytes()).to_string();
        let header = |key, value: String| (key, value);
        let headers = [
            header("ordermill-position", position.to_string()),
            header("ordermill-version", (index % OF_ORDER + 1).to_string()),
            header("ordermill-type", "order.placed".to_owned()),
            header("ordermill-time-us", position.to_string()),
        ];
        let headers = headers
            .iter()
            .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(value) }));
        let record = FutureRecord::to(&topic).partition(partition).key(&order).payload("{}").headers(headers);
        sent.push(producer.send_result(record).map_err(|(error, _)| error).expect("there is room"));
        positions.insert(Position(position));
    }
    for sent in sent {
        sent.await.expect("the producer is there").expect("the broker takes it");
    }
    positions
}

fn partition_of(delivery: &Delivery) -> u64 {
    delivery.position.0 / STRIDE - 1
}

fn place(partitions: i32) -> Place {
    Place::with(&format!("partitions={partitions}&replication=1&min_isr=1"))
}

/// A process that has the role's groups, on topics that hold so much already.
async fn behind(place: &Place, partitions: i32, count: u64) -> (Arc<Process>, BTreeSet<Position>) {
    let settings = Settings::default();
    let before = Process::start(place, &settings, &[], false).await;
    let positions = publish(place, partitions, count).await;
    before.close().await;
    (Process::start(place, &settings, &[ROLE], false).await, positions)
}

/// How many of these are in the process, or were not long ago.
fn known(process: &Process, positions: &BTreeSet<Position>) -> usize {
    positions.iter().filter(|position| process.bus.knows(ROLE, **position)).count()
}

async fn until_full(process: &Process, positions: &BTreeSet<Position>, count: usize) {
    let deadline = Instant::now() + SOON;
    while known(process, positions) < count {
        assert!(Instant::now() < deadline, "it has {} of {count}", known(process, positions));
        sleep(Duration::from_millis(20)).await;
    }
}

async fn settle(process: &Process, deliveries: &[Delivery]) {
    for deliveries in deliveries.chunks(1_000) {
        let words = deliveries.iter().cloned().map(Delivery::ack).map(Submission::settle).collect();
        assert!(process.ledger.submit(Source::Results, words).await.iter().all(Result::is_ok));
    }
}

/// So many deliveries, as they come.
async fn take(process: &Process, count: usize) -> Vec<Delivery> {
    let (mut all, deadline) = (Vec::new(), Instant::now() + SOON);
    while all.len() < count {
        assert!(Instant::now() < deadline, "{} of {count} have come", all.len());
        let max = 1_000.min(count - all.len());
        let received = tokio::time::timeout(Duration::from_secs(1), process.bus.receive(ROLE, max)).await;
        all.extend(received.map(|received| received.expect("the bus works")).unwrap_or_default());
    }
    all
}

/// Each order's events come in their order.
fn assert_in_order(deliveries: &[Delivery]) {
    let mut last = HashMap::new();
    for delivery in deliveries {
        let before = last.insert(delivery.subject.clone(), delivery.version).unwrap_or_default();
        assert_eq!(delivery.version, before + 1, "{delivery:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_takes_nothing_for_a_while_gets_everything_once_and_in_order() {
    let place = place(4);
    let (process, positions) = behind(&place, 4, 10_000).await;
    until_full(&process, &positions, WAITING_MAX).await;
    for _ in 0..20 {
        sleep(Duration::from_millis(50)).await;
        assert_eq!(known(&process, &positions), WAITING_MAX, "the rest is left where it is");
    }
    // It takes as much as it may have at a time, and has a word on nothing.
    let mut all = take(&process, ALL_MAX).await;
    assert_eq!(process.receive(ROLE, Duration::from_millis(500)).await, []);
    assert_eq!(known(&process, &positions), ALL_MAX);
    settle(&process, &all).await;
    let rest = take(&process, positions.len() - ALL_MAX).await;
    settle(&process, &rest).await;
    all.extend(rest);
    assert_eq!(all.iter().map(|delivery| delivery.position).collect::<BTreeSet<_>>(), positions, "each has come");
    assert_eq!(all.len(), positions.len(), "once");
    assert_in_order(&all);
    assert_eq!(process.receive(ROLE, Duration::from_millis(300)).await, []);
    process.until_settled(ROLE).await;
    until("it has read to the ends", || process.bus.is_caught_up()).await;
    process.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_partition_starves_behind_the_backlog_of_others() {
    const PARTITIONS: usize = 6;
    let place = place(6);
    let (process, positions) = behind(&place, 6, 3_000).await;
    // The first to arrive may fill the process; from then on they have turns.
    until_full(&process, &positions, WAITING_MAX).await;
    settle(&process, &take(&process, WAITING_MAX).await).await;
    for _ in 0..3 {
        let next = take(&process, WAITING_MAX).await;
        let mut shares = BTreeMap::new();
        for delivery in &next {
            *shares.entry(partition_of(delivery)).or_insert(0) += 1;
        }
        // A quarter of a fair share at least: the broker may be slow with one.
        let least = WAITING_MAX / PARTITIONS / 4;
        assert!(shares.len() == PARTITIONS && shares.values().all(|share| *share >= least), "{shares:?}");
        settle(&process, &next).await;
    }
    let left = take(&process, positions.len() - 4 * WAITING_MAX).await;
    settle(&process, &left).await;
    process.until_settled(ROLE).await;
    process.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebalance_amid_a_backlog_repeats_only_what_was_in_hand() {
    const PARTITIONS: i32 = 4;
    let place = place(PARTITIONS);
    let (first, positions) = behind(&place, PARTITIONS, 2_500).await;
    let done = take(&first, 3_000).await;
    settle(&first, &done).await;
    let in_hand = take(&first, 700).await;
    let second = Process::start(&place, &Settings::default(), &[ROLE], false).await;
    let all = 4 * usize::try_from(PARTITIONS).expect("small");
    let is_shared = || {
        let (mine, yours) = (first.bus.partitions(ROLE), second.bus.partitions(ROLE));
        mine > 0 && yours > 0 && mine + yours == all
    };
    until("both have their share", is_shared).await;
    // Each works on its own, and never has more in hand than it has a word on.
    let (mut rest, deadline) = (Vec::new(), Instant::now() + SOON);
    while done.len() + rest.len() < positions.len() {
        assert!(Instant::now() < deadline, "{} of {} have come", done.len() + rest.len(), positions.len());
        for process in [&first, &second] {
            let mine = process.receive(ROLE, Duration::from_millis(50)).await;
            settle(process, &mine).await;
            rest.extend(mine);
        }
    }
    for process in [&first, &second] {
        assert_eq!(process.receive(ROLE, Duration::from_millis(500)).await, []);
        process.until_settled(ROLE).await;
        until("it has read to the ends", || process.bus.is_caught_up()).await;
    }
    let came: BTreeSet<Position> = done.iter().chain(&rest).map(|delivery| delivery.position).collect();
    assert_eq!((came.len(), done.len() + rest.len()), (positions.len(), positions.len()), "each is done once");
    let again: BTreeSet<Position> = rest.iter().map(|delivery| delivery.position).collect();
    assert!(in_hand.iter().all(|delivery| again.contains(&delivery.position)), "what was in hand came again");
    second.close().await;
    until("the first has everything again", || first.bus.partitions(ROLE) == all && first.bus.is_caught_up()).await;
    assert_eq!(first.receive(ROLE, Duration::from_millis(500)).await, [], "what was settled does not come again");
    first.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lag_counts_all_partitions_of_topics_that_have_more_than_asked_for() {
    const ORDERS: u64 = 20;
    let place = Place::new();
    let admin: AdminClient<DefaultClientContext> = place.client().create().expect("a sound configuration");
    let names: Vec<String> = channel::TABLE.iter().map(|channel| place.topic(channel.name)).collect();
    let topics = names.iter().map(|name| NewTopic::new(name, 2, TopicReplication::Fixed(1)));
    let topics: Vec<NewTopic<'_>> = topics.collect();
    let made = admin.create_topics(&topics, &AdminOptions::new()).await.expect("the broker answers");
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    let settings = Settings::default();
    let first = Process::start(&place, &settings, &[ROLE], true).await;
    let second = Process::start(&place, &settings, &[ROLE], false).await;
    until("they share the topics", || [&first, &second].iter().all(|process| process.bus.partitions(ROLE) > 0)).await;
    let shop = first.shop(&settings).await;
    shop.sell("apple", 100).await;
    for _ in 0..ORDERS {
        shop.place(&[("apple", 1)]).await;
    }
    // Nobody deals with them.
    for process in [&first, &second] {
        let deadline = Instant::now() + SOON;
        loop {
            let lag = process.bus.lag(ROLE).await.expect("the broker answers");
            if lag.events == ORDERS {
                break;
            }
            assert!(Instant::now() < deadline, "{lag:?}");
            sleep(Duration::from_millis(100)).await;
        }
    }
    second.close().await;
    first.close().await;
}
