//! Clients that place orders and do as the documentation says: what is not answered, or answered 503, is sent again with the same key.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;
use tokio::task::JoinHandle;

use super::plant::{Fronts, Plant, until};
use crate::support::{Answer, Shop};

/// How long a client goes on trying.
const STUBBORNNESS: Duration = Duration::from_secs(90);

/// How long a client waits for an answer: longer than a front takes for any.
const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// How long a client rests between two orders: faults are to meet work under way, and the machine has more to do.
const REST: Duration = Duration::from_millis(15);

/// An order that was acknowledged.
#[derive(Debug, Clone)]
pub struct Order {
    pub id: String,
    /// How it has to end.
    pub end: &'static str,
}

/// Counts what the clients meet.
#[derive(Debug, Default)]
pub struct Counts {
    pub placed: AtomicUsize,
    /// Answers 503.
    pub refused: AtomicUsize,
    /// Requests without an answer.
    pub unanswered: AtomicUsize,
    stop: AtomicBool,
}

/// Clients at work.
pub struct Load {
    clients: Vec<JoinHandle<Vec<Order>>>,
    pub counts: Arc<Counts>,
}

impl Load {
    /// Starts so many clients, each with a bounded number of orders.
    pub fn start(fronts: &Fronts, clients: usize, orders_each: usize) -> Self {
        let counts = Arc::new(Counts::default());
        let client = |number| tokio::spawn(buy(number, orders_each, Arc::clone(fronts), Arc::clone(&counts)));
        Self { clients: (0..clients).map(client).collect(), counts: Arc::clone(&counts) }
    }

    /// Waits until so many more orders are placed, or the clients have no more.
    pub async fn after_more(&self, more: usize) {
        let wanted = self.counts.placed.load(Ordering::Relaxed) + more;
        until("more orders are placed", async || {
            self.counts.placed.load(Ordering::Relaxed) >= wanted || self.clients.iter().all(JoinHandle::is_finished)
        })
        .await;
    }

    /// How often a client was not answered, or was told to come again.
    pub fn faults_met(&self) -> usize {
        self.counts.refused.load(Ordering::Relaxed) + self.counts.unanswered.load(Ordering::Relaxed)
    }

    /// Lets the clients finish what they are at, and gives all orders.
    pub async fn finish(self) -> Vec<Order> {
        assert!(
            !self.clients.iter().all(JoinHandle::is_finished),
            "the load ended before the faults: {:?}",
            self.counts
        );
        self.counts.stop.store(true, Ordering::Relaxed);
        let mut orders = Vec::new();
        for client in self.clients {
            orders.extend(client.await.unwrap());
        }
        orders
    }
}

async fn buy(client: usize, count: usize, fronts: Fronts, counts: Arc<Counts>) -> Vec<Order> {
    let mut orders = Vec::new();
    for turn in 0..count {
        if counts.stop.load(Ordering::Relaxed) {
            break;
        }
        let (product, method, end) = match turn % 8 {
            3 => ("P1", "declined", "rejected"),
            6 => ("NONE", "ok", "rejected"),
            _ => ("P1", "ok", "confirmed"),
        };
        let mut order = Shop::order_paid_by(product, 1, method);
        order["order_ref"] = format!("{client}-{turn}").into();
        let id = place(&fronts, client + turn, &order, &counts).await;
        if turn % 5 == 0 {
            assert_eq!(place(&fronts, turn, &order, &counts).await, id, "one key, two answers");
        }
        counts.placed.fetch_add(1, Ordering::Relaxed);
        orders.push(Order { id, end });
        tokio::time::sleep(REST).await;
    }
    orders
}

/// Places an order however often it takes. Gives its id.
async fn place(fronts: &Fronts, turn: usize, order: &Value, counts: &Counts) -> String {
    let key = format!("key-{}", order["order_ref"].as_str().unwrap());
    let deadline = Instant::now() + STUBBORNNESS;
    for turn in turn.. {
        let front = {
            let fronts = fronts.read().unwrap();
            fronts.values().nth(turn % fronts.len()).unwrap().clone()
        };
        let headers = [("Idempotency-Key", key.as_str())];
        let sent = front.try_send(Method::POST, "/v1/orders", &headers, Some(order.to_string().into_bytes()));
        match tokio::time::timeout(ANSWER_WAIT, sent).await {
            Ok(Ok(answer)) if answer.status.is_success() => return answer.order_id(),
            Ok(Ok(answer)) => {
                assert_is_shed(&answer);
                counts.refused.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Err(_)) => _ = counts.unanswered.fetch_add(1, Ordering::Relaxed),
            Err(_) => panic!("no answer within {ANSWER_WAIT:?}, and no end of the connection"),
        }
        assert!(Instant::now() < deadline, "an order could not be placed: {counts:?}");
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    unreachable!("turns do not end")
}

/// An answer that says: not now.
pub fn assert_is_shed(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
}

/// How many orders have to end in which way.
pub fn ends(orders: &[Order]) -> BTreeMap<&'static str, usize> {
    let mut ends = BTreeMap::new();
    for order in orders {
        *ends.entry(order.end).or_default() += 1;
    }
    ends
}

/// Places orders, and waits until each is confirmed and its mail is out.
pub async fn probe(plant: &Plant, name: &str, count: usize) -> Vec<Order> {
    let orders = place_each(plant, &format!("probe-{name}"), count, Shop::order("P1", 1)).await;
    let fronts = plant.fronts();
    for order in &orders {
        until_mailed(&fronts, &order.id).await;
    }
    orders
}

/// Places orders whose payment takes a while.
pub async fn place_slow(plant: &Plant, name: &str) -> Vec<Order> {
    place_each(plant, &format!("slow-{name}"), 12, Shop::order_paid_by("P1", 1, "slow")).await
}

/// Places the same order so many times, each at another front.
async fn place_each(plant: &Plant, name: &str, count: usize, mut order: Value) -> Vec<Order> {
    let (fronts, counts) = (plant.fronts(), Counts::default());
    let mut orders = Vec::new();
    for number in 0..count {
        order["order_ref"] = format!("{name}-{number}").into();
        let id = place(&fronts, number, &order, &counts).await;
        orders.push(Order { id, end: "confirmed" });
    }
    orders
}

/// Waits until the order's mail is out, whichever front tells.
async fn until_mailed(fronts: &Fronts, id: &str) {
    let mut turn = 0;
    until("an order's mail is out", async || {
        turn += 1;
        let front = {
            let fronts = fronts.read().unwrap();
            fronts.values().nth(turn % fronts.len()).unwrap().clone()
        };
        let asked = front.try_send(Method::GET, &format!("/v1/orders/{id}/events"), &[], None).await;
        asked.is_ok_and(|answer| answer.text.contains("\"notification.sent\""))
    })
    .await;
}
