//! Parked deliveries in any number: no lease and no other role waits for them, and memory holds a part.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ordermill_core::Timestamp;
use ordermill_core::order::Status;
use ordermill_core::process::Role;
use ordermill_ports::bus::{Delivery, Lag};
use ordermill_ports::conformance::shop::{Shop, succeeded};

use crate::support::process::{Installation, Process, SOON, eventually};

/// The role whose deliveries are parked.
const ROLE: Role = Role::Notifications;

/// Parks `count` deliveries of orders that were confirmed, due one millisecond after the other, in another order than that of positions.
/// Both roles begin behind them.
async fn park(installation: &Installation, count: usize) {
    let sql = format!(
        "WITH added AS (
             INSERT INTO events (position, subject_kind, subject, version, partition, type, schema, at, data)
             SELECT head.position + n, 1, decode(md5(n::text), 'hex'), 1, n % 16, 'order.confirmed', 1, now(), '{{}}'
             FROM feed_head AS head, generate_series(1, {count}) AS n RETURNING position, partition
         )
         INSERT INTO parked (role, position, partition, due, tries, reason)
         SELECT 'notifications', position, partition,
                timestamptz '2001-01-01 00:00:00Z' + (position * 7919 % {count}) * interval '1 ms', 1, 'away' FROM added;
         UPDATE feed_head SET position = position + {count};
         INSERT INTO leases (role, partition, position)
         SELECT role, partition, position
         FROM feed_head, unnest(ARRAY['notifications', 'payments']) AS r (role), generate_series(0, 15) AS p (partition)
         ON CONFLICT (role, partition) DO UPDATE SET position = excluded.position, owner = NULL, until = '-infinity'"
    );
    installation.database.execute(&sql).await;
}

/// When each of them is due, by position.
async fn due(installation: &Installation) -> BTreeMap<u64, Timestamp> {
    let sql = "SELECT position, to_char(due AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') FROM parked";
    let rows = installation.database.query(sql).await.into_iter();
    rows.map(|row| (row[0].parse().expect("a number"), row[1].parse().expect("a time"))).collect()
}

async fn sell(installation: &mut Installation) {
    let process = installation.start().await;
    process.run(|shop| async move { shop.sell("apple", 10_000).await }).await;
    process.close().await;
}

/// Has an order paid by whoever runs the payments in this process.
async fn pay(process: &Process) {
    let order = process.run(|shop| async move { shop.place(&[("apple", 1)]).await }).await;
    let handed = process.receive_many(Role::Payments, 1).await;
    let id = order.id;
    let paid = process.run(move |shop| async move { shop.pay(id, succeeded()).await }).await;
    assert_eq!(paid.status, Status::Authorized);
    process.run(|shop| async move { shop.settle(handed.into_iter().map(Delivery::ack)).await }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_lease_and_no_other_role_waits_for_parked_deliveries() {
    const COUNT: usize = 300_000;
    let mut installation = Installation::new();
    sell(&mut installation).await;
    park(&installation, COUNT).await;
    let due = due(&installation).await;
    let brief = |options: &mut ordermill_postgres::Options| options.lease = Duration::from_secs(1);
    let process = installation.start_with(brief).await;
    let mut come = process.receive(ROLE, SOON).await;
    pay(&process).await;
    // A lease that was lost would have been taken again.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let leases = "SELECT role, count(*), max(token) FROM leases WHERE until > clock_timestamp() AND owner IS NOT NULL GROUP BY role ORDER BY role";
    // Late it may be renewed, while nobody else wants it.
    eventually("each is held since it was taken", async || {
        installation.database.query(leases).await == [["notifications", "16", "1"], ["payments", "16", "1"]]
    })
    .await;
    while come.len() < 20_000 {
        come.extend(process.receive(ROLE, SOON).await);
    }
    assert!(come.is_sorted_by_key(|delivery| due[&delivery.position.0]), "as they are due");
    let positions: BTreeSet<u64> = come.iter().map(|delivery| delivery.position.0).collect();
    assert_eq!(positions.len(), come.len(), "each once");
    let lag = |shop: Shop| async move { shop.backend.bus.lag(ROLE).await.expect("readable") };
    assert_eq!(process.run(lag).await.parked, (COUNT - come.len()) as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_as_there_are_are_redriven_while_others_are_put_off() {
    const COUNT: usize = 3_000;
    let mut installation = Installation::new();
    sell(&mut installation).await;
    park(&installation, COUNT).await;
    // Every other one was given up.
    let sql = "WITH gone AS (DELETE FROM parked WHERE position % 2 = 0 RETURNING *)
               INSERT INTO dead_letters (role, partition, position, tries, reason, since)
               SELECT role, partition, position, tries, reason, due FROM gone";
    installation.database.execute(sql).await;
    let process = installation.start().await;
    let other = installation.start().await;
    let mut come = process.receive(ROLE, SOON).await;
    let redrive = |shop: Shop| async move {
        let letters = shop.backend.bus.dead_letters(None, COUNT).await.expect("readable");
        let ids: Vec<u64> = letters.iter().map(|letter| letter.id).collect();
        shop.backend.bus.redrive(&ids).await.expect("redriven").len()
    };
    assert_eq!(other.run(redrive).await, COUNT / 2);
    let mut done = BTreeSet::new();
    loop {
        // A third is done, a third comes again at once, and a third is put off for longer than the rest takes.
        let now = process.run(|shop| async move { shop.now() }).await;
        let settlements: Vec<_> = std::mem::take(&mut come)
            .into_iter()
            .map(|delivery: Delivery| match (delivery.position.0 % 3, delivery.tries) {
                (1, 0 | 1) => delivery.retry(now, "busy".to_owned()),
                (2, 0 | 1) => delivery.retry(now + Duration::from_secs(60), "busy".to_owned()),
                _ => {
                    assert!(done.insert(delivery.position.0), "each is done once");
                    delivery.ack()
                }
            })
            .collect();
        process.run(|shop| async move { shop.settle(settlements).await }).await;
        come = process.receive(ROLE, Duration::from_secs(1)).await;
        if come.is_empty() && done.len() < COUNT {
            process.run(|shop| async move { shop.advance(jiff::SignedDuration::from_secs(60)) }).await;
            come = process.receive(ROLE, SOON).await;
        }
        if come.is_empty() {
            break;
        }
    }
    assert_eq!(done.len(), COUNT);
    assert_eq!(installation.database.query("SELECT FROM parked").await.len(), 0);
    let lag = |shop: Shop| async move { shop.backend.bus.lag(ROLE).await.expect("readable") };
    assert_eq!(process.run(lag).await, Lag::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_of_the_first_schema_is_brought_up_to_date_with_what_is_parked() {
    let indexes = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'ordermill' ORDER BY indexname";
    let mut installation = Installation::new();
    let version = "SELECT version, oldest FROM schema_version";
    let new = [installation.database.query(indexes).await, installation.database.query(version).await];
    let sql = format!(
        "DROP SCHEMA ordermill CASCADE; CREATE SCHEMA ordermill; SET search_path TO ordermill;
         CREATE TABLE schema_version (one boolean PRIMARY KEY DEFAULT true CHECK (one), version integer NOT NULL, oldest integer NOT NULL);
         INSERT INTO schema_version (version, oldest) VALUES (1, 1); {}",
        include_str!("../../migrations/0001_ledger.sql")
    );
    installation.database.execute(&sql).await;
    park(&installation, 20).await;
    let process = installation.start().await;
    assert_eq!(process.receive_many(ROLE, 20).await.len(), 20);
    assert_eq!([installation.database.query(indexes).await, installation.database.query(version).await], new);
}
