//! What processes hear of each other, and what happens when they hear nothing.

use std::sync::Arc;
use std::time::Duration;

use ordermill_core::order::Status;
use ordermill_core::parcel::ParcelStatus;
use ordermill_core::process::Role;
use ordermill_ports::clock::SystemClock;
use ordermill_ports::conformance::shop::{Shop, parcel};
use ordermill_ports::moving::LedgerReader;
use ordermill_ports::queries::Position;
use ordermill_postgres::{Options, PgLedger, Reader};

use crate::support::process::{Installation, Process, SOON, eventually};

/// Waits in one process for what happens in another: an order, a parcel, the feed, a delivery.
async fn assert_is_told(teller: &Process, told: &Process) {
    teller.run(|shop| async move { shop.sell("apple", 100).await }).await;
    let order = teller.run(|shop| async move { shop.place(&[("apple", 1)]).await }).await;
    let (id, version) = (order.id, order.version);
    let head = teller.run(|shop| async move { shop.end().await }).await;
    let wait = |shop: Shop| async move {
        let queries = Arc::clone(&shop.backend.queries);
        let inventory = shop.receive(Role::Inventory, 10);
        let name = parcel("p-1");
        let all = async {
            tokio::join!(
                queries.order_changed(id, version),
                queries.parcel_changed(&name, 0),
                queries.feed_grown(head),
                inventory
            )
        };
        tokio::time::timeout(SOON, all).await.expect("all of it is told")
    };
    let act = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let paid = teller.run(move |shop| async move { shop.drive(id, Status::Authorized).await }).await;
        let moved = teller.run(|shop| async move { shop.track("p-1", ParcelStatus::PickedUp, 0).await.0 }).await;
        (paid, moved)
    };
    let ((changed, seen, grown, delivered), (paid, moved)) = tokio::join!(told.run(wait), act);
    assert_eq!(changed.expect("readable"), paid);
    assert_eq!(seen.expect("readable"), moved);
    grown.expect("readable");
    assert_eq!(delivered.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_hear_of_each_other() {
    let mut installation = Installation::new();
    // They would not find out by themselves in the time of this test.
    let patient = |options: &mut Options| options.poll = Duration::from_secs(600);
    let (teller, told) = (installation.start_with(patient).await, installation.start_with(patient).await);
    assert_is_told(&teller, &told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_told_is_found_by_looking() {
    let mut installation = Installation::new();
    let teller = installation.start().await;
    let deaf = |options: &mut Options| {
        options.listen = false;
        options.poll = Duration::from_millis(100);
    };
    let told = installation.start_with(deaf).await;
    assert_is_told(&teller, &told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_connections_are_made_again() {
    let mut installation = Installation::new();
    let (teller, told) = (installation.start().await, installation.start().await);
    teller.run(|shop| async move { shop.sell("pear", 100).await }).await;
    told.join(Role::Payments).await;
    for _ in 0..3 {
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let mut count = 0;
        // Of each process one at least, as soon as they are back from the time before.
        eventually("each process has a connection", async || {
            count += installation.database.query(cut).await.len();
            count >= 2
        })
        .await;
        // What was under way is answered as it is; the next is taken as soon as there is a connection again.
        let place = |shop: Shop| async move {
            let deadline = tokio::time::Instant::now() + SOON;
            loop {
                match shop.submit(vec![ordermill_ports::Submission::new(shop.placing(&[("pear", 1)]))]).await.remove(0)
                {
                    Ok(_) => return,
                    Err(error) => assert!(tokio::time::Instant::now() < deadline, "it goes on: {error}"),
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        teller.run(place).await;
    }
    let count = teller.run(|shop| async move { shop.feed(Position(0)).await.len() }).await - 2;
    assert!(count >= 3);
    let mut positions: Vec<_> =
        told.receive_many(Role::Payments, count).await.into_iter().map(|delivery| delivery.position).collect();
    positions.dedup();
    assert_eq!(positions.len(), count, "each order is told of, once");
    assert_is_told(&teller, &told).await;
}

/// Two installations in one database do not take each other for their own processes.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_exports_sees_the_processes_of_its_own_installation() {
    let installation = Installation::new();
    let options = |schema: &str| {
        let url = format!("{}?schema={schema}", installation.database.url());
        Options::from_url(&url, Arc::new(SystemClock)).expect("a sound URL")
    };
    let (mine, other) = (options("mine"), options("other"));
    let idle = PgLedger::open(mine.clone()).await.expect("the ledger opens");
    ordermill_ports::Ledger::close(&*idle).await;
    drop(idle);
    let busy = PgLedger::open(other.clone()).await.expect("the ledger opens");
    let in_use = |options: Options| async {
        let reader = tokio::task::spawn_blocking(move || Reader::open(&options)).await.expect("it ends");
        reader.expect("it opens").in_use().map(str::to_owned)
    };
    assert_eq!(in_use(mine).await, None);
    assert!(in_use(other).await.is_some_and(|who| who.contains("connections")));
    ordermill_ports::Ledger::close(&*busy).await;
}
