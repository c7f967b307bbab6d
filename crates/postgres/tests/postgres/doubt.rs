//! Commits whose answer was lost, beside other processes that do the same.

use std::time::Duration;

use ordermill_core::input::{Body, Input};
use ordermill_ports::Source;

use super::faults::{behind_network, submit};
use crate::support::process::{Installation, eventually};
use crate::support::proxy::Ambush;

/// Two processes cancel one order at the same time, in the same words: the events are the same to the letter. One's transaction is rolled back,
/// with an order that was to be taken in it, and the other one's is there when it asks.
#[tokio::test(flavor = "multi_thread")]
async fn another_s_event_is_no_proof_of_a_commit() {
    let mut installation = Installation::new();
    let (network, process) = behind_network(&mut installation).await;
    let other = installation.start().await;
    let order = process.run(|shop| async move { shop.place(&[("pear", 1)]).await.id }).await;
    let placing = process.run(|shop| async move { shop.placing(&[("pear", 1)]) }).await;
    let cancel = || Input::new(Body::Cancel { order_id: order, reason: "not any more".into() });
    let waiting = async |count: &str| {
        let sql =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        eventually("they wait for the order", async || installation.database.query(sql).await[0] == [count]).await;
    };
    // Both wait for the order, the one whose network fails before the other.
    let outsider = installation.database.session().await;
    outsider.batch_execute("BEGIN; SELECT FROM orders FOR UPDATE").await.expect("they are free");
    network.await_commit(Ambush::CutBefore);
    let first = submit(&process, Source::Live, vec![cancel(), placing]);
    let second = async {
        waiting("1").await;
        let second = submit(&other, Source::Live, vec![cancel()]);
        let go_on = async {
            waiting("2").await;
            // It asks a while after the other one has committed.
            network.delay(Duration::from_millis(50));
            outsider.batch_execute("ROLLBACK").await.expect("it is still there");
        };
        tokio::join!(second, go_on).0
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(network.sprung(), 1, "the commit was ambushed");
    assert!(first[0].is_ok() && second[0].is_ok(), "{first:?} {second:?}");
    let taken = first[1].as_ref().expect("it is decided again").order().expect("an order").id;
    let found = other.run(move |shop| async move { shop.backend.queries.order(taken).await }).await.expect("readable");
    assert!(found.is_some(), "an order was acknowledged that is not there");
}
