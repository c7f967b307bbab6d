//! A process that stands still for longer than its leases hold, and comes back with what it was at.

use rustix::process::Signal;
use tokio::time::sleep;

use super::books::assert_in_balance;
use super::crew::FROZEN;
use super::load::{Load, place_slow, probe};
use super::plant::{LEASE, Plant, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_frozen_does_no_harm() {
    let plant = Plant::start(&[]).await;
    let load = Load::start(&plant.fronts(), 4, 5_000);
    let mut more = Vec::new();
    for name in FROZEN {
        load.after_more(15).await;
        // So that it is stopped in the middle of payments.
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
