//! A standby that lacked the newest commits became the primary: what is new there reaches every role, whatever processes remember.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;
use ordermill_core::event::{Recorded, Subject};
use ordermill_core::process::Role;
use ordermill_ports::bus::{Delivery, Settlement};
use ordermill_ports::conformance::shop::Shop;
use ordermill_ports::queries::{Committed, Position};
use ordermill_ports::{Bus as _, Submission};
use ordermill_postgres::Options;
use tokio::time::Instant;

use crate::support::process::{Installation, Process, SOON};

const ROLE: Role = Role::Payments;

/// Orders that the standby had, and those that it had not.
const KEPT: usize = 5;
const LOST: usize = 7;

/// Takes the newest orders back, each of one event, as they are not there on a standby that was behind. Nobody comes to a server while it
/// becomes another, so no look at the leases may begin before and end behind this.
const LOSE: &str = "
    LOCK TABLE leases;
    UPDATE leases SET position = least(position, (SELECT position - 7 FROM feed_head));
    WITH gone AS (DELETE FROM events WHERE position > (SELECT position - 7 FROM feed_head) RETURNING subject),
         orders AS (DELETE FROM orders WHERE decode(replace(id::text, '-', ''), 'hex') IN (SELECT subject FROM gone))
    UPDATE feed_head SET position = position - 7, placed = placed - 7";

async fn place(process: &Process, count: usize) -> BTreeSet<Subject> {
    let place = move |shop: Shop| async move {
        let orders = (0..count).map(|_| Submission::new(shop.placing(&[("apple", 1)])));
        let answers = shop.submit(orders.collect()).await;
        let id = |answer: Result<ordermill_ports::Outcome, _>| {
            Subject::Order(answer.expect("it is taken").order().expect("an order").id)
        };
        answers.into_iter().map(id).collect()
    };
    process.run(place).await
}

async fn settle(process: &Process, deliveries: Vec<Delivery>) {
    process.run(|shop| async move { shop.settle(deliveries.into_iter().map(Delivery::ack)).await }).await;
}

/// When a process has its say on what was lost: before, among or behind the new events.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Say {
    /// As soon as the server is back.
    Before,
    /// When there are as many new events as were lost, and it has heard of none.
    Among,
    /// Not at all; it has added to the new events before it has heard of them, and then loses its connections.
    Behind,
}

