//! Clients that take their time.

use std::time::{Duration, Instant};

use ordermill_http::Settings;

use super::{Server, place_request};

fn impatient() -> Settings {
    Settings {
        head_read_timeout: Duration::from_millis(200),
        body_read_timeout: Duration::from_millis(200),
        write_timeout: Duration::from_millis(300),
        idle_timeout: Duration::from_secs(60),
        ..Settings::default()
    }
}

#[tokio::test]
async fn a_head_that_trickles_is_cut_off() {
    let server = Server::start(impatient()).await;
    let mut client = server.connect().await;
    // The time counts from the first byte, however many follow.
    assert_eq!(client.get("/healthz").await.0, 200);
    let begun = Instant::now();
    let trickle = async {
        for byte in "GET /v1/orders HTTP/1.1\r\nhost: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".bytes().cycle() {
            if tokio::io::AsyncWriteExt::write_all(&mut client.stream, &[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), trickle).await.expect("the connection is closed");
    assert!(begun.elapsed() >= Duration::from_millis(150), "{:?}", begun.elapsed());
    let mut silent = server.connect().await;
    silent.write("GET / HT").await;
    assert!(!silent.read_to_end().await.starts_with("HTTP/1.1 2"));
}

#[tokio::test]
async fn a_connection_may_rest_between_requests() {
    let server = Server::start(impatient()).await;
    let mut client = server.connect().await;
    for _ in 0..3 {
        assert_eq!(client.place().await.0, 202);
        tokio::time::sleep(Duration::from_millis(450)).await;
    }
    let settings = Settings { idle_timeout: Duration::from_millis(200), ..Settings::default() };
    let server = Server::start(settings).await;
    let mut client = server.connect().await;
    assert_eq!(client.place().await.0, 202);
    assert_eq!(client.read_to_end().await, "");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408() {
    let server = Server::start(impatient()).await;
    let mut client = server.connect().await;
    let request = place_request("");
    client.write(&request[..request.len() - 5]).await;
    let (status, body) = client.answer().await;
    assert_eq!(status, 408);
    assert!(body.contains("request_timeout"), "{body}");
    assert_eq!(server.shop.order_count().await, 0);
}

#[tokio::test]
async fn a_bulk_line_that_does_not_end_is_given_up() {
    let server = Server::start(impatient()).await;
    let mut client = server.connect().await;
    let order = crate::support::order("chair", 1).to_string();
    let head = "POST /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n";
    let piece = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    client.write(head).await;
    client.write(piece(&format!("{order}\n"))).await;
    client.read_until("\"line\":1").await;
    // Between lines it may wait for longer than a line may take.
    tokio::time::sleep(Duration::from_millis(400)).await;
    client.write(piece(&format!("{order}\n{{\"cust"))).await;
    let rest = client.read_to_end().await;
    assert!(rest.contains("\"line\":2,\"order_id\""), "{rest}");
    assert!(rest.contains("\"line\":3,\"problem\"") && rest.contains("request_timeout"), "{rest}");
    assert_eq!(server.shop.order_count().await, 2);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off() {
    let settings = Settings { connections_max: 1, ..impatient() };
    let server = Server::start(settings).await;
    for _ in 0..300 {
        server.shop.place("chair").await;
    }
    let client = server.connect().await;
    // More answers than the buffers of both ends take, and none is read.
    let asked = async {
        let mut client = client;
        let request = "GET /v1/orders?limit=500 HTTP/1.1\r\nhost: x\r\n\r\n".repeat(500);
        let _ = tokio::io::AsyncWriteExt::write_all(&mut client.stream, request.as_bytes()).await;
        client
    };
    let kept = tokio::time::timeout(Duration::from_secs(30), asked).await.expect("writing ends");
    let mut answered = false;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut next = server.connect().await;
        next.write("GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        if next.read_to_end().await.starts_with("HTTP/1.1 200") {
            answered = true;
            break;
        }
    }
    assert!(answered, "the only connection is still held by a client that reads nothing");
    drop(kept);
}
