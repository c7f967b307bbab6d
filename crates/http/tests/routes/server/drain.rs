//! Shutdown.

use std::time::{Duration, Instant};

use ordermill_http::Settings;
use tokio::net::TcpStream;

use super::{Server, place_request};
use crate::support::Fault;

#[tokio::test]
async fn idle_connections_and_streams_end_and_waits_are_answered() {
    let mut server = Server::start(Settings::default()).await;
    let id = server.shop.place("chair").await;
    let mut idle = server.connect().await;
    assert_eq!(idle.get("/healthz").await.0, 200);
    let mut live = server.connect().await;
    live.write(format!("GET /v1/orders/{id}/events/stream HTTP/1.1\r\nhost: x\r\n\r\n")).await;
    live.read_until("event: order.placed").await;
    let mut waiting = server.connect().await;
    waiting.write(place_request("prefer: wait=60\r\n")).await;
    let mut bulk = server.connect().await;
    let head = "POST /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n";
    let order = crate::support::order("chair", 1).to_string();
    bulk.write(format!("{head}{:x}\r\n{order}\n\r\n", order.len() + 1)).await;
    bulk.read_until("\"line\":1").await;
    while server.shop.order_count().await < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.stop();
    let (status, body) = waiting.answer().await;
    assert_eq!(status, 202, "{body}");
    assert_eq!(idle.read_to_end().await, "");
    live.read_until("\r\n0\r\n\r\n").await;
    let rest = bulk.read_to_end().await;
    assert!(rest.contains("\"line\":2,\"problem\"") && rest.contains("\"code\":\"closing\""), "{rest}");
    let address = server.address;
    server.ended().await;
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_request_under_way_is_finished() {
    let mut server = Server::start(Settings::default()).await;
    let mut client = server.connect().await;
    let request = place_request("");
    let (begin, end) = request.split_at(request.len() - 10);
    client.write(begin).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.stop();
    tokio::time::sleep(Duration::from_millis(50)).await;
    client.write(end).await;
    let answer = client.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    server.ended().await;
}

#[tokio::test]
async fn what_takes_too_long_is_cut_off() {
    let settings = Settings { drain_timeout: Duration::from_millis(200), ..Settings::default() };
    let mut server = Server::start(settings).await;
    server.shop.faults.set(Some(Fault::Silent));
    let mut client = server.connect().await;
    client.write(place_request("")).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let begun = Instant::now();
    server.stop();
    assert_eq!(client.read_to_end().await, "");
    server.ended().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
