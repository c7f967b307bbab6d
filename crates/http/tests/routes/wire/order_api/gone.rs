//! Clients that hang up before their answer: they try again, and never keep two charges.

use std::time::Duration;

use axum::body::Body;
use http::Request;
use ordermill_core::event::EventType;
use ordermill_core::id::OrderId;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{cancelled, order, patient, request, send, shop, stock};
use crate::server::Server;
use crate::support::Shop;

/// A whole request by hand.
pub fn raw(path: &str, product: &str, headers: &str) -> String {
    let body = request(product, 1).to_string();
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )
}

/// Money kept over all orders, in minor units: taken, and not given back nor on its way back.
async fn kept(shop: &Shop) -> i64 {
    let orders = shop.get("/v1/orders?limit=500").await.json();
    let money = |order: &Value, name: &str| order["payment"][name].as_i64().unwrap();
    let kept = |order: &Value| {
        money(order, "captured_minor") - money(order, "refunded_minor") - money(order, "refunds_pending_minor")
    };
    orders["orders"].as_array().unwrap().iter().map(kept).sum()
}

/// Does for an order what the roles have left to do.
async fn finish(shop: &Shop, id: OrderId) {
    use ordermill_ports::Queries as _;
    while ordermill_core::payment::due_request(&shop.store.order(id).await.unwrap().unwrap()).is_some() {
        shop.pay(id).await;
    }
}

#[tokio::test]
async fn an_order_whose_client_hangs_up_is_called_off() {
    let shop = shop(patient()).await;
    let (waiting, id) = send(&shop, "/orders/", &[], request("PROD001", 2)).await;
    shop.pay(id).await;
    waiting.abort();
    let order = cancelled(&shop, id).await;
    assert_eq!(order["reason"], "client_gone");
    finish(&shop, id).await;
    let order = super::order(&shop, id).await;
    assert_eq!((&order["payment"]["voided_minor"], &order["payment"]["captured_minor"]), (&json!(5_800), &json!(0)));
}

