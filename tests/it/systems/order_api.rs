//! S2: the order API and the order processor.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{PATIENCE, Server, Shop, doctor, ordermill, wait_for_mails};

/// A server that takes its time, nearly as long as its clients do: a busy machine may not decide an order in the usual five seconds.
fn start(folder: &Path, more: &[(&str, &str)]) -> Server {
    Server::start_with(folder, &[&[("ORDERMILL_WIRE__ORDER_API__PATIENCE", "55s")], more].concat())
}

fn seed(server: &Server) {
    let output = ordermill().args(["product", "seed", "--url", &server.url]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn request(product: &str, quantity: i64) -> Value {
    json!({ "product_id": product, "quantity": quantity, "customer_id": "CUST001" })
}

#[tokio::test]
async fn the_published_sample_is_placed_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[]);
    let shop = Shop::of(&server);
    seed(&server);
    assert_eq!(shop.get("/health").await.body["status"], "healthy");
    for path in ["/orders/", "/orders"] {
        let placed = shop.post(path, request("PROD001", 2)).await;
        assert_eq!(placed.status, 200, "{placed:?}");
        let order = &placed.body;
        assert_eq!(order["status"], "confirmed");
        assert_eq!(order["total_price"], json!(58), "whole, so an integer");
        let asked = [&order["product_id"], &order["quantity"], &order["customer_id"]];
        assert_eq!(asked, [&json!("PROD001"), &json!(2), &json!("CUST001")]);
        let mut fields: Vec<&str> = order.as_object().unwrap().keys().map(String::as_str).collect();
        fields.sort_unstable();
        assert_eq!(
            fields,
            [
                "created_at",
                "customer_id",
                "order_id",
                "processed_at",
                "product_id",
                "quantity",
                "status",
                "total_price"
            ]
        );
        let read = shop.get(&format!("/orders/{}", order["order_id"].as_str().unwrap())).await;
        assert_eq!((read.status.as_u16(), &read.body), (200, order));
    }
    let processed = shop.post("/process-order", request("PROD002", 1)).await;
    assert_eq!(processed.status, 200, "{processed:?}");
    assert_eq!((&processed.body["status"], &processed.body["total_price"]), (&json!("confirmed"), &json!(49)));
    assert!(processed.body["processed_at"].is_string());
    assert_eq!(shop.stock("PROD001").await["available"], 96);
    assert_eq!(shop.stock("PROD002").await["sold"], 1);
    let orders = shop.get("/v1/orders?customer_id=CUST001").await;
    assert_eq!(orders.body["orders"].as_array().unwrap().len(), 3);
    assert!(server.terminate().success());
    doctor(folder.path()).assert_clean();
}

#[tokio::test]
async fn seeding_again_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[]);
    let shop = Shop::of(&server);
    seed(&server);
    assert_eq!(shop.post("/orders/", request("PROD001", 1)).await.status, 200);
    seed(&server);
    assert_eq!(shop.stock("PROD001").await["available"], 99);
}

#[tokio::test]
async fn what_cannot_be_is_answered_as_written() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[]);
    let shop = Shop::of(&server);
    seed(&server);
    for (body, status, detail) in [
        (request("PROD001", 101), 400, "Insufficient inventory"),
        (request("NO-SUCH", 1), 400, "Insufficient inventory"),
    ] {
        for path in ["/orders/", "/process-order"] {
            let answer = shop.post(path, body.clone()).await;
            assert_eq!((answer.status.as_u16(), &answer.body["detail"]), (status, &json!(detail)), "{path} {body}");
        }
    }
    for body in [
        request("PROD001", 0),
        request("PROD001", -5),
        json!({ "product_id": "PROD001", "quantity": "many", "customer_id": "CUST001" }),
        json!({ "product_id": "PROD001", "quantity": 1 }),
        json!({ "product_id": "PROD001", "quantity": 1.5, "customer_id": "CUST001" }),
        json!([]),
    ] {
        for path in ["/orders/", "/process-order"] {
            let answer = shop.post(path, body.clone()).await;
            assert_eq!(answer.status, 422, "{path} {body}: {answer:?}");
            assert!(!answer.body["detail"].is_null(), "{answer:?}");
        }
    }
    for id in ["ord_00000000000000000000000000000000", "nonsense"] {
        let answer = shop.get(&format!("/orders/{id}")).await;
        assert_eq!(answer.status, 404, "{answer:?}");
        assert!(answer.body["detail"].is_string(), "{answer:?}");
    }
    assert_eq!(shop.stock("PROD001").await["available"], 100, "nothing was taken and nothing was made");
}

