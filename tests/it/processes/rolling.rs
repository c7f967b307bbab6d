//! A rolling restart under load: every process ends and starts again, one after the other, and no client sees an error.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::installation::{Installation, LAYOUT};
use crate::support::{Answer, Server, Shop};

/// Clients that place one order after the other.
const CLIENTS: usize = 6;
/// How long a refused client may go from one front to the other. One of them is always there.
const PATIENCE: Duration = Duration::from_secs(30);
/// The only process that decides is restarted as well: whoever waits for that at a front waits as long as it takes.
const PATIENT: (&str, &str) = ("ORDERMILL_WIRE__ORDER_API__PATIENCE", "55s");
/// Orders that are placed between one restart and the next.
const BETWEEN: usize = 60;

/// What stands before the fronts: it knows where they are, and takes the next one where nobody answers.
struct Balancer {
    fronts: RwLock<Vec<Shop>>,
    refusals: AtomicUsize,
}

impl Balancer {
    /// Sends a request that is safe to send again. An answer is an answer, whatever it says: only a connection that is refused, or closed
    /// before a single byte of an answer, leads to another try.
    async fn send(&self, turn: usize, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let deadline = Instant::now() + PATIENCE;
        for turn in turn.. {
            let front = {
                let fronts = self.fronts.read().unwrap();
                fronts[turn % fronts.len()].clone()
            };
            match front.try_send(Method::POST, path, headers, Some(body.to_string().into_bytes())).await {
                Ok(answer) => return answer,
                Err(error) if error.is_connect() || error.is_request() => {
                    self.refusals.fetch_add(1, Ordering::Relaxed);
                    assert!(Instant::now() < deadline, "nobody answers: {error:?}");
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(error) => panic!("an answer broke off: {error:?}"),
            }
        }
        unreachable!("turns do not end")
    }
}

/// What was acknowledged.
#[derive(Default)]
struct Acknowledged {
    /// Orders by reference.
    referred: BTreeMap<String, String>,
    /// Orders of the order API, whose clients wait for the decision.
    wired: BTreeSet<String>,
}

/// Places orders until it is told to stop. Every answer has to be good.
async fn buy(client: usize, balancer: Arc<Balancer>, placed: Arc<AtomicUsize>, stop: Arc<AtomicBool>) -> Acknowledged {
    let mut acknowledged = Acknowledged::default();
    for turn in client.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let reference = format!("{client}-{turn}");
        let mut order = Shop::order("P1", 1);
        order["order_ref"] = reference.as_str().into();
        let key = format!("key-{reference}");
        if turn % 4 == 1 {
            let order = json!({ "product_id": "P1", "quantity": 1, "customer_id": "CUST001" });
            let answer = balancer.send(turn, "/orders/", &[("Idempotency-Key", &key)], &order).await;
            assert_eq!((answer.status.as_u16(), &answer.body["status"]), (200, &json!("confirmed")), "{answer:?}");
            acknowledged.wired.insert(answer.order_id());
            placed.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        // Some wait for the decision, and so are in the middle of it when their front ends.
        let wait = if turn % 3 == 0 { "wait=2" } else { "respond-async" };
        let answer = balancer.send(turn, "/v1/orders", &[("Idempotency-Key", &key), ("Prefer", wait)], &order).await;
        assert!(answer.status == 200 || answer.status == 202, "{answer:?}");
        acknowledged.referred.insert(reference, answer.order_id());
        placed.fetch_add(1, Ordering::Relaxed);
    }
    acknowledged
}

/// Waits until so many more orders were placed.
async fn after_more(placed: &AtomicUsize, more: usize) {
    let wanted = placed.load(Ordering::Relaxed) + more;
    let deadline = Instant::now() + Duration::from_secs(60);
    while placed.load(Ordering::Relaxed) < wanted {
        assert!(Instant::now() < deadline, "the clients have stopped at {placed:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_process_is_restarted_and_no_client_sees_it() {
    let installation = Installation::new();
    let start_front = |name: &str| installation.start_with(name, &["api"], &[PATIENT]);
    let mut fronts: Vec<Server> = ["front", "front-2"].into_iter().map(start_front).collect();
    let mut others: Vec<Server> = LAYOUT[1..].iter().map(|(name, roles)| installation.start(name, roles)).collect();
    Shop::of(&fronts[0]).stock_product("P1", 1_000, 1_000_000).await;
    let shops = fronts.iter().map(Shop::of).collect();
    let balancer = Arc::new(Balancer { fronts: RwLock::new(shops), refusals: AtomicUsize::new(0) });
    let (placed, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let buy = |client| tokio::spawn(buy(client, Arc::clone(&balancer), Arc::clone(&placed), Arc::clone(&stop)));
    let clients: Vec<_> = (0..CLIENTS).map(buy).collect();

    for (index, name) in ["front", "front-2"].into_iter().enumerate() {
        after_more(&placed, BETWEEN).await;
        let old = fronts.remove(index);
        assert!(old.terminate().success());
        fronts.insert(index, start_front(name));
        balancer.fronts.write().unwrap()[index] = Shop::of(&fronts[index]);
    }
    for (index, (name, roles)) in LAYOUT[1..].iter().enumerate() {
        after_more(&placed, BETWEEN).await;
        let old = others.remove(index);
        assert!(old.terminate().success());
        others.insert(index, installation.start(name, roles));
    }
    after_more(&placed, BETWEEN).await;
    stop.store(true, Ordering::Relaxed);
    let mut all = Acknowledged::default();
    for client in clients {
        let Acknowledged { referred, wired } = client.await.unwrap();
        all.referred.extend(referred);
        all.wired.extend(wired);
    }

    let shop = Shop::of(&fronts[0]);
    for id in all.referred.values() {
        shop.wait_for(id, |order| order["status"] == "confirmed").await;
        shop.wait_for_event(id, "notification.sent").await;
    }
    let distinct: BTreeSet<&String> = all.referred.values().chain(&all.wired).collect();
    assert_eq!(distinct.len(), placed.load(Ordering::Relaxed), "two requests have one order");
    assert_eq!(shop.stock("P1").await["sold"], json!(distinct.len()), "an order was lost, or doubled");
    // Customers of the order API have no address here.
    assert_eq!(installation.mails().len(), all.referred.len());
    assert!(balancer.refusals.load(Ordering::Relaxed) > 0, "no client met a front that was gone, so this shows little");
    for server in fronts.into_iter().chain(others) {
        assert!(server.terminate().success());
    }
    installation.doctor().assert_clean();
}
