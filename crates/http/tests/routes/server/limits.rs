//! What is too large or too many.

use std::time::Duration;

use ordermill_core::limits::BODY_BYTES_MAX;
use ordermill_http::Settings;

use super::Server;

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let server = Server::start(Settings::default()).await;
    let mut client = server.connect().await;
    for _ in 0..5 {
        assert_eq!(client.place().await.0, 202);
        assert_eq!(client.get("/v1/orders").await.0, 200);
        assert_eq!(client.get("/nowhere").await.0, 404);
    }
    assert_eq!(server.shop.order_count().await, 5);
}

#[tokio::test]
async fn oversized_heads_are_431() {
    let server = Server::start(Settings::default()).await;
    let mut explained = server.connect().await;
    let (status, body) = {
        explained.write(format!("GET /v1/orders HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "x".repeat(20_000))).await;
        explained.answer().await
    };
    assert_eq!(status, 431);
    assert!(body.contains("headers_too_large"), "{body}");
    for head in [
        format!("GET /v1/orders HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "x".repeat(40_000)),
        format!("GET /v1/orders HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(200)),
    ] {
        let mut client = server.connect().await;
        client.write(head).await;
        assert!(client.read_to_end().await.starts_with("HTTP/1.1 431"));
    }
    let mut client = server.connect().await;
    client.write("nonsense\r\n\r\n").await;
    assert!(client.read_to_end().await.starts_with("HTTP/1.1 400"));
    assert_eq!(server.connect().await.place().await.0, 202);
}

#[tokio::test]
async fn oversized_bodies_are_answered_before_the_connection_ends() {
    let server = Server::start(Settings::default()).await;
    for bytes in [BODY_BYTES_MAX + 1, 4 * 1024 * 1024] {
        let mut client = server.connect().await;
        let head = "POST /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
        client.write(format!("{head}content-length: {bytes}\r\n\r\n")).await;
        client.write(vec![b' '; bytes]).await;
        let (status, body) = client.answer().await;
        assert_eq!(status, 413, "{body}");
        assert!(body.contains("body_too_large"));
    }
    // Who asks first is told at once.
    let mut client = server.connect().await;
    let head = "POST /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n";
    client.write(format!("{head}content-length: 100000000\r\n\r\n")).await;
    assert_eq!(client.answer().await.0, 413);
    // And one whose length lies between what is allowed is asked to go on.
    let mut client = server.connect().await;
    client.write(format!("{head}content-length: 2\r\n\r\n")).await;
    client.read_until("100 Continue\r\n\r\n").await;
    client.write("{}").await;
    assert_eq!(client.answer().await.0, 422);
}

#[tokio::test]
async fn a_connection_too_many_is_told_so() {
    let server = Server::start(Settings { connections_max: 2, ..Settings::default() }).await;
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    assert_eq!((first.get("/healthz").await.0, second.get("/healthz").await.0), (200, 200));
    let mut third = server.connect().await;
    third.write("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let refusal = third.read_to_end().await;
    assert!(refusal.starts_with("HTTP/1.1 503"), "{refusal}");
    assert!(
        refusal.to_lowercase().contains("retry-after: 1\r\n") && refusal.contains("\"code\":\"overloaded\""),
        "{refusal}"
    );
    drop(first);
    for attempt in 0.. {
        let mut again = server.connect().await;
        again.write("GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        if again.read_to_end().await.starts_with("HTTP/1.1 200") {
            break;
        }
        assert!(attempt < 100, "the room is not given back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(second.place().await.0, 202);
}
