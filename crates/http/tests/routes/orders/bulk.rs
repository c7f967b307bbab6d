//! `POST /v1/orders` with one order a line.

use std::io::BufRead as _;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use http::Request;
use http_body_util::BodyExt as _;
use ordermill_core::limits::NDJSON_LINE_BYTES_MAX;
use ordermill_http::Settings;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::support::{Fault, Shop, order};

fn numbered(number: usize) -> Value {
    let mut body = order("chair", 1);
    body["order_ref"] = format!("R-{number}").into();
    body
}

fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|number| format!("{}\n", numbered(number))).collect()
}

#[tokio::test]
async fn every_line_has_its_answer_in_order() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let reply = shop.post_lines("/v1/orders", lines(0..700)).await;
    assert_eq!((reply.status.as_u16(), reply.header("content-type")), (200, "application/x-ndjson"));
    let answers = reply.lines();
    assert_eq!(answers.len(), 700);
    for (index, answer) in answers.iter().enumerate() {
        assert_eq!((&answer["line"], &answer["status"]), (&(index + 1).into(), &"placed".into()), "{answer}");
    }
    let id = answers[699]["order_id"].as_str().unwrap();
    assert_eq!(shop.get(&format!("/v1/orders/{id}")).await.json()["order_ref"], "R-699");

    // The same file again makes nothing new.
    let again = shop.post_lines("/v1/orders", lines(0..700)).await.lines();
    assert!(again.iter().zip(&answers).all(|(a, b)| a["order_id"] == b["order_id"] && a["replayed"] == true));
}

#[tokio::test]
async fn a_bad_line_is_refused_alone() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let long = format!("{{\"customer_id\":\"{}\"}}", "x".repeat(NDJSON_LINE_BYTES_MAX));
    let ghost = order("ghost", 1).to_string();
    let body: Vec<Vec<u8>> = vec![
        numbered(1).to_string().into_bytes(),
        br#"{"customer_id":"c","lines":[{"prod"#.to_vec(),
        b"{\"customer_id\":\"\xff\",\"lines\":[]}".to_vec(),
        b"".to_vec(),
        long.into_bytes(),
        b"{\"customer_id\":\"c\",\"lines\":[]}\r".to_vec(),
        ghost.into_bytes(),
        "[".repeat(50_000).into_bytes(),
        numbered(2).to_string().into_bytes(),
    ];
    let answers = shop.post_lines("/v1/orders", body.join(&b'\n')).await.lines();
    let seen: Vec<(u64, &str)> = answers
        .iter()
        .map(|answer| {
            (
                answer["line"].as_u64().unwrap(),
                answer["problem"]["code"].as_str().or(answer["status"].as_str()).unwrap(),
            )
        })
        .collect();
    let expected = [
        (1, "placed"),
        (2, "malformed_json"),
        (3, "malformed_json"),
        (5, "body_too_large"),
        (6, "invalid_order"),
        (7, "unknown_product"),
        (8, "too_deep"),
        (9, "placed"),
    ];
    assert_eq!(seen, expected);
    assert_eq!(answers[4]["problem"]["errors"][0]["field"], "lines");
    assert_eq!(shop.order_count().await, 2);
}

#[tokio::test]
async fn lines_are_answered_while_others_are_still_to_come() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let (send, receive) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let pieces =
        futures_util::stream::unfold(receive, |mut receive| async move { Some((receive.recv().await?, receive)) });
    let request = Request::post("/v1/orders")
        .header("content-type", "application/x-ndjson")
        .body(Body::from_stream(pieces))
        .unwrap();
    let response = shop.router.clone().oneshot(request).await.unwrap();
    let mut answers = response.into_body().into_data_stream();
    for number in 0..3 {
        send.send(Ok(lines(number..number + 1).into())).await.unwrap();
        let answer =
            tokio::time::timeout(Duration::from_secs(5), answers.next()).await.expect("it is answered at once");
        let answer: Value = serde_json::from_slice(&answer.unwrap().unwrap()).unwrap();
        assert_eq!(answer["line"], number + 1);
    }
    drop(send);
    assert!(answers.next().await.is_none());
}

#[tokio::test]
async fn nothing_more_is_read_from_a_client_that_does_not_read() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let read = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&read);
    let endless = futures_util::stream::iter(0..).map(move |number: usize| {
        counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok::<_, std::io::Error>(Bytes::from(lines(number..number + 1)))
    });
    let request = Request::post("/v1/orders")
        .header("content-type", "application/x-ndjson")
        .body(Body::from_stream(endless))
        .unwrap();
    let response = shop.router.clone().oneshot(request).await.unwrap();
    let mut body = response.into_body();
    body.frame().await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let read = read.load(std::sync::atomic::Ordering::Relaxed);
    assert!(read <= 2_000, "{read} lines were read for one answer that was taken");
}

