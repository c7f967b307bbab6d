//! A process that stands still for longer than its leases hold, and comes back with what it was at.

use rustix::process::Signal;
use tokio::time::sleep;

use super::books::assert_in_balance;
use super::crew::FROZEN;
use super::load::{Load, Order, probe};
use super::plant::{LEASE, Plant, until};
use crate::support::Shop;

/// Orders whose payment takes a while, so that a process is stopped in the middle of it.
async fn place_slow(plant: &Plant, round: &str) -> Vec<Order> {
    let shop = plant.front();
    let mut orders = Vec::new();
    for number in 0..12 {
        let mut order = Shop::order_paid_by("P1", 1, "slow");
        order["order_ref"] = format!("slow-{round}-{number}").into();
        orders.push(Order { id: shop.post("/v1/orders", order).await.order_id(), end: "confirmed" });
    }
    orders
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_frozen_does_no_harm() {
    let plant = Plant::start(&[]).await;
    let load = Load::start(&plant.fronts(), 4, 5_000);
    let mut more = Vec::new();
    for name in FROZEN {
        load.after_more(15).await;
        more.extend(place_slow(&plant, name).await);
        plant.signal(name, Signal::STOP);
        sleep(LEASE * 2).await;
        // The others do its work meanwhile.
        more.extend(probe(&plant, name, 12).await);
        plant.signal(name, Signal::CONT);
        load.after_more(15).await;
        // It finds out by itself, however few of the orders come its way.
        until("it is fenced", async || plant.log(name).contains("a lease was lost")).await;
    }
    let mut orders = load.finish().await;
    orders.extend(more);
    assert_in_balance(&plant, &orders).await;
}
