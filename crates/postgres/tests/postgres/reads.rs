//! Reads of callers beside the work of a process.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use ordermill_core::process::Role;
use ordermill_ports::conformance::shop::{Shop, customer};
use ordermill_ports::queries::{Position, QueryError};
use ordermill_ports::{Queries, Source, Submission};
use ordermill_postgres::Options;
use tokio::time::{Instant, sleep};

use crate::support::process::{Installation, SOON};

/// However long what callers read takes, roles read what they need, deliveries reach them, and the process is ready.
#[tokio::test(flavor = "multi_thread")]
async fn reads_of_callers_that_hang_leave_the_roles_alone() {
    let mut installation = Installation::new();
    let process = installation.start_with(|options: &mut Options| options.answer_max = Duration::from_secs(8)).await;
    process.run(|shop| async move { shop.sell("apple", 1_000).await }).await;
    process.join(Role::Payments).await;
    // The committer's connection, and one of the roles, know their statements.
    let first = process.run(|shop| async move { shop.place(&[("apple", 1)]).await.id }).await;
    process.receive_many(Role::Payments, 1).await;
    let callers = process.ledger().for_callers();
    let outsider = installation.database.session().await;
    outsider.batch_execute("BEGIN; LOCK TABLE customers IN ACCESS EXCLUSIVE MODE").await.expect("it is free");
    let reads = (0..50).map(|_| {
        let callers = Arc::clone(&callers);
        process.run(move |_| async move { callers.customer(&customer("c-9")).await.is_err() })
    });
    let work = async {
        sleep(Duration::from_millis(500)).await;
        let began = Instant::now();
        let work = |shop: Shop| async move {
            shop.backend.ledger.ready().await.expect("it is ready");
            let placed = Submission::new(shop.placing(&[("apple", 1)]));
            let placed = shop.backend.ledger.submit(Source::Live, vec![placed]).await.remove(0).expect("it is taken");
            shop.backend.queries.order(first).await.expect("roles can read");
            shop.backend.bus.lag(Role::Inventory).await.expect("and look at the feed");
            placed.order().expect("an order").id
        };
        for _ in 0..5 {
            process.run(work).await;
        }
        process.receive_many(Role::Payments, 5).await;
        began.elapsed()
    };
    let (hung, took) = tokio::join!(join_all(reads), work);
    assert!(hung.into_iter().all(|hung| hung), "nobody could read what was locked");
    assert!(took < SOON, "{took:?}");
    outsider.batch_execute("ROLLBACK").await.expect("it is still there");
}

/// What the relay reads: a newer release's event keeps none of those that it is read with from being published.
#[tokio::test(flavor = "multi_thread")]
async fn events_at_positions_are_read_without_those_of_a_newer_program() {
    let mut installation = Installation::new();
    let process = installation.start().await;
    let place = |shop: Shop| async move {
        shop.sell("apple", 1_000).await;
        for _ in 0..4 {
            shop.place(&[("apple", 1)]).await;
        }
        shop.backend.queries.head().await.expect("readable")
    };
    let last = process.run(place).await;
    let all: Vec<Position> = (last.0 - 3..=last.0).map(Position).collect();
    let read = async |positions: &[Position]| {
        let (ledger, positions) = (process.ledger().for_callers(), positions.to_vec());
        let found = process.run(move |_| async move { ledger.events_at(&positions).await }).await;
        found.map(|found| found.into_iter().map(|event| event.position).collect::<Vec<_>>())
    };
    let change = async |what: &str, position: Position| {
        installation.database.execute(&format!("UPDATE events SET {what} WHERE position = {}", position.0)).await;
    };
    let beyond = Position(last.0 + 100);
    let mixed = [all[3], beyond, all[0], all[2], all[1]];
    assert_eq!(
        read(&mixed).await.expect("readable"),
        all,
        "in the order of the feed, and what is not there is passed over"
    );
    change("type = 'order.pondered', data = '[]'", all[1]).await;
    change("schema = schema + 1, data = '[]'", all[2]).await;
    assert_eq!(read(&mixed).await.expect("readable"), [all[0], all[3]]);
    assert_eq!(read(&all[1..3]).await.expect("readable"), []);
    change("data = '[]'", all[3]).await;
    assert!(matches!(read(&mixed).await, Err(QueryError::Unreadable(_))), "this one nobody can read");
}