/// The order API's requests name no payment method, so the provider itself declines here.
#[tokio::test]
async fn a_provider_that_fails_ends_in_no_charge() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &[("ORDERMILL_SANDBOX__FAIL_BEFORE_RATE", "1.0")]);
    let shop = Shop::of(&server);
    seed(&server);
    let began = Instant::now();
    let answer = shop.post("/orders/", request("PROD001", 1)).await;
    assert_eq!(answer.status, 504, "{answer:?}");
    assert!(answer.body["detail"].is_string(), "{answer:?}");
    assert!(began.elapsed() >= Duration::from_millis(4_900), "after {:?}", began.elapsed());
    assert_eq!(shop.stock("PROD001").await["available"], 100);
}

/// A slow provider and clients without a key that try again: whatever is answered, no client keeps two charges, and whoever was
/// told 504 keeps none.
#[tokio::test]
async fn whoever_tries_again_has_never_two_kept_charges() {
    let folder = tempfile::tempdir().unwrap();
    // Each call takes two and a half seconds, so authorize and capture end about when patience does.
    let environment = [("ORDERMILL_SANDBOX__SLOW_RATE", "1.0"), ("ORDERMILL_SANDBOX__SLOW", "2450ms")];
    let server = Server::start_with(folder.path(), &environment);
    let shop = Shop::of(&server);
    seed(&server);
    let clients: Vec<_> = (0..12)
        .map(|number| {
            let shop = shop.clone();
            tokio::spawn(async move {
                let customer = format!("CUST{number:03}");
                let body = json!({ "product_id": "PROD001", "quantity": 1, "customer_id": customer });
                let mut confirmed = None;
                for _ in 0..3 {
                    tokio::time::sleep(Duration::from_millis(15 * number)).await;
                    let answer = shop.post("/orders/", body.clone()).await;
                    match answer.status.as_u16() {
                        200 => {
                            confirmed = answer.body["order_id"].as_str().map(str::to_owned);
                            break;
                        }
                        504 => assert!(answer.body["detail"].is_string(), "{answer:?}"),
                        _ => panic!("{answer:?}"),
                    }
                }
                (customer, confirmed)
            })
        })
        .collect();
    for client in clients {
        let (customer, confirmed) = client.await.unwrap();
        let page = shop.get(&format!("/v1/orders?customer_id={customer}")).await;
        for order in page.body["orders"].as_array().unwrap() {
            let id = order["order_id"].as_str().unwrap();
            if confirmed.as_deref() == Some(id) {
                assert_eq!(order["status"], "confirmed", "{order}");
            } else {
                let order = shop.wait_for(id, |order| order["status"] == "cancelled").await;
                assert_eq!(order["reason"], "sync_timeout", "{order}");
                // A capture that was under way comes back late and is refunded; an authorization is voided.
                let timeline = shop.timeline(id).await;
                if timeline.iter().any(|kind| kind == "payment.authorized") {
                    let is_undone = |timeline: &[String]| {
                        let undo = |kind: &String| kind == "payment.refunded" || kind == "payment.voided";
                        timeline.iter().any(undo)
                    };
                    // Which of the two is not known before the capture's answer.
                    let undone = async {
                        while !is_undone(&shop.timeline(id).await) {
                            tokio::time::sleep(Duration::from_millis(50)).await;
                        }
                    };
                    tokio::time::timeout(Duration::from_secs(60), undone).await.unwrap();
                }
            }
        }
    }
    assert!(server.terminate().success());
    doctor(folder.path()).assert_clean();
}

