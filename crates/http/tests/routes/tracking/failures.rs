//! What carriers see when the ledger fails, and what they get when they send again.

use std::sync::Arc;

use async_trait::async_trait;
use ordermill_http::App;
use ordermill_ports::{Ledger, Outcome, Source, Submission, SubmitError};
use parking_lot::Mutex;
use serde_json::json;

use super::{WIRE, at, batch, event};
use crate::support::{Fault, Shop};

/// Takes so many calls, and then none.
struct Failing {
    inner: Arc<dyn Ledger>,
    calls: Mutex<Vec<(Source, usize)>>,
    good: usize,
}

#[async_trait]
impl Ledger for Failing {
    async fn submit(&self, source: Source, submissions: Vec<Submission>) -> Vec<Result<Outcome, SubmitError>> {
        let calls = {
            let mut calls = self.calls.lock();
            calls.push((source, submissions.len()));
            calls.len()
        };
        if calls <= self.good {
            return self.inner.submit(source, submissions).await;
        }
        let error = SubmitError::NotCommitted { reason: "the disk at /secret/path is full".to_owned() };
        submissions.iter().map(|_| Err(error.clone())).collect()
    }

    async fn ready(&self) -> Result<(), String> {
        self.inner.ready().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

/// The same shop, whose ledger takes so many calls.
fn failing(shop: &Shop, good: usize) -> (Shop, Arc<Failing>) {
    let ledger = Arc::new(Failing { inner: Arc::clone(&shop.app.ledger), calls: Mutex::default(), good });
    let app = App { ledger: Arc::clone(&ledger) as _, ..shop.app.clone() };
    (Shop { router: ordermill_http::router(app.clone()), app, ..shop.clone() }, ledger)
}

#[tokio::test]
async fn a_batch_that_fails_midway_is_503_and_safe_to_send_again() {
    let shop = Shop::new();
    let (broken, ledger) = failing(&shop, 1);
    let events: Vec<_> = (0..2_500).map(|number| event(&format!("O-{number}"), "DELIVERED", &at(8, 0))).collect();
    let reply = broken.post(WIRE, batch(events.clone())).await;
    reply.assert_problem(503, "not_committed");
    assert_eq!(reply.header("retry-after"), "1");
    assert!(reply.text().contains("send the batch again") && !reply.text().contains("secret"), "{}", reply.text());
    assert_eq!(
        *ledger.calls.lock(),
        [(Source::Import, 1_024), (Source::Import, 1_024)],
        "no call after the one that failed"
    );
    let answers = shop.track(events).await;
    for (number, answer) in answers.as_array().unwrap().iter().enumerate() {
        let expected = if number < 1_024 {
            json!({"orderId": format!("O-{number}"), "accepted": true, "published": false, "reason": "duplicate"})
        } else {
            json!({"orderId": format!("O-{number}"), "accepted": true, "published": true})
        };
        assert_eq!(*answer, expected);
    }
}

#[tokio::test]
async fn one_report_is_live_and_more_are_a_bulk() {
    let shop = Shop::new();
    let (counted, ledger) = failing(&shop, usize::MAX);
    counted.track(vec![event("A", "DELIVERED", &at(8, 0))]).await;
    counted.track(vec![event("B", "DELIVERED", &at(8, 0)), event("C", "DELIVERED", &at(8, 0))]).await;
    let events = (0..2_048).map(|number| event(&format!("O-{number}"), "DELIVERED", &at(8, 0))).collect();
    counted.track(events).await;
    let calls = [(Source::Live, 1), (Source::Import, 2), (Source::Import, 1_024), (Source::Import, 1_024)];
    assert_eq!(*ledger.calls.lock(), calls);
}

#[tokio::test]
async fn a_ledger_that_cannot_is_503_in_both_ways() {
    let shop = Shop::new();
    let wire = batch(vec![event("A", "DELIVERED", &at(8, 0))]);
    let canonical = json!({"reports": [{"parcel_id": "A", "status": "delivered", "seen_at": at(8, 0)}]});
    for (fault, code) in
        [(Fault::NotCommitted, "not_committed"), (Fault::Overloaded, "overloaded"), (Fault::Closing, "closing")]
    {
        shop.faults.set(Some(fault));
        shop.post(WIRE, wire.clone()).await.assert_problem(503, code);
        shop.post("/v1/tracking", canonical.clone()).await.assert_problem(503, code);
    }
    shop.faults.set(Some(Fault::Panic));
    let reply = shop.post(WIRE, wire.clone()).await;
    reply.assert_problem(500, "internal");
    assert!(!reply.text().contains("42"), "{}", reply.text());
    shop.faults.set(None);
    assert_eq!(shop.post(WIRE, wire).await.json()[0]["published"], true, "nothing was kept of what failed");
}
