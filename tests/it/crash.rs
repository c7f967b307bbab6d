//! A server that is killed at any moment loses nothing that it acknowledged, and doubles nothing.

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::support::{Server, Shop, doctor, order_line, wait_for_mails};

const ROUNDS: u64 = 50;
const ORDERS: usize = 150;
const PRODUCTS: u64 = 12;

/// A small deterministic source of chance: a failed round can be run again.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// The same orders in every round: one to four lines each, nothing short.
fn orders() -> Vec<Value> {
    let mut chance = Chance(2017);
    let order = |index: usize| {
        let lines: Vec<Value> = (0..=chance.below(4))
            .map(|_| order_line(&format!("P{}", chance.below(PRODUCTS)), 1 + chance.below(3) as i64))
            .collect();
        json!({ "order_ref": format!("r-{index}"), "customer_id": "c", "customer_email": "c@example.com", "lines": lines })
    };
    (0..ORDERS).map(order).collect()
}

fn ndjson(orders: &[Value]) -> String {
    orders.iter().map(|order| format!("{order}\n")).collect()
}

/// Sends orders in bulk and reads the results as they come. Ends early when `enough` results are in, or the server is gone.
/// Gives the order id by order reference.
async fn import(server: &Server, orders: &[Value], enough: usize) -> BTreeMap<String, String> {
    let lines: Vec<_> = orders.iter().map(|order| Ok::<_, std::io::Error>(format!("{order}\n"))).collect();
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(lines));
    let request = reqwest::Client::new().post(format!("{}/v1/orders", server.url));
    let request = request.header("content-type", "application/x-ndjson").body(body);
    let mut acknowledged = BTreeMap::new();
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
            acknowledged.insert(orders[index]["order_ref"].as_str().unwrap().to_owned(), id);
        }
        if acknowledged.len() >= enough {
            break;
        }
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

/// What the year adds up to: sold units by product, and how many orders are in which state.
async fn totals(shop: &Shop) -> (Vec<Value>, BTreeMap<String, usize>) {
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

/// An import that nothing interrupts.
async fn uninterrupted(data: &Path) -> (Vec<Value>, BTreeMap<String, usize>) {
    let server = Server::start(data);
    let shop = open_shop(&server).await;
    assert_eq!(import(&server, &orders(), ORDERS).await.len(), ORDERS);
    wait_for_mails(data, ORDERS);
    totals(&shop).await
}

async fn round(data: &Path, seed: u64) -> (Vec<Value>, BTreeMap<String, usize>) {
    let orders = orders();
    let mut server = Server::start(data);
    open_shop(&server).await;
    let enough = 1 + Chance(seed).below(ORDERS as u64 - 1) as usize;
    let acknowledged = import(&server, &orders, enough).await;
    assert!(acknowledged.len() >= enough, "the import ended by itself");
    server.kill();

    let server = Server::start(data);
    let shop = Shop::of(&server);
    for id in acknowledged.values() {
        assert_eq!(shop.get(&format!("/v1/orders/{id}")).await.status, 200, "{id} was acknowledged and is lost");
    }
    let resumed = import(&server, &orders, ORDERS).await;
    assert_eq!(resumed.len(), ORDERS);
    for (reference, id) in &acknowledged {
        assert_eq!(&resumed[reference], id, "the order {reference} was taken twice");
    }
    let mails = wait_for_mails(data, ORDERS);
    assert!(mails.values().all(|count| *count == 1), "{mails:?}");
    for id in resumed.values() {
        assert!(mails.keys().any(|message| message.contains(id.as_str())), "no mail for {id}");
    }
    let totals = totals(&shop).await;
    assert!(server.terminate().success());
    doctor(data).assert_clean();
    totals
}

/// Half of the rounds; the other half runs beside it.
async fn rounds(seeds: impl Iterator<Item = u64>) {
    let folder = tempfile::tempdir().unwrap();
    let expected = uninterrupted(&folder.path().join("uninterrupted")).await;
    for seed in seeds {
        let data = folder.path().join(format!("round-{seed}"));
        let found = round(&data, seed).await;
        assert_eq!(found, expected, "round {seed}");
        std::fs::remove_dir_all(&data).unwrap();
    }
}

#[tokio::test]
async fn killed_fifty_times_nothing_is_lost_or_doubled_even_rounds() {
    assert_eq!(ndjson(&orders()), ndjson(&orders()), "every round has the same orders");
    rounds((0..ROUNDS).filter(|seed| seed % 2 == 0)).await;
}

#[tokio::test]
async fn killed_fifty_times_nothing_is_lost_or_doubled_odd_rounds() {
    rounds((0..ROUNDS).filter(|seed| seed % 2 == 1)).await;
}
