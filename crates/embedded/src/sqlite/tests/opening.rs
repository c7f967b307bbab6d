//! Opening and closing.

use std::collections::BTreeSet;

use ordermill_core::order::Status;
use ordermill_ports::conformance::shop::Shop;
use ordermill_ports::conformance::{Harness, Settings};
use ordermill_ports::{Source, Submission};

use super::super::{OpenError, Snapshot, SqliteLedger, schema};
use super::Place;

#[tokio::test]
async fn dropped_without_a_close_it_keeps_everything() {
    let place = Place::new();
    let shop = Shop::open(&place).await;
    shop.sell("apple", 10).await;
    let id = shop.place(&[("apple", 2)]).await.id;
    let order = shop.drive(id, Status::Reserved).await;
    let Shop { settings, .. } = shop.share();
    drop(shop);
    let shop = Shop::open_with(&place, settings).await;
    assert_eq!(shop.order(id).await, order);
    assert_eq!(shop.units("apple").await, (8, 2, 0));
    shop.audit().await;
}

#[tokio::test]
async fn one_process_at_a_time() {
    let place = Place::new();
    let shop = Shop::open(&place).await;
    shop.sell("apple", 10).await;
    let second = SqliteLedger::open(place.options(&shop.settings)).map(drop);
    let Err(OpenError::InUse { path }) = second else { panic!("it is open already: {second:?}") };
    assert_eq!(path, place.path());
    // Readers of other processes are no second writer.
    Snapshot::open(&place.path()).expect("the auditor can read along");
    shop.backend.ledger.close().await;
    drop(shop);
    place.open(&Settings::default()).await;
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_as_it_is() {
    let place = Place::new();
    drop(place.open(&Settings::default()).await);
    place.sql("PRAGMA user_version = 99");
    let refused = SqliteLedger::open(place.options(&Settings::default())).map(drop);
    let Err(error @ OpenError::Newer { found: 99, known: schema::NEWEST, .. }) = refused else {
        panic!("a newer program has to open it: {refused:?}")
    };
    assert!(error.to_string().contains("schema 99"), "{error}");
    assert!(Snapshot::open(&place.path()).is_err());
    assert_eq!(place.number("SELECT user_version FROM pragma_user_version"), 99);
}

#[tokio::test]
async fn another_kind_of_database_is_refused_and_left_as_it_is() {
    let place = Place::new();
    place.sql("CREATE TABLE theirs (x)");
    let refused = SqliteLedger::open(place.options(&Settings::default())).map(drop);
    assert!(matches!(refused, Err(OpenError::Foreign { .. })), "{refused:?}");
    assert_eq!(place.number("SELECT count(*) FROM sqlite_schema"), 1);
    let refused = Snapshot::open(&place.path().with_file_name("nothing.db")).map(drop);
    assert!(refused.is_err_and(|error| error.to_string().contains("no ledger")));
}

#[tokio::test]
async fn many_callers_share_a_commit_and_all_are_durable_when_answered() {
    let place = Place::new();
    let shop = Shop::open(&place).await;
    shop.sell("apple", 10_000).await;
    let callers = (0..400).map(|_| {
        let shop = shop.share();
        tokio::spawn(async move {
            // The clock is the test's: it ticks with every caller, so events of one commit can be told.
            shop.advance(jiff::SignedDuration::from_micros(1));
            let input = Submission::new(shop.placing(&[("apple", 1)]));
            let mut results = shop.backend.ledger.submit(Source::Live, vec![input]).await;
            let outcome = results.pop().expect("an answer").expect("it is taken");
            outcome.order().expect("an order").id
        })
    });
    let mut ids = BTreeSet::new();
    for caller in callers.collect::<Vec<_>>() {
        ids.insert(caller.await.expect("the caller ends"));
    }
    assert_eq!(ids.len(), 400);
    assert_eq!(place.number("SELECT count(*) FROM events WHERE typeof(subject) = 'blob'"), 400);
    let commits = place.number("SELECT count(DISTINCT at) FROM events WHERE typeof(subject) = 'blob'");
    assert!(commits < 200, "400 inputs took {commits} commits");
    // The feed is in the order of the commits, without a gap.
    assert_eq!(place.number("SELECT max(position) - count(*) FROM events"), 0);
    assert_eq!(
        place.number("SELECT count(*) FROM events a JOIN events b ON b.position = a.position + 1 AND b.at < a.at"),
        0
    );
    shop.audit().await;
}
