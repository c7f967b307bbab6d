//! The rule of the five seconds, on both sides of it.

use std::time::Duration;

use ordermill_core::event::EventType;
use ordermill_http::{Settings, WireSettings};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::ledger::{Play, race};
use super::{cancelled, order, patient, request, send, shop, stock};
use crate::server::Server;

#[tokio::test(start_paused = true)]
async fn an_order_that_takes_too_long_is_called_off() {
    let shop = shop(Settings::default()).await;
    for path in ["/orders/", "/process-order"] {
        let begun = Instant::now();
        let (waiting, id) = send(&shop, path, &[], request("PROD001", 1)).await;
        let reply = waiting.await.unwrap();
        assert_eq!(begun.elapsed().as_secs(), 5);
        assert_eq!(reply.status, 504, "{}", reply.text());
        assert!(reply.json()["detail"].is_string());
        let order = order(&shop, id).await;
        assert_eq!((&order["status"], &order["reason"]), (&json!("cancelled"), &json!("sync_timeout")));
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_held_by_then_is_given_back() {
    let shop = shop(Settings::default()).await;
    let (waiting, id) = send(&shop, "/orders/", &[], request("PROD001", 3)).await;
    shop.pay(id).await;
    shop.submit(ordermill_core::input::Body::Reserve { order_id: id }).await;
    assert_eq!(stock(&shop, "PROD001").await, 97);
    assert_eq!(waiting.await.unwrap().status, 504);
    assert_eq!(stock(&shop, "PROD001").await, 100);
    let timeline = shop.timeline(id).await;
    assert!(timeline.contains(&EventType::PaymentVoidRequested), "{timeline:?}");
    // The capture that was under way comes back late, and its money goes back.
    let before = order(&shop, id).await;
    assert_eq!(before["payment"]["captured_minor"], 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_confirmed_in_time_is_200() {
    let shop = shop(Settings::default()).await;
    let (waiting, id) = send(&shop, "/orders/", &[], request("PROD001", 1)).await;
    sleep(Duration::from_millis(4_900)).await;
    shop.confirm(id).await;
    assert_eq!(waiting.await.unwrap().status, 200);
    assert_eq!(order(&shop, id).await["status"], "confirmed");
}

#[tokio::test(start_paused = true)]
async fn the_first_commit_wins_whatever_is_asked() {
    let shop = shop(Settings::default()).await;
    for (play, status, state) in [(Play::ConfirmFirst, 200, "confirmed"), (Play::RejectFirst, 402, "rejected")] {
        let racing = race(&shop, play);
        let (waiting, id) = send(&racing, "/orders/", &[], request("PROD001", 1)).await;
        let reply = waiting.await.unwrap();
        assert_eq!(reply.status.as_u16(), status, "{play:?}: {}", reply.text());
        let order = order(&shop, id).await;
        assert_eq!(order["status"], state, "{play:?}");
        let kept = i64::from(status == 200) * 2_900;
        assert_eq!(order["payment"]["captured_minor"], kept, "{play:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_in_attention_is_waited_for_and_called_off() {
    let shop = shop(Settings::default()).await;
    let (waiting, id) = send(&shop, "/orders/", &[], request("PROD001", 1)).await;
    shop.give_up(id).await;
    assert_eq!(waiting.await.unwrap().status, 504);
    assert_eq!(order(&shop, id).await["status"], "cancelled");
    // A person may still be faster.
    let (waiting, id) = send(&shop, "/orders/", &[], request("PROD001", 1)).await;
    shop.give_up(id).await;
    sleep(Duration::from_secs(3)).await;
    assert_eq!(shop.post(&format!("/v1/orders/{id}/retry"), json!({})).await.status, 200);
    shop.confirm(id).await;
    assert_eq!(waiting.await.unwrap().status, 200);
}

#[tokio::test(start_paused = true)]
async fn patience_is_a_setting_and_no_request_timeout() {
    let wire = WireSettings { order_api_patience: Duration::from_secs(45), ..WireSettings::default() };
    let shop = shop(Settings { wire, request_timeout: Duration::from_secs(30), ..Settings::default() }).await;
    let begun = Instant::now();
    let (waiting, _) = send(&shop, "/orders/", &[], request("PROD001", 1)).await;
    assert_eq!(waiting.await.unwrap().status, 504);
    assert_eq!(begun.elapsed().as_secs(), 45);
}

#[tokio::test(start_paused = true)]
async fn calling_off_is_tried_again() {
    let shop = shop(Settings::default()).await;
    let racing = race(&shop, Play::FailCancels(3));
    let (waiting, id) = send(&racing, "/orders/", &[], request("PROD001", 1)).await;
    assert_eq!(waiting.await.unwrap().status, 504);
    assert_eq!(order(&shop, id).await["status"], "cancelled");
    // When it cannot be done while the client waits, the client hears that nothing is known, and it is done afterwards.
    let racing = race(&shop, Play::FailCancels(20));
    let (waiting, id) = send(&racing, "/orders/", &[], request("PROD001", 1)).await;
    let reply = waiting.await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (503, "1"));
    assert!(!reply.text().contains("secret"), "{}", reply.text());
    sleep(Duration::from_secs(60)).await;
    assert_eq!(order(&shop, id).await["reason"], "client_gone");
}

#[tokio::test]
async fn a_server_that_stops_gives_the_orders_under_way_their_answer() {
    let mut server = Server::start(patient()).await;
    let mut client = server.connect().await;
    client.write(super::gone::raw("/orders/", "chair", "")).await;
    let id = super::gone::placed(&server.shop).await;
    server.stop();
    server.shop.confirm(id).await;
    let (status, body) = client.answer().await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(order(&server.shop, id).await["status"], "confirmed");
    server.ended().await;
}

#[tokio::test]
async fn a_server_that_stops_calls_off_what_nobody_will_answer() {
    let mut server = Server::start(patient()).await;
    let mut client = server.connect().await;
    client.write(super::gone::raw("/orders/", "chair", "")).await;
    let id = super::gone::placed(&server.shop).await;
    server.stop();
    let (status, body) = client.answer().await;
    assert_eq!(status, 504, "{body}");
    let order = cancelled(&server.shop, id).await;
    assert_eq!(order["reason"], "server_closing");
    server.ended().await;
}
