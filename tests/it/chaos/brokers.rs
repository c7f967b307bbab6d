//! Brokers that are killed and come back, and a network between a process and its broker that fails. Orders are taken all the while.

use std::process::Output;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::{JoinHandle, block_in_place, spawn_blocking};

use super::books::assert_in_balance;
use super::load::{Load, Order, probe};
use super::plant::{Plant, assert_ready, until};
use super::proxy::{Proxy, Weather};
use crate::profile::{Cluster, fresh_bus};
use crate::support::Shop;

/// Clients that place orders: few, as what they place while a broker is away has to be worked off.
const CLIENTS: usize = 2;

/// Topics on a broker that is alone.
const ALONE: &str = "partitions=2&replication=1&min_isr=1&session=2s";

/// Topics that one broker of three may be missing for.
const OF_THREE: &str = "partitions=3&replication=3&min_isr=2&session=2s";

fn line(bus: &str) -> String {
    format!("bus = \"{bus}\"\n")
}

/// Without a broker, every order is taken at once, and waits.
async fn assert_takes_orders(front: &Shop, load: &Load, round: &str) -> Order {
    let before = load.faults_met();
    let order = place(front, round).await;
    load.after_more(40).await;
    assert_eq!(load.faults_met(), before, "an order was not taken: {:?}", load.counts);
    assert_ready(front).await;
    let waiting = front.order_now(&order.id).await;
    assert_eq!(waiting["status"], "placed", "what could have told its role of it?");
    order
}

/// Processes that live through every outage.
const WITNESSES: [&str; 2] = ["till-1", "front-1"];

async fn until_felt(plant: &Plant, outages: usize) {
    for process in WITNESSES {
        until("it has felt that", async || plant.log(process).matches("the broker is gone").count() >= outages).await;
    }
}

/// What a process tells of two outages is some lines, however many clients it has. One that stood still may take it for a third, and what
/// lasts is told again each minute.
fn assert_told_once(log: &str) {
    let told = log.lines().filter(|line| line.contains("ordermill_kafka") && !line.contains("created a topic"));
    let told: Vec<&str> = told.collect();
    let back = told.iter().filter(|line| line.contains("the broker answers again")).count();
    assert!((1..=2).contains(&back) && told.len() <= 12, "{back} times back: {told:#?}");
}

async fn place(front: &Shop, name: &str) -> Order {
    let mut order = Shop::order("P1", 1);
    order["order_ref"] = format!("without-{name}").into();
    Order { id: front.post("/v1/orders", order).await.order_id(), end: "confirmed" }
}

/// A process with a role that needs the broker, where there is none: port 1 of the loopback has no server.
fn without_broker(plant: &Plant, bus: String) -> JoinHandle<Output> {
    let mut program = plant.program();
    program.env("ORDERMILL_BUS", bus);
    program.args(["serve", "--listen", "127.0.0.1:0", "--role", "inventory", "--data"]).arg(plant.folder("another"));
    spawn_blocking(move || program.output().unwrap())
}

/// Ends a process properly that has no broker to take leave of: an operator waits some seconds for that, and no longer.
fn end_without_broker(plant: &Plant, name: &str) {
    let begun = Instant::now();
    block_in_place(|| plant.terminate(name));
    assert!(begun.elapsed() < Duration::from_secs(10), "{name} took {:?} to end", begun.elapsed());
}

