//! A server that has no time, no connection or no leave to write: load is shed, nothing waits without bound, and it recovers.

use std::time::{Duration, Instant};

use super::books::assert_in_balance;
use super::load::{Load, assert_is_shed};
use super::plant::{Plant, until};
use crate::support::Shop;

/// No answer takes longer: requests have ten seconds, and the machine may be busy.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// Orders are shed in time, and the front says that it is not ready.
async fn assert_sheds(plant: &Plant) {
    let front = plant.front();
    until("it says that it is not ready", async || front.get("/readyz").await.status == 503).await;
    for _ in 0..3 {
        let began = Instant::now();
        assert_is_shed(&front.post("/v1/orders", Shop::order("P1", 1)).await);
        assert!(began.elapsed() < ANSWER_MAX, "{:?}", began.elapsed());
    }
    assert_eq!(front.get("/healthz").await.status, 200, "it need not be restarted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_somebody_holds_for_long() {
    let plant = Plant::start(&[]).await;
    let load = Load::start(&plant.fronts(), 8, 5_000);
    load.after_more(25).await;
    let outsider = plant.session().await;
    outsider.batch_execute("BEGIN; UPDATE feed_head SET position = position").await.unwrap();
    assert_sheds(&plant).await;
    outsider.batch_execute("ROLLBACK").await.unwrap();
    load.after_more(25).await;
    assert_in_balance(&plant, &load.finish().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_others_have_all_of() {
    let plant = Plant::start(&["max_connections=60", "superuser_reserved_connections=0"]).await;
    let load = Load::start(&plant.fronts(), 4, 5_000);
    load.after_more(25).await;
    let url = plant.url();
    let mut taken = vec![plant.session().await];
    let deadline = Instant::now() + Duration::from_secs(60);
    let ours = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'ordermill%'";
    while !taken[0].query(ours, &[]).await.unwrap().is_empty() {
        assert!(Instant::now() < deadline, "connections cannot be had: {}", taken.len());
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'ordermill%'";
        taken[0].query(end, &[]).await.unwrap();
        while let Ok((client, connection)) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await {
            tokio::spawn(connection);
            taken.push(client);
        }
    }
    assert_sheds(&plant).await;
    drop(taken);
    load.after_more(25).await;
    assert_in_balance(&plant, &load.finish().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_became_read_only() {
    let plant = Plant::start(&[]).await;
    let load = Load::start(&plant.fronts(), 4, 5_000);
    load.after_more(25).await;
    let session = plant.session().await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'ordermill%'";
    // As a primary that was replaced: its sessions end, and new ones cannot write.
    session.batch_execute("ALTER DATABASE postgres SET default_transaction_read_only = on").await.unwrap();
    session.query(end, &[]).await.unwrap();
    assert_sheds(&plant).await;
    assert_eq!(plant.front().get("/v1/stock/P1").await.status, 200, "it can be read");
    session.batch_execute("ALTER DATABASE postgres SET default_transaction_read_only = off").await.unwrap();
    session.query(end, &[]).await.unwrap();
    load.after_more(25).await;
    assert_in_balance(&plant, &load.finish().await).await;
}
