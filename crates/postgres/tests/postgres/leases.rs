//! Processes that share roles: fairly, with nothing lost when one dies, and nothing done twice when one comes back from the dead.

use std::collections::BTreeSet;
use std::time::Duration;

use ordermill_core::event::{EventType, Subject};
use ordermill_core::id::OrderId;
use ordermill_core::input::{Body, Input, PaymentResult};
use ordermill_core::order::{Order, Status};
use ordermill_core::payment::due_request;
use ordermill_core::process::Role;
use ordermill_ports::bus::{Delivery, Lag};
use ordermill_ports::conformance::shop::{Shop, succeeded};
use ordermill_ports::queries::Position;
use ordermill_ports::{Source, Submission};
use ordermill_postgres::Options;

use crate::support::process::{Installation, LEASE, Process, SOON, eventually};

const ROLE: Role = Role::Payments;

/// Leases that do not run out while their process stands still for a moment.
fn long(options: &mut Options) {
    options.lease = Duration::from_secs(15);
}

/// Likewise, of a process that finds within two seconds what another's have left over.
fn watchful(options: &mut Options) {
    options.lease = LEASE * 4;
}

/// A process with goods to sell.
async fn open_shop(installation: &mut Installation) -> Process {
    let process = installation.start().await;
    process.run(|shop| async move { shop.sell("apple", 10_000).await }).await;
    process
}

/// Places orders, in one commit or few.
async fn place(process: &Process, count: usize) {
    let place = |shop: Shop| async move {
        let orders = (0..count).map(|_| Submission::new(shop.placing(&[("apple", 1)])));
        assert!(shop.submit(orders.collect()).await.iter().all(Result::is_ok));
    };
    process.run(place).await;
}

async fn settle(process: &Process, deliveries: Vec<Delivery>) {
    process.run(|shop| async move { shop.settle(deliveries.into_iter().map(Delivery::ack)).await }).await;
}

fn order_of(delivery: &Delivery) -> OrderId {
    match delivery.subject {
        Subject::Order(id) => id,
        ref other => panic!("{other:?} is nothing to pay"),
    }
}