/// Also when more came than the request: a line end too many, or the next request.
#[tokio::test]
async fn a_socket_that_closes_is_a_client_that_hangs_up() {
    for behind in ["", "\r\n", "GET /health HTTP/1.1\r\nhost: x\r\n\r\n"] {
        let server = Server::start(patient()).await;
        let mut client = server.connect().await;
        client.write(raw("/orders/", "chair", "") + behind).await;
        let id = placed(&server.shop).await;
        drop(client);
        tokio::time::timeout(Duration::from_secs(20), async {
            while order(&server.shop, id).await["status"] != "cancelled" {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .unwrap_or_else(|_| panic!("the order is not called off: {behind:?}"));
        assert_eq!(order(&server.shop, id).await["reason"], "client_gone");
    }
}

/// A client that sends the next request before it has its answer is still there.
#[tokio::test]
async fn a_client_with_two_requests_gets_two_answers() {
    let server = Server::start(patient()).await;
    let mut client = server.connect().await;
    client.write(raw("/orders/", "chair", "") + "GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let id = placed(&server.shop).await;
    server.shop.confirm(id).await;
    assert_eq!(client.answer().await.0, 200);
    let (status, body) = client.answer().await;
    assert!(status == 200 && body.contains("healthy"), "{body}");
    assert_eq!(order(&server.shop, id).await["status"], "confirmed");
}

/// The order was paid, and its answer was made but never written.
#[tokio::test]
async fn an_answer_that_is_not_written_is_refunded() {
    let shop = shop(patient()).await;
    let body = Body::from(request("PROD001", 1).to_string());
    let asked = Request::post("/orders/").header("content-type", "application/json").body(body).unwrap();
    let answered = tokio::spawn(shop.router.clone().oneshot(asked));
    let id = loop {
        if let Some(order) = shop.get("/v1/orders").await.json()["orders"].get(0) {
            break order["order_id"].as_str().unwrap().parse().unwrap();
        }
        tokio::task::yield_now().await;
    };
    shop.confirm(id).await;
    let response = answered.await.unwrap().unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(order(&shop, id).await["status"], "confirmed");
    drop(response);
    let order = cancelled(&shop, id).await;
    assert_eq!((&order["reason"], &order["payment"]["captured_minor"]), (&json!("client_gone"), &json!(2_900)));
    assert!(shop.timeline(id).await.contains(&EventType::PaymentRefundRequested));
    assert_eq!(kept(&shop).await, 0);
    finish(&shop, id).await;
    assert_eq!(super::order(&shop, id).await["payment"]["refunded_minor"], 2_900);
    assert_eq!(stock(&shop, "PROD001").await, 100);
}

#[tokio::test]
async fn an_answer_that_is_written_stays() {
    let shop = shop(patient()).await;
    let (waiting, id) = send(&shop, "/orders/", &[], request("PROD001", 1)).await;
    shop.confirm(id).await;
    assert_eq!(waiting.await.unwrap().status, 200);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(order(&shop, id).await["status"], "confirmed");
    assert_eq!(kept(&shop).await, 2_900);
}

/// A client without a key gives up at every point of the way, tries again, and is charged once.
#[tokio::test]
async fn a_client_without_a_key_is_charged_once_however_often_it_tries() {
    for steps in 0..=3 {
        let shop = shop(patient()).await;
        let (waiting, id) = send(&shop, "/orders/", &[], request("PROD001", 1)).await;
        if steps > 0 {
            shop.pay(id).await;
        }
        if steps > 1 {
            shop.submit(ordermill_core::input::Body::Reserve { order_id: id }).await;
        }
        if steps > 2 {
            // The confirmation and the hanging up meet: the client's task never comes to read its answer.
            waiting.abort();
            shop.pay(id).await;
        }
        waiting.abort();
        let (again, second) = send(&shop, "/orders/", &[], request("PROD001", 1)).await;
        shop.confirm(second).await;
        assert_eq!(again.await.unwrap().status, 200);
        cancelled(&shop, id).await;
        finish(&shop, id).await;
        assert_eq!(kept(&shop).await, 2_900, "given up after {steps} steps");
        assert_eq!(stock(&shop, "PROD001").await, 99, "given up after {steps} steps");
    }
}

const KEY: &[(&str, &str)] = &[("idempotency-key", "k-1")];

#[tokio::test]
async fn with_a_key_the_next_try_finds_the_order() {
    let shop = shop(patient()).await;
    let (waiting, id) = send(&shop, "/orders/", KEY, request("PROD001", 1)).await;
    waiting.abort();
    let again = {
        let shop = shop.clone();
        tokio::spawn(async move { shop.post_with("/orders/", KEY, request("PROD001", 1)).await })
    };
    shop.confirm(id).await;
    let first = again.await.unwrap();
    assert_eq!((first.status.as_u16(), first.order_id()), (200, id));
    let later = shop.post_with("/orders", KEY, request("PROD001", 1)).await;
    assert_eq!((later.status, &later.bytes), (first.status, &first.bytes));
    let other = shop.post_with("/orders/", KEY, request("PROD001", 2)).await;
    assert_eq!(other.status, 422);
    assert_eq!(other.json()["detail"][0]["loc"], json!(["header", "idempotency-key"]));
    // What comes of the order later changes no answer.
    shop.post(&format!("/v1/orders/{id}/cancel"), json!({})).await;
    let later = shop.post_with("/orders/", KEY, request("PROD001", 1)).await;
    assert_eq!((later.status, &later.bytes), (first.status, &first.bytes));
    assert_eq!(shop.order_count().await, 1);
}

#[tokio::test(start_paused = true)]
async fn with_a_key_patience_ends_also_without_a_client() {
    let shop = shop(ordermill_http::Settings::default()).await;
    let (waiting, id) = send(&shop, "/orders/", KEY, request("PROD001", 1)).await;
    waiting.abort();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(order(&shop, id).await["status"], "placed");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(order(&shop, id).await["reason"], "sync_timeout");
    assert_eq!(shop.post_with("/orders/", KEY, request("PROD001", 1)).await.status, 504);
}

#[tokio::test]
async fn an_answer_that_went_through_a_socket_stays() {
    let server = Server::start(patient()).await;
    let mut client = server.connect().await;
    client.write(raw("/orders/", "chair", "")).await;
    let id = placed(&server.shop).await;
    server.shop.confirm(id).await;
    let (status, body) = client.answer().await;
    assert_eq!(status, 200, "{body}");
    drop(client);
    // Another request on another connection comes behind whatever the first one left to do.
    let mut other = server.connect().await;
    for _ in 0..20 {
        assert_eq!(other.get("/health").await.0, 200);
    }
    assert_eq!(order(&server.shop, id).await["status"], "confirmed");
}

/// The server died while clients were waiting: the next one calls off what cannot be answered any more, and nothing else.
#[tokio::test]
async fn what_a_dead_server_left_behind_is_called_off() {
    let mut server = Server::start(patient()).await;
    let shop = server.shop.clone();
    let canonical = shop.place("chair").await;
    let (unpaid, _) = left_waiting(&shop, &[]).await;
    let (paid, _) = left_waiting(&shop, &[]).await;
    shop.pay(paid).await;
    let (keyed, _) = left_waiting(&shop, KEY).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let next = tokio::spawn(ordermill_http::serve(listener, shop.app.clone(), std::future::pending::<()>()));
    for id in [unpaid, paid] {
        assert_eq!(cancelled(&shop, id).await["reason"], "client_gone");
    }
    for id in [canonical, keyed] {
        assert_eq!(order(&shop, id).await["status"], "placed", "it can be found again");
    }
    next.abort();
    server.stop();
    server.ended().await;
}

/// Where another server still serves, what its clients wait for is left to it; what nobody waits for is called off all the same.
#[tokio::test]
async fn what_another_server_is_waited_at_for_is_left_alone() {
    let mut settings = patient();
    settings.wire.order_api_recovery_after = Duration::from_secs(3);
    let mut server = Server::start(settings).await;
    let shop = server.shop.clone();
    let (waited_for, answer) = left_waiting(&shop, &[]).await;
    let (left_behind, _) = left_waiting(&shop, &[]).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let next = tokio::spawn(ordermill_http::serve(listener, shop.app.clone(), std::future::pending::<()>()));
    shop.confirm(waited_for).await;
    let reply = answer.await.unwrap();
    assert_eq!((reply.status.as_u16(), &reply.json()["status"]), (200, &json!("confirmed")));
    assert_eq!(cancelled(&shop, left_behind).await["reason"], "client_gone");
    assert_eq!(order(&shop, waited_for).await["status"], "confirmed");
    next.abort();
    server.stop();
    server.ended().await;
}

/// A server looks for what was left behind while it takes its first orders: those are not left behind.
#[tokio::test]
async fn what_a_server_takes_as_it_begins_is_not_called_off() {
    use ordermill_core::input::{Admission, Body, Input};
    use ordermill_core::intake::OrderDraft;
    use ordermill_ports::{Ledger as _, Source};
    let shop = shop(patient()).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut server = std::pin::pin!(ordermill_http::serve(listener, shop.app.clone(), std::future::pending::<()>()));
    assert!(futures_util::poll!(server.as_mut()).is_pending(), "it has begun");
    let draft = json!({
        "customer_id": "CUST001", "lines": [crate::support::line("PROD001", 1)], "metadata": { "wire": "order_api" },
    });
    let draft: OrderDraft = serde_json::from_value(draft).unwrap();
    let request = draft.check(shop.app.random.order_id(shop.app.clock.now()), Admission::Refuse).unwrap();
    let placed = shop.store.submit_one(Source::Live, Input::new(Body::Place(Box::new(request)))).await.unwrap();
    let id = placed.order().unwrap().id;
    for _ in 0..200 {
        tokio::task::yield_now().await;
        assert!(futures_util::poll!(server.as_mut()).is_pending());
    }
    assert_eq!(order(&shop, id).await["status"], "placed");
}

/// An order whose client waits on, at a server that does nothing for it any more.
async fn left_waiting(
    shop: &Shop,
    headers: &'static [(&str, &str)],
) -> (OrderId, tokio::task::JoinHandle<crate::support::Reply>) {
    let (waiting, id) = send(shop, "/orders/", headers, request("chair", 1)).await;
    (id, waiting)
}

/// The only order there is, once it is there.
pub async fn placed(shop: &Shop) -> OrderId {
    loop {
        if let Some(order) = shop.get("/v1/orders").await.json()["orders"].get(0) {
            return order["order_id"].as_str().unwrap().parse().unwrap();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
