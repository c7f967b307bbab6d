//! Processes that share a role's partitions, come and go: nothing is lost, and nothing is done twice.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ordermill_core::event::Subject;
use ordermill_core::input::{Body, Input, PaymentResult};
use ordermill_core::order::Status;
use ordermill_core::payment::due_request;
use ordermill_core::process::Role;
use ordermill_ports::conformance::Settings;
use ordermill_ports::conformance::shop::{Shop, succeeded};
use ordermill_ports::{Bus, Delivery, Ledger, Source, Submission};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::Instant;

use crate::support::Place;
use crate::support::process::{Process, SOON, until};

const ROLE: Role = Role::Payments;

/// Partitions of each of the four topics that the role reads.
const PARTITIONS: usize = 4;
const ALL: usize = 4 * PARTITIONS;

fn place() -> Place {
    Place::with(&format!("partitions={PARTITIONS}&replication=1&min_isr=1"))
}

async fn place_many(shop: &Shop, count: usize) {
    let orders = (0..count).map(|_| Submission::new(shop.placing(&[("apple", 1)])));
    assert!(shop.submit(orders.collect()).await.iter().all(Result::is_ok));
}

async fn settle(process: &Process, deliveries: Vec<Delivery>) {
    let submissions = deliveries.into_iter().map(|delivery| Submission::settle(delivery.ack())).collect();
    let results = process.ledger.submit(Source::Results, submissions).await;
    assert!(results.iter().all(Result::is_ok));
}

/// Two processes that share the role; the first runs the relay.
async fn two(place: &Place, settings: &Settings) -> (Arc<Process>, Arc<Process>) {
    let first = Process::start(place, settings, &[ROLE], true).await;
    until("the first has everything", || first.bus.partitions(ROLE) == ALL).await;
    let second = Process::start(place, settings, &[ROLE], false).await;
    share(&first, &second).await;
    (first, second)
}

async fn share(first: &Process, second: &Process) {
    let is_shared = || {
        let (mine, yours) = (first.bus.partitions(ROLE), second.bus.partitions(ROLE));
        mine > 0 && yours > 0 && mine + yours == ALL
    };
    until("both have their share", is_shared).await;
}

