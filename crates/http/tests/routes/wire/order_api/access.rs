//! Who is let in, and who is alive.

use ordermill_http::{Settings, WireAuth, WireSettings};
use serde_json::json;

use super::{patient, request, send, shop};

#[tokio::test]
async fn health_is_shallow() {
    let shop = shop(patient()).await;
    shop.faults.set(Some(crate::support::Fault::NotCommitted));
    let reply = shop.get("/health").await;
    assert_eq!((reply.status.as_u16(), &reply.json()["status"]), (200, &json!("healthy")));
    assert!(reply.json()["timestamp"].as_str().unwrap().starts_with("2026-01-01T"));
    assert_eq!(reply.json().as_object().unwrap().len(), 2);
}

#[tokio::test]
async fn a_token_is_asked_for_where_that_is_set() {
    let wire = WireSettings { order_api_auth: WireAuth::Token, ..patient().wire };
    let shop = shop(Settings { wire, ..Settings::default() }).await;
    for (header, status) in [(None, 401), (Some("Bearer wrong"), 401), (Some("Bearer reader-secret"), 403)] {
        let headers: Vec<(&str, &str)> = header.map(|value| ("authorization", value)).into_iter().collect();
        for path in ["/orders/", "/orders", "/process-order"] {
            let reply = shop.post_with(path, &headers, request("PROD001", 1)).await;
            assert_eq!(reply.status.as_u16(), status, "{path} {header:?}");
            assert!(reply.header("www-authenticate").starts_with("Bearer"), "{header:?}");
            assert!(reply.json()["detail"].is_string());
        }
        let reply = shop.send(http::Method::GET, "/orders/ord_1", &headers, "").await;
        assert_eq!(reply.status.as_u16(), status, "reading, {header:?}");
    }
    assert_eq!(shop.order_count().await, 0);
    let writer: &[(&str, &str)] = &[("authorization", "Bearer writer-secret")];
    let (waiting, id) = send(&shop, "/orders/", writer, request("PROD001", 1)).await;
    shop.confirm(id).await;
    assert_eq!(waiting.await.unwrap().status, 200);
    let viewer = [("authorization", "Bearer viewer-secret")];
    let read = shop.send(http::Method::GET, &format!("/orders/{id}"), &viewer, "").await;
    assert_eq!(read.status, 200, "{}", read.text());
    assert_eq!(shop.get("/health").await.status, 200, "a load balancer has no token");
    shop.secrets.set_away(true);
    let reply = shop.post_with("/orders/", writer, request("PROD001", 1)).await;
    assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (503, "1"));
}