/// Does what the delivery asks for, and settles it: whether that changed anything.
async fn authorize(process: &Process, delivery: Delivery, order: &Order) -> bool {
    let key = due_request(order).expect("the authorize is due").key;
    let result = Body::PaymentResult(PaymentResult { key, answer: succeeded() });
    let submission = Submission::settling(Input::new(result), delivery.ack());
    let submit = |shop: Shop| async move { shop.backend.ledger.submit(Source::Results, vec![submission]).await };
    let results = process.run(submit).await;
    results[0].as_ref().expect("a result is always taken").changed
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_share_a_role_and_each_delivery_goes_to_one() {
    let mut installation = Installation::new();
    let first = installation.start_with(long).await;
    first.run(|shop| async move { shop.sell("apple", 10_000).await }).await;
    first.join(ROLE).await;
    installation.until_shared(ROLE, &[16]).await;
    let second = installation.start_with(long).await;
    second.join(ROLE).await;
    installation.until_shared(ROLE, &[8, 8]).await;
    let third = installation.start_with(long).await;
    third.join(ROLE).await;
    installation.until_shared(ROLE, &[6, 5, 5]).await;
    place(&second, 300).await;
    let mut positions = BTreeSet::new();
    for process in [&first, &second, &third] {
        let mut mine = process.receive(ROLE, SOON).await;
        while let more @ [_, ..] = &process.receive(ROLE, Duration::from_millis(300)).await[..] {
            mine.extend_from_slice(more);
        }
        assert!(mine.len() > 40, "a share of what there is: {}", mine.len());
        assert!(mine.iter().all(|delivery| positions.insert(delivery.position)), "each goes to one process");
        settle(process, mine).await;
    }
    assert_eq!(positions.len(), 300, "and each to some");
    let lag = |shop: Shop| async move { shop.backend.bus.lag(ROLE).await.expect("readable") };
    assert_eq!(first.run(lag).await, Lag::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_process_is_replaced_within_seconds() {
    let mut installation = Installation::new();
    let first = open_shop(&mut installation).await;
    let second = installation.start().await;
    place(&first, 20).await;
    let handed = first.receive_many(ROLE, 20).await;
    let due = jiff::SignedDuration::from_secs(60);
    let (parked, settled) = (handed[0].clone(), handed[1..10].to_vec());
    settle(&first, settled).await;
    let park = |shop: Shop| async move { shop.settle([parked.retry(shop.now() + due, "busy".to_owned())]).await };
    first.run(park).await;
    first.kill();
    let began = std::time::Instant::now();
    let again = second.receive_many(ROLE, 10).await;
    assert!(began.elapsed() < LEASE * 6, "{:?}", began.elapsed());
    // What was settled behind another that was not may come again; here everything before the last ten was settled.
    assert_eq!(again, handed[10..]);
    settle(&second, again).await;
    second.run(|shop| async move { shop.advance(due) }).await;
    assert_eq!(second.receive_many(ROLE, 1).await, [Delivery { tries: 1, ..handed[0].clone() }]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ends_hands_over_at_once() {
    let mut installation = Installation::new();
    let endless = |options: &mut Options| options.lease = Duration::from_secs(600);
    let first = installation.start_with(endless).await;
    let second = installation.start_with(endless).await;
    first.run(|shop| async move { shop.sell("apple", 100).await }).await;
    place(&first, 10).await;
    let handed = first.receive_many(ROLE, 10).await;
    second.join(ROLE).await;
    settle(&first, handed[..4].to_vec()).await;
    first.close().await;
    // Neither lease runs out in the time of this test.
    assert_eq!(second.receive_many(ROLE, 6).await, handed[4..]);
    installation.until_shared(ROLE, &[16]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fenced_process_does_no_harm() {
    let mut installation = Installation::new();
    let first = open_shop(&mut installation).await;
    // It keeps what it takes over, also when the first is back and has its share again, until it has settled it.
    let second = installation.start_with(watchful).await;
    place(&first, 3).await;
    let handed = first.receive_many(ROLE, 3).await;
    second.join(ROLE).await;
    let (taken_over, ()) = tokio::join!(second.receive_many(ROLE, 3), first.freeze(LEASE * 4));
    assert_eq!(taken_over, handed, "what the frozen process had comes again elsewhere");
    let mut orders = Vec::new();
    for delivery in &handed {
        let id = order_of(delivery);
        orders.push(second.run(|shop| async move { shop.order(id).await }).await);
    }
    // The first delivery is dealt with by the second process, then the first comes back with the same result, and its word on it.
    assert!(authorize(&second, taken_over[0].clone(), &orders[0]).await);
    assert!(!authorize(&first, handed[0].clone(), &orders[0]).await, "done once");
    // The second is not dealt with yet: the late result enters, its settlement does not.
    assert!(authorize(&first, handed[1].clone(), &orders[1]).await, "a result counts, whoever brings it");
    // The third is given up by the fenced process, which is void.
    let dead = handed[2].clone().dead_letter("no".to_owned());
    first.run(|shop| async move { shop.settle([dead]).await }).await;
    let letters = |shop: Shop| async move { shop.backend.bus.dead_letters(None, 10).await.expect("readable") };
    assert_eq!(second.run(letters).await, []);
    let lag = |shop: Shop| async move { shop.backend.bus.lag(ROLE).await.expect("readable") };
    assert!(second.run(lag).await.oldest.is_some(), "two deliveries are still to be settled");
    assert!(!authorize(&second, taken_over[1].clone(), &orders[1]).await, "known already");
    assert!(authorize(&second, taken_over[2].clone(), &orders[2]).await);
    for order in &orders {
        let id = order.id;
        let order = second.run(|shop| async move { shop.order(id).await }).await;
        assert_eq!((order.status, order.version), (Status::Authorized, 2));
    }
    let quiet = async |process: &Process| process.receive(ROLE, LEASE).await;
    assert_eq!((quiet(&first).await, quiet(&second).await), (vec![], vec![]), "nothing is left");
    assert_eq!(second.run(lag).await, Lag::default());
    second.run(|shop| async move { drop(shop.audit().await) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_ran_out_unclaimed_goes_on() {
    let mut installation = Installation::new();
    let alone = open_shop(&mut installation).await;
    place(&alone, 5).await;
    let handed = alone.receive_many(ROLE, 5).await;
    alone.freeze(LEASE * 2).await;
    settle(&alone, handed).await;
    assert_eq!(alone.receive(ROLE, LEASE).await, []);
    let lag = |shop: Shop| async move { shop.backend.bus.lag(ROLE).await.expect("readable") };
    assert_eq!(alone.run(lag).await, Lag::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_is_handed_over_when_its_deliveries_are_settled() {
    let mut installation = Installation::new();
    let minute = |options: &mut Options| options.lease = Duration::from_secs(60);
    let first = installation.start_with(minute).await;
    first.run(|shop| async move { shop.sell("apple", 1_000).await }).await;
    place(&first, 200).await;
    // With so many, something of every partition is with the first process.
    let handed = first.receive_many(ROLE, 200).await;
    let second = installation.start_with(minute).await;
    second.join(ROLE).await;
    eventually("the second has joined", async || {
        let members = installation.database.query("SELECT process FROM members WHERE role = 'payments'").await;
        members.len() == 2
    })
    .await;
    assert_eq!(second.receive(ROLE, Duration::from_millis(500)).await, [], "nothing is taken from under its receiver");
    settle(&first, handed).await;
    installation.until_shared(ROLE, &[8, 8]).await;
    place(&first, 200).await;
    let count = first.receive(ROLE, SOON).await.len() + second.receive(ROLE, SOON).await.len();
    assert_eq!(count, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_leaves_a_role_to_others_has_a_share_again_when_it_asks() {
    let mut installation = Installation::new();
    // Nobody waits until these have run out.
    let first = installation.start_with(|options| options.lease = 4 * SOON).await;
    first.run(|shop| async move { shop.sell("apple", 10_000).await }).await;
    first.join(ROLE).await;
    let second = installation.start_with(long).await;
    second.join(ROLE).await;
    installation.until_shared(ROLE, &[8, 8]).await;
    place(&first, 100).await;
    let in_hand = first.receive(ROLE, SOON).await;
    let others = second.receive(ROLE, SOON).await;
    assert_eq!((in_hand.is_empty(), in_hand.len() + others.len()), (false, 100));
    first.run(|shop| async move { shop.backend.bus.leave(ROLE).await }).await;
    installation.until_shared(ROLE, &[16]).await;
    assert_eq!(second.receive_many(ROLE, in_hand.len()).await, in_hand, "with what the first had");
    // What it still says is void, and nobody waits for it.
    settle(&first, in_hand.clone()).await;
    settle(&second, [in_hand, others].concat()).await;
    tokio::time::sleep(LEASE).await;
    installation.until_shared(ROLE, &[16]).await;
    first.join(ROLE).await;
    installation.until_shared(ROLE, &[8, 8]).await;
    first.run(|shop| async move { shop.backend.bus.leave(ROLE).await }).await;
    first.close().await;
    installation.until_shared(ROLE, &[16]).await;
    assert_eq!(second.receive(ROLE, LEASE).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_redriven_from_any_process() {
    let mut installation = Installation::new();
    let worker = open_shop(&mut installation).await;
    let other = installation.start().await;
    place(&worker, 2).await;
    let handed = worker.receive_many(ROLE, 2).await;
    let settlements = [handed[0].clone().ack(), handed[1].clone().dead_letter("no".to_owned())];
    worker.run(|shop| async move { shop.settle(settlements).await }).await;
    let redrive = |shop: Shop| async move {
        let letters = shop.backend.bus.dead_letters(None, 10).await.expect("readable");
        let ids: Vec<u64> = letters.iter().map(|letter| letter.id).collect();
        shop.backend.bus.redrive(&ids).await.expect("redriven")
    };
    assert_eq!(other.run(redrive).await.len(), 1);
    assert_eq!(worker.receive_many(ROLE, 1).await, [handed[1].clone()]);
    settle(&worker, vec![handed[1].clone()]).await;
    assert_eq!(worker.receive(ROLE, LEASE).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_a_newer_program_waits_for_it() {
    let mut installation = Installation::new();
    let old = open_shop(&mut installation).await;
    place(&old, 40).await;
    let handed = old.receive_many(ROLE, 40).await;
    let middle = handed[20].position;
    settle(&old, handed).await;
    old.close().await;
    // As if an event in the middle were of a type that this program does not know, and a role that does reacted to it.
    let sql = format!("UPDATE events SET type = 'order.pondered' WHERE position = {}", middle.0);
    installation.database.execute(&sql).await;
    installation.database.execute("UPDATE leases SET owner = NULL, until = '-infinity', position = 0").await;
    let next = installation.start().await;
    let again = next.receive_many(ROLE, 39).await;
    assert!(again.iter().all(|delivery| delivery.position != middle), "it cannot be handed out here");
    settle(&next, again).await;
    next.close().await;
    let cursors = installation.database.query("SELECT position FROM leases WHERE role = 'payments'").await;
    let cursors: Vec<Position> = cursors.iter().map(|row| Position(row[0].parse().expect("a number"))).collect();
    let held = cursors.iter().filter(|cursor| cursor.0 < middle.0).count();
    assert_eq!(held, 1, "its partition's cursor does not pass it: {cursors:?}");
}

/// Behind a broker, too, a word on what was parked counts only under the lease that it was handed out under.
#[tokio::test(flavor = "multi_thread")]
async fn a_fenced_process_gives_up_nothing_that_a_broker_brought() {
    let mut installation = Installation::new();
    let relayed = |options: &mut Options| options.is_relayed = true;
    let first = installation.start_with(relayed).await;
    first.run(|shop| async move { shop.sell("apple", 10).await }).await;
    first.join(ROLE).await;
    installation.until_shared(ROLE, &[16]).await;
    let patient = |options: &mut Options| {
        relayed(options);
        watchful(options);
    };
    let second = installation.start_with(patient).await;
    let parked = |shop: Shop| async move {
        let order = shop.place(&[("apple", 1)]).await;
        let (position, subject) = (shop.backend.queries.head().await.expect("readable"), Subject::Order(order.id));
        let (kind, at) = (EventType::OrderPlaced, order.created_at);
        let delivery = Delivery { role: ROLE, position, subject, version: 1, kind, at, tries: 0 };
        shop.settle([delivery.retry(shop.now(), "busy".to_owned())]).await;
    };
    first.run(parked).await;
    let handed = first.receive_many(ROLE, 1).await;
    second.join(ROLE).await;
    let (again, ()) = tokio::join!(second.receive_many(ROLE, 1), first.freeze(LEASE * 4));
    assert_eq!(again, handed);
    settle(&second, again).await;
    // The first has found out that it lost its leases: it has its share of them again.
    installation.until_shared(ROLE, &[8, 8]).await;
    assert_eq!(first.receive(ROLE, LEASE).await, []);
    let [dead, late] =
        [handed[0].clone().dead_letter("no".to_owned()), handed[0].clone().retry(handed[0].at, "no".to_owned())];
    first.run(|shop| async move { shop.settle([dead]).await }).await;
    let letters = |shop: Shop| async move { shop.backend.bus.dead_letters(None, 10).await.expect("readable") };
    assert_eq!(second.run(letters).await, []);
    first.run(|shop| async move { shop.settle([late]).await }).await;
    assert_eq!((first.receive(ROLE, LEASE).await, second.receive(ROLE, LEASE).await), (vec![], vec![]));
}