#[tokio::test]
async fn a_client_that_does_not_read_does_not_hold_up_what_it_sent() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    shop.faults.set(Some(Fault::Slow));
    let request = Request::post("/v1/orders").header("content-type", "application/x-ndjson");
    let request = request.body(Body::from(lines(0..400))).unwrap();
    let mut body = shop.router.clone().oneshot(request).await.unwrap().into_body();
    // The server tries once to send something; from then on there is no room in the client's window.
    assert!(body.frame().now_or_never().is_none(), "the ledger has not answered yet");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while shop.order_count().await < 400 {
        assert!(tokio::time::Instant::now() < deadline, "{} orders", shop.order_count().await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The answers are kept for it, in order.
    let answers = body.collect().await.unwrap().to_bytes();
    let answers: Vec<Value> = answers.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    assert!(answers.iter().map(|answer| answer["line"].as_u64().unwrap()).eq(1..=400));
}

#[tokio::test]
async fn a_client_that_goes_away_takes_what_waits_with_it() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    shop.faults.set(Some(Fault::Slow));
    let request = Request::post("/v1/orders").header("content-type", "application/x-ndjson");
    let request = request.body(Body::from(lines(0..400))).unwrap();
    let mut body = shop.router.clone().oneshot(request).await.unwrap().into_body();
    assert!(body.frame().now_or_never().is_none(), "the ledger has not answered yet");
    drop(body);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(shop.order_count().await, 0);
}

#[tokio::test]
async fn a_panic_is_the_answer_of_its_lines() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    for fault in [Fault::Panic, Fault::SlowPanic] {
        shop.faults.set(Some(fault));
        let reply = tokio::time::timeout(Duration::from_secs(10), shop.post_lines("/v1/orders", lines(0..300)));
        let answers = reply.await.expect("it does not hang").lines();
        assert_eq!(answers.len(), 300, "{fault:?}");
        for (index, answer) in answers.iter().enumerate() {
            assert_eq!((&answer["line"], &answer["problem"]["code"]), (&json!(index + 1), &json!("internal")));
        }
    }
}

#[tokio::test]
async fn a_key_stands_for_each_line() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let headers = [("content-type", "application/x-ndjson"), ("idempotency-key", "file-7")];
    let body = format!("{}\n{}\n", order("chair", 1), order("chair", 1));
    let first = shop.send(http::Method::POST, "/v1/orders", &headers, body.clone()).await.lines();
    let again = shop.send(http::Method::POST, "/v1/orders", &headers, body).await.lines();
    assert_ne!(first[0]["order_id"], first[1]["order_id"]);
    assert_eq!(again[0]["order_id"], first[0]["order_id"]);
    assert_eq!(again[1]["replayed"], true);
    let changed = shop.send(http::Method::POST, "/v1/orders", &headers, order("chair", 2).to_string()).await.lines();
    assert_eq!(changed[0]["problem"]["code"], "idempotency_key_reused");
    assert_eq!(shop.order_count().await, 2);
}

#[tokio::test]
async fn a_full_house_slows_an_import_down() {
    let shop = Shop::with(Settings::default(), 10);
    shop.stock("chair", 100).await;
    // A worker that decides what is there, as the roles would.
    let worker = {
        let shop = shop.clone();
        tokio::spawn(async move {
            loop {
                for order in shop.get("/v1/orders?status=placed&limit=500").await.json()["orders"].as_array().unwrap() {
                    shop.confirm(order["order_id"].as_str().unwrap().parse().unwrap()).await;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
    };
    let reply =
        tokio::time::timeout(Duration::from_secs(30), shop.post_lines("/v1/orders", lines(0..60))).await.unwrap();
    worker.abort();
    let placed = reply.lines().iter().filter(|answer| answer["order_id"].is_string()).count();
    assert_eq!(placed, 60, "{}", reply.text());
}

#[tokio::test(start_paused = true)]
async fn its_patience_ends() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    shop.faults.set(Some(Fault::Overloaded));
    let answers = shop.post_lines("/v1/orders", lines(0..2)).await.lines();
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[1]["problem"]["code"], "overloaded");
    assert_eq!(answers[1]["problem"]["retry_after_s"], 2);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_answered_up_to_there() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let pieces =
        [Ok(Bytes::from(lines(0..2))), Ok(Bytes::from_static(b"{\"customer")), Err(std::io::Error::other("gone"))];
    let reply = shop.post_lines("/v1/orders", Body::from_stream(futures_util::stream::iter(pieces))).await;
    let answers = reply.lines();
    assert_eq!(answers.len(), 3, "{}", reply.text());
    assert_eq!((&answers[2]["line"], &answers[2]["problem"]["code"]), (&json!(3), &json!("body_unreadable")));
    assert_eq!(shop.order_count().await, 2);
}

#[tokio::test]
async fn there_is_room_for_so_many() {
    let shop = Shop::with(Settings { bulks_max: 1, ..Settings::default() }, 100);
    let open = |shop: &Shop| {
        let endless = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
        let request = Request::post("/v1/orders").header("content-type", "application/x-ndjson");
        shop.router.clone().oneshot(request.body(Body::from_stream(endless)).unwrap())
    };
    let first = open(&shop).await.unwrap();
    assert_eq!(first.status(), 200);
    let second = open(&shop).await.unwrap();
    assert_eq!(second.status(), 503);
    assert_eq!(second.headers()["retry-after"], "1");
    drop(first);
    assert_eq!(open(&shop).await.unwrap().status(), 200);
}
