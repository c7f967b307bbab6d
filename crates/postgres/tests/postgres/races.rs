//! Several processes at the same thing in the same moment, and two releases of the program on one database.

use std::sync::Arc;

use jiff::SignedDuration;
use ordermill_core::event::Subject;
use ordermill_core::id::OrderId;
use ordermill_core::input::{Body, Input};
use ordermill_core::order::Status;
use ordermill_core::process::Role;
use ordermill_ports::Submission;
use ordermill_ports::clock::SystemClock;
use ordermill_ports::conformance::shop::{Shop, key, succeeded};
use ordermill_postgres::{OpenError, Options, PgLedger};

use crate::support::process::{Installation, LEASE, Process, eventually};

/// Asks for an apple with a key, and in the same call for whatever comes behind it. Gives the order.
async fn ask(process: &Process, name: &str, behind: Option<Body>) -> OrderId {
    let key = key(name, "one apple");
    let work = |shop: Shop| async move {
        let apple = shop.placing(&[("apple", 1)]).with_key(Some(key));
        let inputs = [Some(apple), behind.map(Input::new)];
        let answers = shop.submit(inputs.into_iter().flatten().map(Submission::new).collect()).await;
        let outcome = answers.into_iter().next().expect("every input is answered").expect("it is taken");
        outcome.order().expect("it is about an order").id
    };
    process.run(work).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_expired_is_used_anew_once() {
    let mut installation = Installation::new();
    let (one, other) = (installation.start().await, installation.start().await);
    one.run(|shop| async move { shop.sell("apple", 10).await }).await;
    one.run(|shop| async move { shop.sell("pear", 10).await }).await;
    let first = ask(&one, "key-1", None).await;
    one.run(move |shop| async move { shop.cancel(first).await }).await;
    one.run(|shop| async move { shop.advance(shop.settings.policy.idempotency_ttl + SignedDuration::from_secs(1)) })
        .await;
    // One process has seen that the key is free, and waits for a product that somebody else holds.
    let holder = installation.database.session().await;
    holder.batch_execute("BEGIN; SELECT FROM products WHERE id = 'pear' FOR UPDATE").await.expect("it is free");
    let pear = one.run(|shop| async move { Body::PutProduct(shop.product("pear", None)) }).await;
    let watcher = installation.database.session().await;
    let meanwhile = async {
        eventually("the process waits for the product", async || {
            let sql = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
            watcher.query(sql, &[]).await.expect("it answers").len() == 1
        })
        .await;
        let twin = ask(&other, "key-1", None).await;
        holder.batch_execute("ROLLBACK").await.expect("it answers");
        twin
    };
    let (order, twin) = tokio::join!(ask(&one, "key-1", Some(pear)), meanwhile);
    assert_ne!(twin, first, "the key was free");
    assert_eq!(order, twin, "and was used anew once");
    let rows = installation.database.query("SELECT count(*) FROM orders").await;
    assert_eq!(rows, [["2"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_decides_on_what_the_others_have_committed() {
    let mut installation = Installation::new();
    let processes = [installation.start().await, installation.start().await];
    processes[0].run(|shop| async move { shop.sell("apple", 10).await }).await;
    let order = processes[0].run(|shop| async move { shop.place(&[("apple", 1)]).await }).await;
    let id = order.id;
    // Each step by the other process, which knows the order as it left it last, if at all.
    let steps = [Status::Authorized, Status::Reserved, Status::Confirmed];
    for (step, process) in steps.into_iter().zip(processes.iter().rev().cycle()) {
        let order = process.run(move |shop| async move {
            let body = match step {
                Status::Reserved => Body::Reserve { order_id: id },
                _ => {
                    let due = shop.order(id).await.payment.due().expect("something is due").key(id);
                    Body::PaymentResult(ordermill_core::input::PaymentResult { key: due, answer: succeeded() })
                }
            };
            shop.ask_order(body).await
        });
        assert_eq!(order.await.status, step);
    }
    // Both at once, again and again: each decides on what the other did, and nothing is done twice.
    let both = processes.each_ref().map(|process| {
        process.run(move |shop| async move {
            let mut changed = 0;
            for _ in 0..20 {
                let cancel = Input::new(Body::Cancel { order_id: id, reason: "changed my mind".into() });
                let answers = shop.submit(vec![Submission::new(cancel)]).await;
                changed += answers.iter().filter(|answer| answer.as_ref().is_ok_and(|outcome| outcome.changed)).count();
            }
            changed
        })
    });
    let changed: usize = futures_util::future::join_all(both).await.into_iter().sum();
    assert_eq!(changed, 1);
    processes[1].run(|shop| async move { drop(shop.audit().await) }).await;
}

/// What a newer release of the program may do to the tables while this one runs: add to them.
const NEWER: &str =
    "ALTER TABLE events ADD COLUMN origin text; ALTER TABLE orders ADD COLUMN channel text NOT NULL DEFAULT 'web';
    ALTER TABLE feed_head ADD COLUMN lost bigint NOT NULL DEFAULT 0; ALTER TABLE leases ADD COLUMN host text;
    CREATE INDEX orders_by_channel ON orders (channel, id); CREATE TABLE invoices (id bigint PRIMARY KEY);
    UPDATE schema_version SET version = version + 1";

async fn open(installation: &Installation) -> Result<Arc<PgLedger>, OpenError> {
    let options = Options::from_url(&installation.database.url(), Arc::new(SystemClock)).expect("a sound URL");
    PgLedger::open(options).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_release_before_runs_on_beside_a_newer_one() {
    let mut installation = Installation::new();
    let running = installation.start().await;
    let sell = |shop: Shop| async move {
        shop.sell("apple", 10).await;
        let order = shop.place(&[("apple", 1)]).await;
        shop.drive(order.id, Status::Confirmed).await.id
    };
    running.run(sell).await;
    installation.database.execute(NEWER).await;
    let id = running.run(sell).await;
    let started = installation.start().await;
    assert_eq!(started.run(move |shop| async move { shop.order(id).await }).await.status, Status::Confirmed);
    started.run(|shop| async move { drop(shop.audit().await) }).await;
    // One that takes something away says from which release on a program does without.
    installation.database.execute("UPDATE schema_version SET oldest = version").await;
    assert!(matches!(open(&installation).await, Err(OpenError::Newer { .. })));
}

/// What only a newer release can read: a kind of subject, an id longer than any, an id that is none.
const UNREADABLE: [(i16, &str); 3] = [(6, "'pond'"), (2, "convert_to(repeat('p', 500), 'UTF8')"), (1, "'no id'")];

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_a_subject_that_cannot_be_read_stops_nothing() {
    let mut installation = Installation::new();
    let running = installation.start().await;
    running.run(|shop| async move { shop.sell("apple", 10).await }).await;
    running.join(Role::Payments).await;
    installation.until_shared(Role::Payments, &[16]).await;
    let began = installation.owners(Role::Payments).await;
    for (kind, subject) in UNREADABLE {
        // It is the newest event, is put off for one role and given up for another.
        let add = format!(
            "WITH head AS (UPDATE feed_head SET position = position + 1 RETURNING position),
                  parked AS (INSERT INTO parked (role, partition, position, tries, reason, due, redriven)
                             SELECT 'payments', 3, position, 1, 'new', now(), true FROM head),
                  dead AS (INSERT INTO dead_letters (role, partition, position, tries, reason, since)
                           SELECT 'inventory', 3, position, 1, 'new', now() FROM head)
             INSERT INTO events (position, subject_kind, subject, version, partition, type, schema, at, data)
             SELECT position, {kind}, {subject}, 1, 3, 'order.placed', 1, now(), '{{}}' FROM head;
             NOTIFY ordermill_ordermill, 'feed'; NOTIFY ordermill_ordermill, 'redriven'"
        );
        installation.database.execute(&add).await;
        tokio::time::sleep(LEASE * 2).await;
        assert_eq!(installation.owners(Role::Payments).await, began, "its leases hold");
        let letters = |shop: Shop| async move { shop.backend.bus.dead_letters(None, 10).await };
        assert_eq!(running.run(letters).await.expect("the others can be listed"), []);
        ask(&running, &format!("key-{kind}"), None).await;
        assert_eq!(running.receive_many(Role::Payments, 1).await.len(), 1);
    }
    // One that starts behind them reads them from the table.
    running.kill();
    let started = installation.start().await;
    assert_eq!(started.receive_many(Role::Payments, UNREADABLE.len()).await.len(), UNREADABLE.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_are_prepared_anew_when_a_table_has_changed() {
    let mut installation = Installation::new();
    let process = installation.start().await;
    let put = |shop: Shop| async move { shop.put_customer(shop.customer("c-1")).await.0.version };
    assert_eq!(process.run(put).await, 1);
    // The statements that read it are known to the connection, with the type that the column had.
    installation.database.execute("ALTER TABLE customers ALTER COLUMN name TYPE varchar(1000)").await;
    let again = |shop: Shop| async move {
        let mut put = shop.customer("c-1");
        put.name = "Somebody else".into();
        shop.put_customer(put).await.0.version
    };
    assert_eq!(process.run(again).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_goes_on_behind_commits_that_the_server_has_lost() {
    let mut installation = Installation::new();
    let process = installation.start().await;
    process.run(|shop| async move { shop.sell("apple", 10).await }).await;
    let first = process.run(|shop| async move { shop.place(&[("apple", 1)]).await }).await.id;
    process.run(|shop| async move { shop.place(&[("apple", 1)]).await }).await;
    let handed = process.receive_many(Role::Payments, 2).await;
    let newest = handed[1].position.0;
    // As if a standby had taken over that never saw the newest order. Nobody comes to a server while it becomes another, so no look at the
    // leases may begin before and end behind this.
    let lose = format!(
        "LOCK TABLE leases; DELETE FROM orders WHERE id = (SELECT encode(subject, 'hex')::uuid FROM events WHERE position = {newest});
         DELETE FROM events WHERE position = {newest}; UPDATE feed_head SET position = position - 1, placed = placed - 1;
         UPDATE leases SET position = least(position, {newest} - 1)"
    );
    installation.database.execute(&lose).await;
    installation.database.end_sessions().await;
    let place = |shop: Shop| async move {
        let placing = Submission::new(shop.placing(&[("apple", 1)]));
        let answer = shop.submit(vec![placing]).await.remove(0);
        answer.ok().and_then(|outcome| Some(outcome.order()?.id))
    };
    let mut placed = None;
    eventually("it connects again", async || {
        placed = process.run(place).await;
        placed.is_some()
    })
    .await;
    let again = process.receive_many(Role::Payments, 2).await;
    let subjects: Vec<_> = again.into_iter().map(|delivery| delivery.subject).collect();
    assert_eq!(subjects, [Subject::Order(first), Subject::Order(placed.expect("it was just placed"))]);
}
