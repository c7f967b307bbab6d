//! Brokers that die and come back: what was answered reaches its role, and orders are taken all the while.

use std::collections::BTreeSet;
use std::time::Duration;

use ordermill_core::process::Role;
use ordermill_ports::conformance::Settings;
use ordermill_ports::conformance::shop::Shop;
use ordermill_ports::{Bus, Delivery, Ledger, Position, Source, Submission};

use crate::support::Place;
use crate::support::process::{Process, SOON, until_published};
use crate::support::server::Cluster;

const ROLE: Role = Role::Payments;

/// Places orders one after the other, each of them taken.
async fn place_many(shop: &Shop, count: usize) {
    for _ in 0..count {
        shop.place(&[("apple", 1)]).await;
    }
}

/// Receives and settles until so many orders have come; each is to come once.
async fn work_off(process: &Process, done: &mut BTreeSet<Position>, count: usize) {
    let deadline = tokio::time::Instant::now() + SOON * 2;
    while done.len() < count {
        assert!(tokio::time::Instant::now() < deadline, "{} of {count} orders have come", done.len());
        let deliveries = process.receive(ROLE, Duration::from_millis(200)).await;
        assert!(
            deliveries.iter().all(|delivery| done.insert(delivery.position)),
            "what is settled does not come again"
        );
        let words = deliveries.into_iter().map(Delivery::ack).map(Submission::settle).collect();
        assert!(process.ledger.submit(Source::Results, words).await.iter().all(Result::is_ok));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_dies_and_comes_back_and_nothing_is_lost() {
    let mut cluster = Cluster::of_three();
    assert_eq!(cluster.pids().len(), 4);
    let place = Place::on(&cluster.brokers(), "partitions=3&replication=3&min_isr=2");
    let settings = Settings::default();
    let process = Process::start(&place, &settings, &[ROLE], true).await;
    let shop = process.shop(&settings).await;
    shop.sell("apple", 10_000).await;
    let mut done = BTreeSet::new();
    place_many(&shop, 20).await;
    work_off(&process, &mut done, 20).await;
    // One of three: nobody but the clients notices.
    cluster.kill(0);
    place_many(&shop, 20).await;
    work_off(&process, &mut done, 40).await;
    // Two of three: too few copies for a message to count. Orders are taken, and wait in the ledger.
    cluster.kill(1);
    place_many(&shop, 20).await;
    let lag = process.store.lag(Role::Relay).await.expect("the ledger answers");
    assert!(lag.events > 0, "nothing counts as published that has one copy: {lag:?}");
    assert_eq!(process.receive(ROLE, Duration::from_secs(1)).await, []);
    cluster.revive(1);
    work_off(&process, &mut done, 60).await;
    cluster.revive(0);
    place_many(&shop, 20).await;
    work_off(&process, &mut done, 80).await;
    until_published(&process.store).await;
    process.until_settled(ROLE).await;
    process.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_would_keep_too_little_are_refused() {
    let place = Place::new();
    let publisher = ordermill_kafka::KafkaPublisher::open(place.options()).await;
    drop(publisher.expect("the topics are made"));
    let refused = |change: fn(&mut ordermill_kafka::Options)| {
        let mut options = place.options();
        change(&mut options);
        async move {
            match ordermill_kafka::KafkaPublisher::open(options).await {
                Ok(_) => panic!("it is taken"),
                Err(error) => error.to_string(),
            }
        }
    };
    assert!(ordermill_kafka::KafkaPublisher::open(place.options()).await.is_ok(), "as they are they are checked");
    let said = refused(|options| options.partitions = Some(2)).await;
    assert!(said.contains("has 1 partitions, and 2 are asked for"), "{said}");
    let said = refused(|options| options.replication = 2).await;
    assert!(said.contains("keeps 1 copies of a message, and 2 are asked for"), "{said}");
    let said = refused(|options| options.min_isr = 2).await;
    assert!(said.contains("with 1 copies written, and 2 are asked for"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_copies_than_brokers_are_refused_with_the_way_out() {
    let place = Place::with("partitions=1");
    let Err(error) = ordermill_kafka::KafkaPublisher::open(place.options()).await else { panic!("it is taken") };
    let said = error.to_string();
    assert!(said.contains("3 copies of each message: there is 1 at"), "{said}");
    assert!(said.contains("?replication=1&min_isr=1"), "{said}");
}

#[test]
fn a_cluster_ends_with_whoever_started_it() {
    let cluster = Cluster::single();
    let processes: Vec<_> = cluster.pids().iter().map(|pid| std::path::PathBuf::from(format!("/proc/{pid}"))).collect();
    assert!(processes.iter().all(|process| process.exists()));
    drop(cluster);
    assert!(processes.iter().all(|process| !process.exists()), "they are stopped, and waited for");
}
