//! Processes say by which books they work, and one of another mind is refused.

use std::time::Duration;

use ordermill_core::process::Role;
use ordermill_postgres::{Disagreement, Setup};
use tokio::time::sleep;

use crate::support::process::{Installation, Process};

/// How long what a process has said counts: longer than one stands still for a moment.
const COUNTS: Duration = Duration::from_secs(3);

/// A process that says again and again what it has said.
async fn start(installation: &mut Installation) -> Process {
    installation.start_with(|options| options.lease = COUNTS).await
}

fn charging_by(books: &str) -> Vec<Setup> {
    vec![Setup { role: Role::Payments, books: books.to_owned(), bus: "ledger".to_owned() }]
}

async fn is_let_in(process: &Process, books: &str) -> bool {
    match process.ledger().declare(charging_by(books)).await {
        Ok(()) => true,
        Err(Disagreement::Books { .. }) => false,
        Err(other) => panic!("{other}"),
    }
}

/// A process may wait for a broker, or for its mail file, before its roles run; and nobody runs any while the server is away.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_process_has_said_counts_for_as_long_as_it_is_there() {
    let mut installation = Installation::new();
    let first = start(&mut installation).await;
    assert!(is_let_in(&first, "its own").await);
    sleep(COUNTS * 2).await;
    let second = start(&mut installation).await;
    assert!(!is_let_in(&second, "others").await, "none of its roles has run so far");
    // As behind an outage of the server: nobody could say anything again.
    installation.database.execute("UPDATE setups SET until = clock_timestamp() - interval '1 hour'").await;
    assert!(!is_let_in(&second, "others").await, "it is heard of again in a moment");
    assert!(is_let_in(&second, "its own").await, "of the same mind");
    first.close().await;
    let third = start(&mut installation).await;
    assert!(!is_let_in(&third, "others").await, "the second is there");
    second.close().await;
    assert!(is_let_in(&third, "others").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_has_said_that_was_killed_counts_no_longer_than_a_lease() {
    let mut installation = Installation::new();
    let first = installation.start().await;
    assert!(is_let_in(&first, "its own").await);
    first.kill();
    // Also where the second has no lease to wait for.
    let second = installation.start_with(|options| options.lease = Duration::from_secs(60)).await;
    assert!(is_let_in(&second, "others").await);
}
