//! A server that is killed at any moment loses nothing that it acknowledged, and doubles nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::{Server, Shop, doctor, mails_by_id, order_line, wait_for_mails};

const ROUNDS: u64 = 50;
/// Orders of the import.
const ORDERS: usize = 150;
/// Orders that a shop places one by one meanwhile.
const LIVE: usize = 30;
const PRODUCTS: u64 = 12;
/// Lines sent at once.
const GROUP_LINES: usize = 5;
/// Lines that may be sent and not acknowledged. The server takes the import in many small chunks however fast it is, and has at
/// most so many lines beyond the acknowledged ones when it is killed.
const UNACKNOWLEDGED_MAX: usize = 4 * GROUP_LINES;

/// Order ids by order reference.
type Acknowledged = BTreeMap<String, String>;

/// Sold units by product, and how many orders are in which state.
type Totals = (Vec<Value>, BTreeMap<String, usize>);

/// What was found after a kill, before anything was sent again.
#[derive(Debug)]
struct Kill {
    /// Orders of the import that the ledger holds.
    imported: usize,
    /// Orders placed one by one that were acknowledged.
    live: usize,
    /// Orders that were acknowledged and whose mail was not in the store.
    unmailed: usize,
}

/// A small deterministic source of chance: a failed round can be run again.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// The same orders in every round: one to four lines each, nothing short.
fn orders(prefix: &str, count: usize) -> Vec<Value> {
    let mut chance = Chance(2017);
    let order = |index: usize| {
        let lines: Vec<Value> = (0..=chance.below(4))
            .map(|_| order_line(&format!("P{}", chance.below(PRODUCTS)), 1 + chance.below(3) as i64))
            .collect();
        json!({ "order_ref": format!("{prefix}-{index}"), "customer_id": "c", "customer_email": "c@example.com", "lines": lines })
    };
    (0..count).map(order).collect()
}

fn ndjson(orders: &[Value]) -> String {
    orders.iter().map(|order| format!("{order}\n")).collect()
}

fn reference(order: &Value) -> String {
    order["order_ref"].as_str().unwrap().to_owned()
}

/// The body of an import: the next group follows when there is room for it.
fn trickle(orders: &[Value], room: &Arc<Semaphore>) -> reqwest::Body {
    let groups: Vec<String> = orders.chunks(GROUP_LINES).map(ndjson).collect();
    let room = Arc::clone(room);
    reqwest::Body::wrap_stream(stream::iter(groups).then(move |group| {
        let room = Arc::clone(&room);
        async move {
            room.acquire_many(GROUP_LINES as u32).await.unwrap().forget();
            Ok::<_, std::io::Error>(group)
        }
    }))
}

/// Sends orders in bulk and reads the results as they come. Ends when exactly `enough` results are read, or the server is gone.
async fn import(server: &Server, orders: &[Value], enough: usize) -> Acknowledged {
    let room = Arc::new(Semaphore::new(UNACKNOWLEDGED_MAX));
    let request = reqwest::Client::new().post(format!("{}/v1/orders", server.url));
    let request = request.header("content-type", "application/x-ndjson").body(trickle(orders, &room));
    let mut acknowledged = Acknowledged::new();
    let Ok(response) = request.send().await else { return acknowledged };
    let mut chunks = response.bytes_stream();
    let mut text = Vec::new();
    while let Some(Ok(chunk)) = chunks.next().await {
        text.extend_from_slice(&chunk);
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            let result: Value = serde_json::from_slice(&line).unwrap();
            let index = result["line"].as_u64().unwrap() as usize - 1;
            let id = result["order_id"].as_str().unwrap_or_else(|| panic!("{result}")).to_owned();
            acknowledged.insert(reference(&orders[index]), id);
            if acknowledged.len() == enough {
                return acknowledged;
            }
            room.add_permits(1);
        }
    }
    acknowledged
}

