//! `GET /v1/orders/{id}/events`, at once and live.

use futures_util::StreamExt as _;
use ordermill_http::Settings;
use serde_json::json;

use crate::support::{Live, Shop};

#[tokio::test]
async fn events_are_cloud_events() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let id = shop.place("chair").await;
    shop.confirm(id).await;
    let reply = shop.get(&format!("/v1/orders/{id}/events")).await;
    let events = reply.json()["events"].as_array().unwrap().clone();
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["order.placed", "payment.authorized", "inventory.reserved", "payment.captured", "order.confirmed"]
    );
    let mut captured = events[3].clone();
    assert!(captured["time"].take().is_string());
    assert_eq!(
        captured,
        json!({
            "specversion": "1.0", "id": format!("{id}/4"), "source": "/ordermill", "type": "payment.captured",
            "subject": id.to_string(), "time": null, "datacontenttype": "application/json", "dataversion": 1, "sequence": 4,
            "correlationid": id.to_string(), "data": {"operation": "capture-1", "attempt": 1, "amount_minor": 1999},
        })
    );
    let later = shop.get(&format!("/v1/orders/{id}/events?after=3")).await.json();
    assert_eq!(later["events"], json!(events[3..]));
    shop.get(&format!("/v1/orders/{id}/events?after=x")).await.assert_problem(400, "invalid_query");
}

#[tokio::test]
async fn an_event_names_its_cause() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let order_id = shop.place("chair").await;
    let step = ordermill_core::process::Step::Authorize;
    let give_up = ordermill_core::input::Body::GiveUp { order_id, step, reason: "x".into() };
    let input = ordermill_core::input::Input::new(give_up).caused_by(1);
    ordermill_ports::Ledger::submit_one(&*shop.store, ordermill_ports::Source::Results, input).await.unwrap();
    let events = shop.get(&format!("/v1/orders/{order_id}/events")).await.json();
    assert_eq!(events["events"][0].get("causationid"), None);
    assert_eq!(events["events"][1]["causationid"], format!("{order_id}/1"));
}

#[tokio::test]
async fn a_live_stream_gives_what_was_and_what_comes() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let id = shop.place("chair").await;
    let mut live = Live::open(&shop, &format!("/v1/orders/{id}/events/stream"), &[]).await;
    let (number, kind, event) = live.next().await.unwrap();
    assert_eq!((number, kind.as_str()), (1, "order.placed"));
    assert_eq!(event["id"], format!("{id}/1"));
    let confirmer = {
        let shop = shop.clone();
        tokio::spawn(async move { shop.confirm(id).await })
    };
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(live.next().await.unwrap().0);
    }
    assert_eq!(seen, [2, 3, 4, 5]);
    confirmer.await.unwrap();
}

#[tokio::test]
async fn a_live_stream_goes_on_where_it_was_cut() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let id = shop.place("chair").await;
    shop.confirm(id).await;
    let address = format!("/v1/orders/{id}/events");
    let accept = ("accept", "text/html;q=0.9, text/event-stream");
    let mut live = Live::open(&shop, &address, &[accept, ("last-event-id", "3")]).await;
    assert_eq!(live.next().await.unwrap().0, 4);
    let mut live = Live::open(&shop, &format!("{address}/stream?after=4"), &[]).await;
    assert_eq!(live.next().await.unwrap().1, "order.confirmed");
    let bad = Live::open(&shop, &address, &[accept, ("last-event-id", "abc")]).await;
    assert_eq!(bad.status, 400);
    let nobody = Live::open(&shop, "/v1/orders/ord_0198f3c2a1b47c3e9d5f6a7b8c9d0e1f/events/stream", &[]).await;
    assert_eq!(nobody.status, 404);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_shows_that_it_lives() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let id = shop.place("chair").await;
    let mut live = Live::open(&shop, &format!("/v1/orders/{id}/events/stream?after=1"), &[]).await;
    let sign = live.body.next().await.unwrap().unwrap();
    assert_eq!(&*sign, b":\n\n");
}

#[tokio::test]
async fn live_streams_are_bounded() {
    let shop = Shop::with(Settings { streams_max: 2, ..Settings::default() }, 100);
    shop.stock("chair", 10).await;
    let id = shop.place("chair").await;
    let address = format!("/v1/orders/{id}/events/stream");
    let first = Live::open(&shop, &address, &[]).await;
    let second = Live::open(&shop, &address, &[]).await;
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (200, 200));
    shop.get(&address).await.assert_problem(503, "overloaded");
    drop(first);
    assert_eq!(Live::open(&shop, &address, &[]).await.status, 200);
    assert_eq!(shop.get(&format!("/v1/orders/{id}")).await.status, 200, "everything else goes on");
}
