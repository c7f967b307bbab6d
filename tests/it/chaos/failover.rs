//! A standby that was behind takes over: commits that were answered are gone.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::books::assert_in_balance;
use super::load::{Order, place_slow, probe};
use super::plant::{Plant, until};
use crate::profile::Postgres;

/// Has something done with the server that takes a while.
async fn do_to_server(plant: &Plant, work: fn(&Postgres)) {
    let postgres = Arc::clone(&plant.postgres);
    spawn_blocking(move || work(&postgres)).await.unwrap();
}

async fn until_confirmed(plant: &Plant, orders: &[Order]) {
    for order in orders {
        plant.front().wait_for(&order.id, |found| found["status"] == order.end).await;
    }
}

/// Orders that the standby knows as they were: what had become of them is done again, and found done by whoever did it.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_standby_lacks_of_an_order_becomes_of_it_again() {
    let plant = Plant::start(&[]).await;
    let mut orders = probe(&plant, "before", 12).await;
    let is_decided = async |order: &Order| plant.front().order_now(&order.id).await["status"] == order.end;
    for round in 0.. {
        for group in ["first", "second", "third"] {
            orders.extend(place_slow(&plant, &format!("{group}-{round}")).await);
        }
        do_to_server(&plant, Postgres::copy).await;
        // A machine that took longer for the copy than a payment takes has no order under way on it.
        if !is_decided(&orders[orders.len() - 1]).await {
            break;
        }
        assert!(round < 10, "no copy has an order that is under way");
    }
    until_confirmed(&plant, &orders).await;
    do_to_server(&plant, |postgres| {
        postgres.end("KILL");
        postgres.fall_back();
        postgres.start_again();
    })
    .await;
    until("the loss is found", async || {
        plant.log("till-1").contains("the server has lost commits that it had answered")
    })
    .await;
    plant.until_ready().await;
    until_confirmed(&plant, &orders).await;
    orders.extend(probe(&plant, "after", 12).await);
    assert_in_balance(&plant, &orders).await;
}
