//! What became of many orders: counts by outcome, once all of them are decided.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use ordermill_client::{Client, Listing, Order, OrderPage};
use serde::Serialize;
use tokio::time::Instant;

use super::pump::{PATIENCE, PAUSE_FIRST, PAUSE_LONGEST, is_passing};
use crate::progress::Progress;

/// Between two looks at whether all are decided.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Orders in one page: as many as the interface gives.
const PAGE_ORDERS: usize = ordermill_core::limits::PAGE_ENTRIES_MAX;

/// Orders by what became of them.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcomes {
    /// By status.
    pub by_status: BTreeMap<String, u64>,
    /// Rejected and cancelled ones by status and reason.
    pub by_reason: BTreeMap<String, BTreeMap<String, u64>>,
    /// Those that wait for a person.
    pub attention: u64,
}

impl Outcomes {
    /// Counts one order.
    pub fn add(&mut self, order: &Order) {
        *self.by_status.entry(order.status.clone()).or_default() += 1;
        if let Some(reason) = &order.reason {
            *self.by_reason.entry(order.status.clone()).or_default().entry(reason.clone()).or_default() += 1;
        }
        if order.attention.is_some() {
            self.attention += 1;
        }
    }

    /// As rows of a table: outcome, reason, count.
    pub fn rows(&self) -> Vec<(String, String, u64)> {
        let mut rows = Vec::new();
        for (status, total) in &self.by_status {
            let reasons = self.by_reason.get(status);
            let with_reason: u64 = reasons.map_or(0, |reasons| reasons.values().sum());
            if *total > with_reason {
                rows.push((status.clone(), String::new(), total - with_reason));
            }
            for (reason, count) in reasons.into_iter().flatten() {
                rows.push((status.clone(), reason.clone(), *count));
            }
        }
        if self.attention > 0 {
            rows.push(("(of these waiting for a person)".to_owned(), String::new(), self.attention));
        }
        rows
    }
}

