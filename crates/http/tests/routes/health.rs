//! `/healthz`, `/readyz`, `/metrics`

use serde_json::json;

use crate::support::{Fault, Shop};

#[tokio::test]
async fn health_is_shallow_and_readiness_deep() {
    let shop = Shop::new();
    assert_eq!(shop.get("/healthz").await.json(), json!({"status": "ok"}));
    assert_eq!(shop.get("/readyz").await.json(), json!({"status": "ok"}));
    shop.faults.set(Some(Fault::NotCommitted));
    assert_eq!(shop.get("/healthz").await.status, 200);
    let reply = shop.get("/readyz").await;
    reply.assert_problem(503, "not_ready");
    assert!(!reply.text().contains("secret"), "{}", reply.text());
    shop.faults.set(None);
    assert_eq!(shop.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn metrics_are_given_as_they_are() {
    let shop = Shop::new();
    let reply = shop.get("/metrics").await;
    assert_eq!(reply.text(), "ordermill_up 1\n");
    assert_eq!(reply.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
}

#[tokio::test]
async fn requests_are_counted_by_the_pattern_they_match() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).expect("no other test of this binary sets one");
    let shop = Shop::new();
    shop.stock("counted-1", 1).await;
    shop.stock("counted-2", 1).await;
    shop.send(http::Method::from_bytes(b"BREW").unwrap(), "/v1/stock/counted-1", &[], "").await;
    shop.get("/invented/by/the/caller").await;
    let text = handle.render();
    for line in [
        "ordermill_http_requests_total{method=\"PUT\",route=\"/v1/stock/{id}\",status=\"200\"}",
        "ordermill_http_requests_total{method=\"other\",route=\"/v1/stock/{id}\",status=\"405\"}",
        "ordermill_http_requests_total{method=\"GET\",route=\"(none)\",status=\"404\"}",
        "ordermill_http_request_seconds_count{route=\"/v1/stock/{id}\"}",
    ] {
        assert!(text.contains(line), "no {line} in {text}");
    }
    assert!(!text.contains("counted-1") && !text.contains("invented") && !text.contains("BREW"), "{text}");
}