/// What each of two processes is given for the role, until it is so many, and no more come.
async fn both_receive(first: &Process, second: &Process, count: usize) -> (Vec<Delivery>, Vec<Delivery>) {
    let deadline = Instant::now() + SOON;
    let (mut mine, mut yours) = (Vec::new(), Vec::new());
    loop {
        let wait = Duration::from_millis(500);
        let (for_me, for_you) = tokio::join!(first.receive(ROLE, wait), second.receive(ROLE, wait));
        let is_quiet = for_me.is_empty() && for_you.is_empty();
        mine.extend(for_me);
        yours.extend(for_you);
        if is_quiet && (mine.len() + yours.len() >= count || Instant::now() > deadline) {
            return (mine, yours);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_delivery_goes_to_one_process() {
    let (place, settings) = (place(), Settings::default());
    let (first, second) = two(&place, &settings).await;
    let shop = first.shop(&settings).await;
    shop.sell("apple", 1_000).await;
    place_many(&shop, 200).await;
    let (mut positions, mut shares) = (BTreeSet::new(), [0, 0]);
    for _ in 0..600 {
        for (index, process) in [&first, &second].into_iter().enumerate() {
            let mine = process.receive(ROLE, Duration::from_millis(50)).await;
            shares[index] += mine.len();
            assert!(mine.iter().all(|delivery| positions.insert(delivery.position)), "each goes to one");
            settle(process, mine).await;
        }
        if positions.len() == 200 {
            break;
        }
    }
    assert_eq!(positions.len(), 200, "and each to some");
    assert!(shares.iter().all(|share| *share > 20), "{shares:?}");
    first.until_settled(ROLE).await;
    second.until_settled(ROLE).await;
    second.close().await;
    until("the first has everything again", || first.bus.partitions(ROLE) == ALL).await;
    assert_eq!(first.receive(ROLE, Duration::from_millis(500)).await, [], "what was settled does not come again");
    first.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_hand_when_partitions_move_comes_elsewhere_and_is_done_once() {
    let (place, settings) = (place(), Settings::default());
    let first = Process::start(&place, &settings, &[ROLE], true).await;
    let shop = first.shop(&settings).await;
    shop.sell("apple", 1_000).await;
    place_many(&shop, 80).await;
    let handed = first.receive_many(ROLE, 80).await;
    let second = Process::start(&place, &settings, &[ROLE], false).await;
    share(&first, &second).await;
    let (kept, moved) = both_receive(&first, &second, 80).await;
    assert!(!kept.is_empty() && !moved.is_empty(), "{} came again, {} to the other", kept.len(), moved.len());
    let mut both: Vec<_> = kept.into_iter().chain(moved.clone()).collect();
    both.sort_by_key(|delivery| delivery.position);
    assert_eq!(both, handed, "whatever was in hand comes again, to one of the two");
    let positions: BTreeSet<_> = moved.iter().map(|delivery| delivery.position).collect();
    // Both do the work on what moved, the first not knowing that it is another's.
    for delivery in &handed {
        let Subject::Order(id) = delivery.subject else { panic!("{delivery:?}") };
        let key = due_request(&*shop.order(id).await).expect("the authorize is due").key;
        let submission = |delivery: &Delivery| {
            let result = Body::PaymentResult(PaymentResult { key, answer: succeeded() });
            vec![Submission::settling(Input::new(result), delivery.clone().ack())]
        };
        let effect = first.ledger.submit(Source::Results, submission(delivery)).await;
        assert!(effect[0].as_ref().is_ok_and(|outcome| outcome.changed));
        if positions.contains(&delivery.position) {
            let again = second.ledger.submit(Source::Results, submission(delivery)).await;
            assert!(again[0].as_ref().is_ok_and(|outcome| !outcome.changed), "it was done already");
        }
        assert_eq!((shop.order(id).await.status, shop.order(id).await.version), (Status::Authorized, 2));
    }
    // A late word of the first on what is the second's is void.
    let late = handed.iter().find(|delivery| positions.contains(&delivery.position)).expect("some moved").clone();
    let word = Submission::settle(late.dead_letter("too late".to_owned()));
    assert!(first.ledger.submit(Source::Results, vec![word]).await[0].is_ok());
    assert_eq!(first.bus.dead_letters(None, 10).await.expect("readable"), []);
    first.until_settled(ROLE).await;
    second.until_settled(ROLE).await;
    second.close().await;
    first.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_a_newer_program_waits_for_it() {
    let (place, settings) = (Place::new(), Settings::default());
    let old = Process::start(&place, &settings, &[ROLE], true).await;
    let shop = old.shop(&settings).await;
    shop.sell("apple", 10).await;
    place_many(&shop, 1).await;
    settle(&old, old.receive_many(ROLE, 1).await).await;
    // As a newer program would publish it: a type that this one does not know.
    let headers = OwnedHeaders::new().insert(Header { key: "ordermill-position", value: Some("1000000") });
    let headers = headers.insert(Header { key: "ordermill-type", value: Some("order.pondered") });
    let topic = place.topic("order_queue");
    let record = FutureRecord::to(&topic).key("ord_1").payload("{}").headers(headers);
    let producer: FutureProducer = place.client().create().expect("a sound configuration");
    let pondered = producer.send(record, SOON).await.expect("the broker takes it");
    place_many(&shop, 3).await;
    settle(&old, old.receive_many(ROLE, 3).await).await;
    old.close().await;
    let mut config = place.client();
    let consumer: BaseConsumer = config.set("group.id", place.options().group(ROLE.as_str())).create().expect("sound");
    let mut asked = TopicPartitionList::new();
    asked.add_partition(&topic, pondered.partition);
    let committed = consumer.committed_offsets(asked, SOON).expect("the broker answers");
    assert_eq!(committed.elements()[0].offset(), Offset::Offset(pondered.offset), "the group does not pass it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_process_puts_off_comes_again_wherever_its_lease_is() {
    let (place, settings) = (place(), Settings::default());
    let (first, second) = two(&place, &settings).await;
    let shop = first.shop(&settings).await;
    shop.sell("apple", 1_000).await;
    place_many(&shop, 60).await;
    let (mut put_off, mut again) = (BTreeSet::new(), Vec::new());
    for _ in 0..600 {
        for process in [&first, &second] {
            for delivery in process.receive(ROLE, Duration::from_millis(50)).await {
                if delivery.tries == 0 {
                    put_off.insert(delivery.position);
                    let word = Submission::settle(delivery.retry(shop.now(), "busy".to_owned()));
                    assert!(process.ledger.submit(Source::Results, vec![word]).await[0].is_ok());
                } else {
                    again.push(delivery.position);
                    settle(process, vec![delivery]).await;
                }
            }
        }
        if again.len() >= 60 {
            break;
        }
    }
    again.sort_unstable();
    assert_eq!(again, put_off.iter().copied().collect::<Vec<_>>(), "each once");
    assert_eq!(put_off.len(), 60);
    first.until_settled(ROLE).await;
    second.close().await;
    first.close().await;
}