/// Places orders one by one, until the server is gone.
async fn place_each(shop: &Shop, orders: &[Value]) -> Acknowledged {
    let mut acknowledged = Acknowledged::new();
    for order in orders {
        let body = order.to_string().into_bytes();
        let Ok(answer) = shop.try_send(reqwest::Method::POST, "/v1/orders", &[], Some(body)).await else { break };
        acknowledged.insert(reference(order), answer.order_id());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    acknowledged
}

async fn open_shop(server: &Server) -> Shop {
    let shop = Shop::of(server);
    for product in 0..PRODUCTS {
        shop.stock_product(&format!("P{product}"), 500 + product as i64, 10_000).await;
    }
    shop
}

/// What the year adds up to.
async fn totals(shop: &Shop) -> Totals {
    let mut sold = Vec::new();
    for product in 0..PRODUCTS {
        let stock = shop.stock(&format!("P{product}")).await;
        assert_eq!(stock["reserved"], 0, "{stock}");
        sold.push(stock["sold"].clone());
    }
    let mut statuses = BTreeMap::new();
    let listed = shop.get("/v1/orders?limit=500").await;
    for order in listed.body["orders"].as_array().unwrap() {
        *statuses.entry(order["status"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    (sold, statuses)
}

/// All orders, sent both ways at once, to a server that lives.
async fn send_all(server: &Server, shop: &Shop) -> Acknowledged {
    let (orders, live) = (orders("r", ORDERS), orders("live", LIVE));
    let (mut acknowledged, placed) = tokio::join!(import(server, &orders, ORDERS), place_each(shop, &live));
    acknowledged.extend(placed);
    assert_eq!(acknowledged.len(), ORDERS + LIVE);
    acknowledged
}

/// An import that nothing interrupts.
async fn uninterrupted(data: &Path) -> Totals {
    let server = Server::start(data);
    let shop = open_shop(&server).await;
    send_all(&server, &shop).await;
    wait_for_mails(data, ORDERS + LIVE);
    totals(&shop).await
}

/// Runs a server until it has acknowledged so many lines of the import, and kills it. Gives all that it acknowledged, and how
/// much of it was placed one by one.
async fn run_and_kill(data: &Path, enough: usize) -> (Acknowledged, usize) {
    let mut server = Server::start(data);
    let shop = open_shop(&server).await;
    let (orders, live) = (orders("r", ORDERS), orders("live", LIVE));
    let until_killed = async {
        let acknowledged = import(&server, &orders, enough).await;
        server.kill();
        acknowledged
    };
    let (mut acknowledged, placed) = tokio::join!(until_killed, place_each(&shop, &live));
    assert_eq!(acknowledged.len(), enough, "the import ended by itself");
    let live = placed.len();
    acknowledged.extend(placed);
    (acknowledged, live)
}

/// How many orders of the import the ledger holds.
async fn imported(shop: &Shop) -> usize {
    let listed = shop.get("/v1/orders?limit=500").await;
    let orders = listed.body["orders"].as_array().unwrap_or_else(|| panic!("{listed:?}"));
    orders.iter().filter(|order| reference(order).starts_with("r-")).count()
}

async fn round(data: &Path, seed: u64) -> (Totals, Kill) {
    let enough = 1 + Chance(seed).below(ORDERS as u64 - 1) as usize;
    let (acknowledged, live) = run_and_kill(data, enough).await;
    let mails = mails_by_id(data);
    let mailed = |id: &&String| mails.keys().any(|message| message.contains(id.as_str()));
    let unmailed = acknowledged.len() - acknowledged.values().filter(mailed).count();

    let server = Server::start(data);
    let shop = Shop::of(&server);
    let kill = Kill { imported: imported(&shop).await, live, unmailed };
    for id in acknowledged.values() {
        assert_eq!(shop.get(&format!("/v1/orders/{id}")).await.status, 200, "{id} was acknowledged and is lost");
    }
    let resumed = send_all(&server, &shop).await;
    for (reference, id) in &acknowledged {
        assert_eq!(&resumed[reference], id, "the order {reference} was taken twice");
    }
    let mails = wait_for_mails(data, ORDERS + LIVE);
    assert!(mails.values().all(|count| *count == 1), "{mails:?}");
    for id in resumed.values() {
        assert!(mails.keys().any(|message| message.contains(id.as_str())), "no mail for {id}");
    }
    let totals = totals(&shop).await;
    assert!(server.terminate().success());
    doctor(data).assert_clean();
    (totals, kill)
}

/// Half of the rounds; the other half runs beside it.
async fn rounds(seeds: impl Iterator<Item = u64>) {
    let folder = tempfile::tempdir().unwrap();
    let expected = uninterrupted(&folder.path().join("uninterrupted")).await;
    let mut kills = Vec::new();
    for seed in seeds {
        let data = folder.path().join(format!("round-{seed}"));
        let (found, kill) = round(&data, seed).await;
        assert_eq!(found, expected, "round {seed}");
        kills.push(kill);
        std::fs::remove_dir_all(&data).unwrap();
    }
    // The kills came in the middle of things, or all this shows little.
    let rounds_with = |hit: fn(&Kill) -> bool| kills.iter().filter(|kill| hit(kill)).count();
    assert!(rounds_with(|kill| kill.imported < ORDERS) * 3 >= kills.len() * 2, "the import was over: {kills:?}");
    assert!(rounds_with(|kill| kill.unmailed > 0) * 3 >= kills.len(), "every mail was out: {kills:?}");
    assert!(rounds_with(|kill| kill.live > 0) * 2 >= kills.len(), "nobody else placed orders: {kills:?}");
}

#[tokio::test]
async fn killed_fifty_times_nothing_is_lost_or_doubled_even_rounds() {
    assert_eq!(ndjson(&orders("r", ORDERS)), ndjson(&orders("r", ORDERS)), "every round has the same orders");
    rounds((0..ROUNDS).filter(|seed| seed % 2 == 0)).await;
}

#[tokio::test]
async fn killed_fifty_times_nothing_is_lost_or_doubled_odd_rounds() {
    rounds((0..ROUNDS).filter(|seed| seed % 2 == 1)).await;
}