/// Waits until no order of these is under way, or until `patience` is over, then counts them. An order that waits for a person is
/// not waited for. When the server goes away, it is waited for.
///
/// # Errors
/// The server stays away for too long, or does not answer what it was asked.
pub async fn await_outcomes(
    client: &Client,
    ids: &[String],
    quiet: bool,
    patience: Option<Duration>,
) -> Result<Outcomes> {
    let began = Instant::now();
    let Some(from) = ids.iter().min() else {
        return Ok(Outcomes::default());
    };
    let from = taken_at(from).context("the server gave an order id that is none")?.to_string();
    let mut progress = Progress::new("orders decided", quiet);
    let wanted: HashSet<&str> = ids.iter().map(String::as_str).collect();
    loop {
        let under_way = Listing {
            statuses: ["placed", "authorized", "reserved"].map(str::to_owned).to_vec(),
            attention: Some(false),
            from: Some(from.clone()),
            limit: Some(PAGE_ORDERS),
            ..Listing::default()
        };
        // A full page may hide orders of ours behind others; a page that is not full shows all there are.
        let page = patient(client, &under_way, &progress).await?;
        let ours = page.orders.iter().filter(|order| wanted.contains(order.order_id.as_str())).count();
        let is_over = patience.is_some_and(|patience| began.elapsed() >= patience);
        if is_over || (ours == 0 && page.next.is_none()) {
            break;
        }
        if page.next.is_none() {
            let decided = ids.len() as u64 - ours as u64;
            progress.update(decided, Some(decided as f64 / ids.len() as f64));
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    let outcomes = count(client, &wanted, from, &progress).await;
    progress.finish();
    outcomes
}

/// One page, also from a server that goes away meanwhile and comes back.
async fn patient(client: &Client, listing: &Listing, progress: &Progress) -> Result<OrderPage> {
    let (began, mut pause) = (Instant::now(), PAUSE_FIRST);
    loop {
        match client.orders(listing).await {
            Ok(page) => return Ok(page),
            Err(error) if is_passing(&error) && began.elapsed() <= PATIENCE => {
                if pause > PAUSE_FIRST {
                    progress.note(&format!("{error}; trying again"));
                }
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_LONGEST);
    }
}

async fn count(client: &Client, wanted: &HashSet<&str>, from: String, progress: &Progress) -> Result<Outcomes> {
    let mut outcomes = Outcomes::default();
    let mut listing = Listing { from: Some(from), limit: Some(PAGE_ORDERS), ..Listing::default() };
    loop {
        let page = patient(client, &listing, progress).await?;
        page.orders
            .iter()
            .filter(|order| wanted.contains(order.order_id.as_str()))
            .for_each(|order| outcomes.add(order));
        if page.next.is_none() {
            return Ok(outcomes);
        }
        listing.cursor = page.next;
    }
}

/// When the order of this id was taken: the time is part of the id.
fn taken_at(id: &str) -> Option<Timestamp> {
    let id: ordermill_core::id::OrderId = id.parse().ok()?;
    let (seconds, nanoseconds) = id.uuid().get_timestamp()?.to_unix();
    Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanoseconds).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(status: &str, reason: Option<&str>, waits: bool) -> Order {
        let mut json = serde_json::json!({
            "order_id": "ord_1", "status": status, "total": { "amount_minor": 1, "currency": "USD" }, "lines": [],
            "customer_id": "c", "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        });
        if let Some(reason) = reason {
            json["reason"] = reason.into();
        }
        if waits {
            json["attention"] = serde_json::json!({ "step": "void", "reason": "r", "since": "2026-01-01T00:00:00Z" });
        }
        serde_json::from_value(json).expect("an order")
    }

    #[test]
    fn outcomes_are_counted_with_their_reasons() {
        let mut outcomes = Outcomes::default();
        outcomes.add(&order("confirmed", None, false));
        outcomes.add(&order("confirmed", None, false));
        outcomes.add(&order("rejected", Some("out_of_stock"), false));
        outcomes.add(&order("rejected", Some("payment_declined"), true));
        let rows = outcomes.rows();
        let rows: Vec<_> =
            rows.iter().map(|(status, reason, count)| (status.as_str(), reason.as_str(), *count)).collect();
        assert_eq!(
            rows[..3],
            [("confirmed", "", 2), ("rejected", "out_of_stock", 1), ("rejected", "payment_declined", 1)]
        );
        assert_eq!(rows[3].2, 1);
    }

    /// Answers what it is asked for the first time with 503, breaks the second connection without an answer, and then has one order.
    async fn stumbling() -> Client {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let page = move || async move {
            match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                0 => (
                    http::StatusCode::SERVICE_UNAVAILABLE,
                    axum::body::Body::from(r#"{"type":"/errors/closing","title":"closing"}"#),
                ),
                1 => {
                    let broken: [Result<&str, _>; 1] = [Err(std::io::Error::other("broken on purpose"))];
                    (http::StatusCode::OK, axum::body::Body::from_stream(futures_util::stream::iter(broken)))
                }
                // The first page is that of what is under way.
                2 => (http::StatusCode::OK, axum::body::Body::from(r#"{"orders":[],"next":null}"#)),
                _ => {
                    let page = serde_json::json!({ "orders": [order("confirmed", None, false)], "next": null });
                    (http::StatusCode::OK, axum::body::Body::from(page.to_string()))
                }
            }
        };
        let router = axum::Router::new().route("/v1/orders", axum::routing::get(page));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Client::new(&url).expect("an address")
    }

    #[tokio::test]
    async fn a_server_that_goes_away_is_waited_for() {
        let id = ordermill_core::id::OrderId::from_uuid(uuid::Uuid::now_v7()).to_string();
        let client = stumbling().await;
        let outcomes = await_outcomes(&client, &[id], true, None).await.expect("the server is back");
        // The order is not one of those that were asked for, as its id is another.
        assert_eq!(outcomes, Outcomes::default());
    }

    #[test]
    fn the_time_of_an_order_is_in_its_id() {
        let at: Timestamp = "2026-11-21T08:00:00.123Z".parse().expect("a time");
        let id = ordermill_core::id::OrderId::first_at(at);
        // The first id of a moment has no version bits, so the time is read from one that is complete.
        assert_eq!(taken_at(&id.to_string()), None);
        let id = ordermill_core::id::OrderId::from_uuid(uuid::Uuid::now_v7());
        let age = Timestamp::now().duration_since(taken_at(&id.to_string()).expect("it has a time"));
        assert!(age.abs() < jiff::SignedDuration::from_secs(5), "{age:?}");
        assert_eq!(taken_at("ord_1"), None);
    }
}
