//! The layout of three processes that docs/operations.md describes, at work.

use std::time::{Duration, Instant};

use serde_json::json;

use super::installation::{Installation, LAYOUT};
use crate::support::{PATIENCE, Server, Shop};

/// Orders of each kind.
const EACH: usize = 15;

#[tokio::test]
async fn three_processes_are_one_shop() {
    let installation = Installation::new();
    let servers = installation.start_all();
    let [front, till, back] = &servers[..] else { panic!("{}", LAYOUT.len()) };
    let shop = Shop::of(front);
    shop.stock_product("P1", 1_000, 10_000).await;
    shop.stock_product("NONE", 1_000, 0).await;
    let mut outcomes = Vec::new();
    for _ in 0..EACH {
        for (product, method, status) in
            [("P1", "ok", "confirmed"), ("P1", "declined", "rejected"), ("NONE", "ok", "rejected")]
        {
            let answer = shop.place_and_wait(Shop::order_paid_by(product, 1, method)).await;
            assert_eq!((answer.status.as_u16(), &answer.body["status"]), (200, &json!(status)), "{answer:?}");
            outcomes.push(answer.order_id());
        }
    }
    deliver(&shop, &outcomes[0]).await;
    keep_record(&shop, &installation).await;
    for id in &outcomes {
        shop.wait_for_event(id, "order.archived").await;
    }
    wait_for_mails(&installation, outcomes.len()).await;
    watch(till, "payments").await;
    watch(back, "notifications").await;
    installation.doctor().assert_clean();
    for server in servers {
        assert!(server.terminate().success());
    }
    let diagnosis = installation.doctor();
    diagnosis.assert_clean();
    assert_eq!((&diagnosis.totals()["confirmed"], &diagnosis.totals()["delivered"]), (&json!(EACH - 1), &json!(1)));
}

/// One for each outcome, and of the delivered order: shipped, out for delivery is none, delivered. The archive does not wait for them.
async fn wait_for_mails(installation: &Installation, outcomes: usize) {
    let (expected, deadline) = (outcomes + 2, Instant::now() + PATIENCE);
    while installation.mails().len() < expected && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mails = installation.mails();
    assert_eq!(mails.len(), expected, "{mails:#?}");
}

/// A parcel's way, reported to the front and followed by the tracking role elsewhere.
async fn deliver(shop: &Shop, order: &str) {
    for (status, hour) in [("picked_up", 8), ("out_for_delivery", 9), ("delivered", 10)] {
        let seen_at = format!("2026-02-01T{hour:02}:00:00Z");
        let report = json!({ "parcel_id": order, "status": status, "seen_at": seen_at });
        let answer = shop.post("/v1/tracking", json!({ "reports": [report] })).await;
        assert_eq!(answer.body["results"][0]["verdict"], "moved", "{answer:?}");
    }
    shop.wait_for(order, |order| order["status"] == "delivered").await;
}

/// A record, taken by the front and stored by the records role elsewhere.
async fn keep_record(shop: &Shop, installation: &Installation) {
    let taken = shop.post("/v1/records", json!({ "data": { "a": 1 } })).await;
    let path = format!("/v1/records/{}", taken.body["record_id"].as_str().unwrap());
    let deadline = Instant::now() + Duration::from_secs(60);
    let key = loop {
        let record = shop.get(&path).await.body;
        if record["status"] == "stored" {
            break record["object"].as_str().or(record["key"].as_str()).map(str::to_owned);
        }
        assert!(Instant::now() < deadline, "{record:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let processed = installation.objects().join("processed");
    assert!(std::fs::read_dir(&processed).unwrap().count() > 0, "{key:?} is not below {}", processed.display());
}

/// A process without the interface says how it is, and how far behind its roles are.
async fn watch(server: &Server, role: &str) {
    let watched = Shop::of(server);
    watched.wait_until_ready().await;
    let wanted = format!("ordermill_role_lag{{role=\"{role}\"}} 0");
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let metrics = watched.get("/metrics").await.text;
        if metrics.lines().any(|line| line == wanted) {
            return;
        }
        assert!(Instant::now() < deadline, "{wanted} not in\n{metrics}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
