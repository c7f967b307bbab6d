//! A server that has no time, no connection or no leave to write: load is shed, nothing waits without bound, and it recovers.

use std::time::{Duration, Instant};

use super::books::assert_in_balance;
use super::load::{Load, assert_is_shed};
use super::plant::{Plant, assert_ready, until};
use crate::profile::Postgres;
use crate::support::{Server, Shop, wait_for_mails};

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
    let looked = plant.front().get("/v1/channels").await;
    assert_eq!(looked.code(), "unavailable", "{looked:?}");
    assert!(looked.body["detail"].as_str().unwrap().contains("the ledger could not be read"), "{looked:?}");
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

/// A process of all roles: callers' reads that hang take no connection from the roles, nor from the look at whether it is ready.
#[tokio::test(flavor = "multi_thread")]
async fn slow_reads_of_callers_leave_the_roles_alone() {
    let postgres = Postgres::start(&[]);
    let url = postgres.url("postgres");
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir_all(&data).unwrap();
    let options = "[postgres]\nlease = \"2s\"\nanswer_max = \"120s\"\n\n[http]\nrequest_timeout = \"120s\"\n";
    std::fs::write(data.join("ordermill.toml"), format!("ledger = \"{url}\"\n\n{options}")).unwrap();
    let server = Server::start(&data);
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1_000, 100).await;
    for _ in 0..5 {
        shop.place_and_wait(Shop::order("P1", 1)).await;
    }
    wait_for_mails(&data, 5);
    let (locker, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    locker.batch_execute("BEGIN; LOCK TABLE ordermill.customers IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let reads: Vec<_> = (0..50)
        .map(|_| {
            let shop = shop.clone();
            tokio::spawn(async move { shop.get("/v1/customers/x").await.status })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    for _ in 0..10 {
        assert_ready(&shop).await;
        assert_eq!(shop.post("/v1/orders", Shop::order("P1", 1)).await.status, 202);
    }
    let began = Instant::now();
    wait_for_mails(&data, 15);
    assert_ready(&shop).await;
    // Well before the first of them gives up.
    assert!(reads.iter().any(|read| !read.is_finished()), "they hang for as long as {:?}", began.elapsed());
    locker.batch_execute("ROLLBACK").await.unwrap();
    for read in reads {
        let status = read.await.unwrap();
        assert!(status == 404 || status == 503, "{status}");
    }
}
