//! The server's disk full: of data, so that it refuses writes; of its log, so that it goes down.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;

use super::books::assert_in_balance;
use super::load::{Load, Order, assert_is_shed};
use super::plant::{Plant, until};
use crate::profile::SmallDisk;
use crate::support::Shop;

/// Fills the disk up, and waits until that is felt.
async fn fill(plant: &Plant, load: &Load) {
    load.after_more(25).await;
    let front = plant.front();
    let mut number = 0;
    until("an order is refused", async || {
        let postgres = Arc::clone(&plant.postgres);
        spawn_blocking(move || postgres.fill_disk()).await.unwrap();
        begin_segment(plant).await;
        number += 1;
        let mut order = Shop::order("P1", 1);
        // What is taken all the same is found by its reference, and counted.
        order["order_ref"] = format!("filling-{number}").into();
        let answer = front.post("/v1/orders", order).await;
        if !answer.status.is_success() {
            assert_is_shed(&answer);
        }
        !answer.status.is_success()
    })
    .await;
    until("it says that it is not ready", async || front.get("/readyz").await.status == 503).await;
    assert_eq!(front.get("/healthz").await.status, 200, "it need not be restarted");
}

/// Has the server begin a new file of its log, which takes room. It may be gone already.
async fn begin_segment(plant: &Plant) {
    if let Ok((client, connection)) = tokio_postgres::connect(&plant.url(), tokio_postgres::NoTls).await {
        tokio::spawn(connection);
        // Without room it goes down over this.
        let _ = client.batch_execute("SELECT pg_switch_wal()").await;
    }
}

/// What was taken while the disk filled up is an order as any other.
async fn taken_while_filling(plant: &Plant) -> Vec<Order> {
    let session = plant.session().await;
    let rows = session.query("SELECT id::text FROM orders WHERE order_ref LIKE 'filling-%'", &[]).await.unwrap();
    let order = |row: &tokio_postgres::Row| {
        let id = row.get::<_, String>(0).replace('-', "");
        Order { id: format!("ord_{id}"), end: "confirmed" }
    };
    rows.iter().map(order).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_room_for_data() {
    let plant = Plant::start_on(SmallDisk { mib: 48, holds_wal: false }, &[]).await;
    let load = Load::start(&plant.fronts(), 4, 5_000);
    fill(&plant, &load).await;
    assert_eq!(plant.front().get("/v1/stock/P1").await.status, 200, "it can be read");
    plant.postgres.make_room();
    plant.until_ready().await;
    load.after_more(25).await;
    let mut orders = load.finish().await;
    orders.extend(taken_while_filling(&plant).await);
    assert_in_balance(&plant, &orders).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_room_for_the_log() {
    let settings = ["min_wal_size=2MB", "max_wal_size=3MB", "wal_recycle=off"];
    let plant = Plant::start_on(SmallDisk { mib: 12, holds_wal: true }, &settings).await;
    let load = Load::start(&plant.fronts(), 4, 5_000);
    fill(&plant, &load).await;
    let postgres = Arc::clone(&plant.postgres);
    // It stops in a panic, and does not come up while there is no room: somebody makes room and starts it.
    let revive = move || {
        postgres.make_room();
        if !postgres.runs_on(Duration::from_secs(2)) {
            postgres.start_again();
        }
    };
    spawn_blocking(revive).await.unwrap();
    plant.until_ready().await;
    load.after_more(25).await;
    let mut orders = load.finish().await;
    orders.extend(taken_while_filling(&plant).await);
    assert_in_balance(&plant, &orders).await;
}