fn assert_did_not_start(output: &Output) {
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains("127.0.0.1:1: it does not answer"), "{complaint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_may_be_killed_and_orders_are_taken_all_the_while() {
    let mut broker = block_in_place(Cluster::single);
    let bus = fresh_bus(&broker.brokers(), ALONE);
    let plant = Plant::start_fed(&line(&bus)).await;
    let another = without_broker(&plant, bus.replace(&broker.brokers(), "127.0.0.1:1"));
    let load = Load::start(&plant.fronts(), CLIENTS, 5_000);
    let mut more = Vec::new();
    load.after_more(25).await;
    block_in_place(|| broker.kill(0));
    more.push(assert_takes_orders(&plant.front(), &load, "a while").await);
    until_felt(&plant, 1).await;
    block_in_place(|| broker.revive(0));
    more.extend(probe(&plant, "back", 10).await);
    load.after_more(25).await;
    block_in_place(|| broker.kill(0));
    more.push(assert_takes_orders(&plant.front(), &load, "for long").await);
    until_felt(&plant, 2).await;
    WITNESSES.into_iter().for_each(|process| assert_told_once(&plant.log(process)));
    let mut orders = load.finish().await;
    // Processes come and go meanwhile: one that only takes orders starts, too.
    end_without_broker(&plant, "till-2");
    block_in_place(|| plant.kill("front-2"));
    block_in_place(|| plant.start_process("front-2"));
    let front = plant.fronts().read().unwrap()["front-2"].clone();
    more.push(place(&front, "a front that was there").await);
    block_in_place(|| broker.revive(0));
    more.extend(probe(&plant, "without a till", 10).await);
    block_in_place(|| plant.start_process("till-2"));
    assert_did_not_start(&another.await.unwrap());
    orders.extend(more);
    assert_in_balance(&plant, &orders).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_broker_of_three_may_be_killed_at_any_time() {
    let mut brokers = block_in_place(Cluster::of_three);
    let plant = Plant::start_fed(&line(&fresh_bus(&brokers.brokers(), OF_THREE))).await;
    let load = Load::start(&plant.fronts(), CLIENTS, 5_000);
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
    let plant = Plant::start_fed(&line(&near)).await;
    move_to(&plant, "till-1", &far);
    let load = Load::start(&plant.fronts(), CLIENTS, 5_000);
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
        if weather == Weather::Down {
            until("it has felt that", async || plant.log("till-1").contains("the broker is gone")).await;
        }
        network.set(Weather::Clear);
        load.after_more(15).await;
    }
    until("and that it is over", async || plant.log("till-1").contains("the broker answers again")).await;
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

/// How many processes publish, and how often their shares have changed hands.
async fn relays(plant: &Plant) -> (i64, i64) {
    let sql = "SELECT count(DISTINCT owner) FILTER (WHERE until > clock_timestamp()), coalesce(sum(token), 0)::bigint
               FROM leases WHERE role = 'relay'";
    let row = plant.session().await.query_one(sql, &[]).await.unwrap();
    (row.get(0), row.get(1))
}

async fn until_relays(plant: &Plant, count: i64) {
    until(&format!("{count} processes publish"), async || relays(plant).await.0 == count).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_cut_off_from_the_broker_leaves_its_share_to_the_others() {
    let (mut broker, network) = broker_behind_network();
    let near = fresh_bus(&broker.brokers(), ALONE);
    let far = near.replace(&broker.brokers(), &broker.far_broker());
    let plant = Plant::start_fed(&line(&near)).await;
    move_to(&plant, "till-2", &far);
    until_relays(&plant, 2).await;
    let load = Load::start(&plant.fronts(), CLIENTS, 5_000);
    let mut more = Vec::new();
    for (weather, name) in [(Weather::Down, "down"), (Weather::Stalled, "stalled")] {
        load.after_more(15).await;
        network.set(weather);
        // Orders of all shares.
        more.extend(probe(&plant, name, 32).await);
        until_relays(&plant, 1).await;
        network.set(Weather::Clear);
        until_relays(&plant, 2).await;
    }
    // Without any broker they all stand aside, and take nothing that they could not publish.
    block_in_place(|| broker.kill(0));
    until_relays(&plant, 0).await;
    let before = relays(&plant).await;
    more.push(assert_takes_orders(&plant.front(), &load, "any relay").await);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(relays(&plant).await, before);
    block_in_place(|| broker.revive(0));
    more.extend(probe(&plant, "back", 12).await);
    until_relays(&plant, 2).await;
    assert_eq!(load.faults_met(), 0, "a client has noticed: {:?}", load.counts);
    let mut orders = load.finish().await;
    orders.extend(more);
    assert_in_balance(&plant, &orders).await;
}
