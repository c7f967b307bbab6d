//! Parcels: `/order/tracking` as carriers know it, and `/v1/tracking`.

mod auth;
mod canonical;
mod documented;
mod failures;
mod limits;
mod read;
mod stream;
mod wire;
mod xml;

use serde_json::{Value, json};

use crate::support::{Reply, Shop};

/// Where S4's clients send their events.
const WIRE: &str = "/order/tracking";

fn event(order_id: &str, status: &str, event_ts: &str) -> Value {
    json!({ "orderId": order_id, "status": status, "eventTs": event_ts })
}

fn batch(events: Vec<Value>) -> Value {
    json!({ "event": events })
}

/// A time of one day: hour and minute.
fn at(hour: u32, minute: u32) -> String {
    format!("2026-03-01T{hour:02}:{minute:02}:00Z")
}

impl Shop {
    /// Sends events that are all taken in, whatever becomes of each.
    async fn track(&self, events: Vec<Value>) -> Value {
        let reply = self.post(WIRE, batch(events)).await;
        assert_eq!(reply.status, 202, "{}", reply.text());
        reply.json()
    }

    async fn track_xml(&self, body: impl Into<axum::body::Body>) -> Reply {
        self.send(http::Method::POST, WIRE, &[("content-type", "application/xml")], body).await
    }

    /// Whether anything was ever reported.
    async fn has_parcels(&self) -> bool {
        let page = self.get("/v1/tracking").await.json();
        !page["parcels"].as_array().unwrap().is_empty()
    }
}
