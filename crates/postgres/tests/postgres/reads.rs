//! Reads of callers beside the work of a process.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use ordermill_core::process::Role;
use ordermill_ports::conformance::shop::{Shop, customer};
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