async fn new_events_arrive(say: Say) {
    let mut installation = Installation::new();
    let slow = |options: &mut Options| {
        options.poll = Duration::from_secs(600);
        options.listen = say == Say::Before;
        options.lease = Duration::from_secs(12);
    };
    let first = installation.start_with(slow).await;
    first.run(|shop| async move { shop.sell("apple", 10_000).await }).await;
    first.join(ROLE).await;
    let mut orders = place(&first, KEPT).await;
    let mut handed = first.receive_many(ROLE, KEPT).await;
    let lost = place(&first, LOST).await;
    handed.extend(first.receive_many(ROLE, LOST).await);
    installation.database.execute(LOSE).await;
    if say == Say::Before {
        settle(&first, handed.clone()).await;
    }
    let second = installation.start().await;
    orders.extend(place(&second, LOST).await);
    match say {
        Say::Before => {}
        Say::Among => settle(&first, handed).await,
        Say::Behind => {
            orders.extend(place(&first, 1).await);
            installation.database.end_sessions().await;
        }
    }
    let deadline = Instant::now() + SOON;
    let mut found = BTreeSet::new();
    while found.len() < orders.len() && Instant::now() < deadline {
        let deliveries = first.receive(ROLE, Duration::from_millis(100)).await;
        found.extend(deliveries.into_iter().map(|delivery| delivery.subject));
    }
    assert_eq!(found, orders, "what this server has, and nothing of {lost:?}");
    assert_eq!((first.ledger().history(), second.ledger().history()), (1, 0), "whoever knew of them says so");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_on_what_was_lost_moves_no_cursor_past_what_is_new() {
    new_events_arrive(Say::Before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_new_events_as_were_lost_are_not_taken_for_them() {
    new_events_arrive(Say::Among).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_its_own_behind_new_ones_do_not_hide_them() {
    new_events_arrive(Say::Behind).await;
}

/// What a broker has delivered to the role of the newest events here.
async fn by_broker(process: &Process, count: usize) -> Vec<Delivery> {
    let read = move |shop: Shop| async move {
        let head = shop.backend.queries.head().await.expect("readable");
        let found = shop.backend.queries.feed(Position(head.0 - count as u64), count).await.expect("readable");
        let delivery = |Committed { position, recorded }: Committed| {
            let Recorded { subject, version, at, event, .. } = recorded;
            Delivery { role: ROLE, position, subject, version, kind: event.kind(), at, tries: 0 }
        };
        found.into_iter().map(delivery).collect()
    };
    process.run(read).await
}

async fn say(process: &Process, settlements: Vec<Settlement>) {
    process.run(|shop| async move { shop.settle(settlements).await }).await;
}

fn relayed(options: &mut Options) {
    options.is_relayed = true;
}

/// Whose deliveries are parked, and how often those were tried.
async fn parked(installation: &Installation) -> Vec<Vec<String>> {
    let sql =
        "SELECT encode(e.subject, 'hex'), p.tries FROM parked AS p JOIN events AS e USING (position) ORDER BY position";
    installation.database.query(sql).await
}

fn once_each(deliveries: &[Delivery]) -> Vec<Vec<String>> {
    let of = |delivery: &Delivery| match delivery.subject {
        Subject::Order(id) => vec![id.uuid().simple().to_string(), "1".to_owned()],
        ref other => panic!("{other:?} is no order"),
    };
    deliveries.iter().map(of).collect()
}

/// A broker still has what the server has lost, and delivers it, while other events are at its positions.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_s_word_on_what_was_lost_is_not_taken_for_one_on_what_is_new() {
    let mut installation = Installation::new();
    let first = installation.start_with(relayed).await;
    first.run(|shop| async move { shop.sell("apple", 10_000).await }).await;
    place(&first, KEPT).await;
    place(&first, LOST).await;
    let lost = by_broker(&first, LOST).await;
    installation.database.execute(LOSE).await;
    first.close().await;
    let second = installation.start_with(relayed).await;
    second.join(ROLE).await;
    place(&second, LOST - 1).await;
    let new = by_broker(&second, LOST - 1).await;
    assert_eq!(lost[0].position, new[0].position);
    let at = second.run(|shop| async move { shop.now() }).await;
    let give_up = |delivery: &Delivery| delivery.clone().dead_letter("there is no such order".to_owned());
    let try_again = |delivery: &Delivery| delivery.clone().retry(at, "busy".to_owned());
    // In one commit with what is new, and before.
    say(&second, lost[..4].iter().map(give_up).collect()).await;
    say(&second, lost.iter().map(try_again).chain(new.iter().map(try_again)).collect()).await;
    let letters = |shop: Shop| async move { shop.backend.bus.dead_letters(None, 10).await.expect("readable") };
    assert_eq!(second.run(letters).await, []);
    assert_eq!(parked(&installation).await, once_each(&new));
    let again: Vec<Delivery> = new.into_iter().map(|delivery| Delivery { tries: 1, ..delivery }).collect();
    assert_eq!(second.receive_many(ROLE, LOST - 1).await, again);
}

/// The same where the process still has what was lost in hand.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_process_remembers_of_the_lost_hides_nothing_that_a_broker_has() {
    let mut installation = Installation::new();
    let slow = |options: &mut Options| {
        relayed(options);
        options.poll = Duration::from_secs(600);
        options.listen = false;
    };
    let first = installation.start_with(slow).await;
    first.run(|shop| async move { shop.sell("apple", 10_000).await }).await;
    first.join(ROLE).await;
    place(&first, KEPT).await;
    place(&first, LOST).await;
    let lost = by_broker(&first, LOST).await;
    let at = first.run(|shop| async move { shop.now() }).await;
    let try_again = |delivery: &Delivery| delivery.clone().retry(at, "busy".to_owned());
    say(&first, lost.iter().map(try_again).collect()).await;
    first.receive_many(ROLE, LOST).await;
    installation.database.execute("DELETE FROM parked").await;
    installation.database.execute(LOSE).await;
    let second = installation.start_with(relayed).await;
    place(&second, LOST).await;
    let new = by_broker(&second, LOST).await;
    say(&first, new.iter().map(try_again).collect()).await;
    assert_eq!(parked(&installation).await, once_each(&new));
}

/// The broker holds done what roles did with events, and the server may have lost it: so the newest go to the broker again. Whoever publishes
/// holds its leases, and has the cursors elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_published_of_late_is_published_again() {
    let mut installation = Installation::new();
    let first = installation.start_with(relayed).await;
    first.run(|shop| async move { shop.sell("apple", 10_000).await }).await;
    first.join(Role::Relay).await;
    place(&first, KEPT).await;
    first.run(|shop| async move { shop.advance(SignedDuration::from_mins(6)) }).await;
    let late = place(&first, KEPT).await;
    settle(&first, first.receive_many(Role::Relay, 2 * KEPT).await).await;
    let lost = place(&first, LOST).await;
    settle(&first, first.receive_many(Role::Relay, LOST).await).await;
    installation.database.execute(LOSE).await;
    let again = first.receive_many(Role::Relay, KEPT).await;
    let again: BTreeSet<Subject> = again.into_iter().map(|delivery| delivery.subject).collect();
    assert_eq!(again, late, "and nothing of {lost:?}");
    let none = first.receive(Role::Relay, Duration::from_millis(500)).await;
    assert!(none.is_empty(), "{none:?}");
}
