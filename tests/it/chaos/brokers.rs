//! Brokers that are killed and come back, and a network between a process and its broker that fails. Orders are taken all the while.

use std::process::{Command, Output};

use tokio::runtime::Handle;
use tokio::task::{block_in_place, spawn_blocking};

use super::books::assert_in_balance;
use super::load::{Load, Order, probe};
use super::plant::{Plant, until};
use super::proxy::{Proxy, Weather};
use crate::profile::{Cluster, fresh_bus};
use crate::support::Shop;

/// Topics on a broker that is alone.
const ALONE: &str = "partitions=2&replication=1&min_isr=1&session=2s";

/// Topics that one broker of three may be missing for.
const OF_THREE: &str = "partitions=3&replication=3&min_isr=2&session=2s";

fn line(bus: &str) -> String {
    format!("bus = \"{bus}\"\n")
}

/// Without a broker, every order is taken at once, and waits.
async fn assert_takes_orders(plant: &Plant, load: &Load, round: &str) -> Order {
    let (front, before) = (plant.front(), load.faults_met());
    let mut order = Shop::order("P1", 1);
    order["order_ref"] = format!("without-{round}").into();
    let id = front.post("/v1/orders", order).await.order_id();
    load.after_more(40).await;
    assert_eq!(load.faults_met(), before, "an order was not taken: {:?}", load.counts);
    assert_eq!(front.get("/readyz").await.status, 200, "it takes orders");
    let waiting = front.order_now(&id).await;
    assert_eq!(waiting["status"], "placed", "what could have told its role of it?");
    Order { id, end: "confirmed" }
}

/// A process with a role that needs the broker.
fn another(plant: &Plant) -> Command {
    let mut program = plant.program();
    program.args(["serve", "--listen", "127.0.0.1:0", "--role", "inventory", "--data"]).arg(plant.folder("another"));
    program
}

fn assert_did_not_start(output: &Output, broker: &str) {
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains(broker) && complaint.contains("does not answer"), "{complaint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_may_be_killed_and_orders_are_taken_all_the_while() {
    let mut broker = block_in_place(Cluster::single);
    let plant = Plant::start_fed(&[], &line(&fresh_bus(&broker.brokers(), ALONE))).await;
    let load = Load::start(&plant.fronts(), 4, 5_000);
    let mut more = Vec::new();
    load.after_more(25).await;
    block_in_place(|| broker.kill(0));
    more.push(assert_takes_orders(&plant, &load, "a while").await);
    block_in_place(|| broker.revive(0));
    more.extend(probe(&plant, "back", 10).await);
    // For longer, and processes come and go meanwhile.
    load.after_more(25).await;
    block_in_place(|| broker.kill(0));
    let mut another = another(&plant);
    let another = spawn_blocking(move || another.output().unwrap());
    more.push(assert_takes_orders(&plant, &load, "for long").await);
    block_in_place(|| plant.terminate("till-2"));
    block_in_place(|| plant.kill("front-2"));
    block_in_place(|| plant.start_process("front-2"));
    load.after_more(25).await;
    assert_did_not_start(&another.await.unwrap(), &broker.brokers());
    block_in_place(|| broker.revive(0));
    more.extend(probe(&plant, "without a till", 10).await);
    block_in_place(|| plant.start_process("till-2"));
    load.after_more(25).await;
    let mut orders = load.finish().await;
    orders.extend(more);
    assert_in_balance(&plant, &orders).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_broker_of_three_may_be_killed_at_any_time() {
    let mut brokers = block_in_place(Cluster::of_three);
    let plant = Plant::start_fed(&[], &line(&fresh_bus(&brokers.brokers(), OF_THREE))).await;
    let load = Load::start(&plant.fronts(), 4, 5_000);
    let mut more = Vec::new();
    for broker in [0, 1] {
        load.after_more(25).await;
        block_in_place(|| brokers.kill(broker));
        // Whatever it led is led by another soon, groups among it.
        more.extend(probe(&plant, &broker.to_string(), 10).await);
        block_in_place(|| brokers.revive(broker));
    }
    load.after_more(25).await;
    assert_eq!(load.faults_met(), 0, "a client has noticed: {:?}", load.counts);
    let mut orders = load.finish().await;
    orders.extend(more);
    assert_in_balance(&plant, &orders).await;
}

/// A broker, and a network to it for those that are told to take it.
fn broker_behind_network() -> (Cluster, Proxy) {
    let (mut network, runtime) = (None, Handle::current());
    let mut begin = |port| {
        let begun = runtime.block_on(Proxy::start(([127, 0, 0, 1], port).into()));
        network.insert(begun).port()
    };
    let broker = block_in_place(|| Cluster::single_behind(&mut begin));
    (broker, network.unwrap())
}

/// Starts a process anew that finds the broker there.
fn move_to(plant: &Plant, name: &str, bus: &str) {
    plant.give(name, "ORDERMILL_BUS", bus.to_owned());
    block_in_place(|| plant.terminate(name));
    block_in_place(|| plant.start_process(name));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_may_be_cut_off_from_the_broker_and_not_from_the_ledger() {
    let (broker, network) = broker_behind_network();
    let near = fresh_bus(&broker.brokers(), ALONE);
    let far = near.replace(&broker.brokers(), &broker.far_broker());
    let plant = Plant::start_fed(&[], &line(&near)).await;
    move_to(&plant, "till-1", &far);
    let load = Load::start(&plant.fronts(), 4, 5_000);
    for _ in 0..3 {
        load.after_more(15).await;
        network.cut();
    }
    let mut more = Vec::new();
    for (weather, name) in [(Weather::Stalled, "stalled"), (Weather::Down, "down")] {
        load.after_more(15).await;
        network.set(weather);
        // The other till does its work meanwhile.
        more.extend(probe(&plant, name, 12).await);
        network.set(Weather::Clear);
        load.after_more(15).await;
    }
    until("it has felt that", async || plant.log("till-1").contains("the kafka client has a problem")).await;
    // It is back: there is nobody else.
    block_in_place(|| plant.terminate("till-2"));
    more.extend(probe(&plant, "alone", 12).await);
    // The other one runs the relay as well: what is to go by it waits.
    plant.give("till-2", "ORDERMILL_BUS", far);
    block_in_place(|| plant.start_process("till-2"));
    for weather in [Weather::Stalled, Weather::Down] {
        load.after_more(15).await;
        network.set(weather);
        load.after_more(60).await;
        network.set(Weather::Clear);
    }
    load.after_more(15).await;
    assert_eq!(load.faults_met(), 0, "a client has noticed: {:?}", load.counts);
    let mut orders = load.finish().await;
    orders.extend(more);
    assert_in_balance(&plant, &orders).await;
}