#[tokio::test]
async fn a_client_that_hangs_up_keeps_no_charge() {
    let folder = tempfile::tempdir().unwrap();
    // An order whose client stays is confirmed in the end, after two calls.
    let server = start(folder.path(), &[("ORDERMILL_SANDBOX__SLOW_RATE", "1.0"), ("ORDERMILL_SANDBOX__SLOW", "8s")]);
    let shop = Shop::of(&server);
    seed(&server);
    let hasty = shop.clone();
    let hasty = tokio::spawn(async move { hasty.post("/orders/", request("PROD001", 1)).await });
    let deadline = Instant::now() + PATIENCE;
    let id = loop {
        let page = shop.get("/v1/orders?customer_id=CUST001").await;
        if let Some(id) = page.body["orders"][0]["order_id"].as_str() {
            break id.to_owned();
        }
        assert!(Instant::now() < deadline, "it is not placed: {page:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    hasty.abort();
    assert!(hasty.await.is_err_and(|error| error.is_cancelled()), "it was answered before it could hang up");
    let order = shop.wait_for(&id, |order| order["status"] == "cancelled").await;
    assert_eq!(order["reason"], "client_gone", "{order}");
    assert_eq!(shop.stock("PROD001").await["available"], 100);
}

#[tokio::test]
async fn whatever_races_stock_is_never_below_zero() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[]);
    let shop = Shop::of(&server);
    seed(&server);
    let buyers: Vec<_> = (0..80)
        .map(|_| {
            let shop = shop.clone();
            tokio::spawn(async move { shop.post("/orders/", request("PROD002", 1)).await.status.as_u16() })
        })
        .collect();
    let mut answers = Vec::new();
    for buyer in buyers {
        answers.push(buyer.await.unwrap());
    }
    let count = |status| answers.iter().filter(|answer| **answer == status).count();
    assert_eq!((count(200), count(400)), (50, 30), "{answers:?}");
    let stock = shop.stock("PROD002").await;
    assert_eq!((&stock["available"], &stock["sold"]), (&json!(0), &json!(50)));
}

/// `/health` says nothing of the ledger: a dead one must not make the load balancer kill every task.
#[tokio::test]
async fn health_is_shallow_and_customers_are_read_in_time_order() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[]);
    let shop = Shop::of(&server);
    seed(&server);
    let health = shop.get("/health").await;
    assert_eq!((health.status.as_u16(), &health.body["status"]), (200, &json!("healthy")));
    assert!(health.body["timestamp"].is_string());
    let mut placed = Vec::new();
    for _ in 0..3 {
        let answer = shop.post("/orders/", request("PROD001", 1)).await;
        placed.push((answer.order_id(), answer.body["created_at"].as_str().unwrap().to_owned()));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let from = urlencoded(&placed[1].1);
    let page = shop.get(&format!("/v1/orders?customer_id=CUST001&from={from}")).await;
    let ids: Vec<&str> =
        page.body["orders"].as_array().unwrap().iter().map(|order| order["order_id"].as_str().unwrap()).collect();
    assert_eq!(ids, [placed[2].0.as_str(), placed[1].0.as_str()], "newest first, within the window");
    let answer = shop.send(Method::DELETE, "/orders/", &[], None).await;
    assert_eq!(answer.status, 405);
    // The order API's requests carry no address, so there is nobody to write to.
    wait_for_mails(folder.path(), 0);
}

fn urlencoded(text: &str) -> String {
    text.replace(':', "%3A").replace('+', "%2B")
}
