//! Calls about orders.

use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use reqwest::Method;
use serde_json::{Value, json};

use crate::bulk::Answers;
use crate::types::{Events, Order, OrderPage};
use crate::{Client, Error};

/// How an order is placed.
#[derive(Debug, Clone, Default)]
pub struct Placing {
    /// Makes it safe to send again.
    pub idempotency_key: Option<String>,
    /// How long to wait for a decision.
    pub wait: Option<Duration>,
}

/// Which orders to list; every condition given must hold.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// In one of these states.
    pub statuses: Vec<String>,
    /// Waiting for a person, or not.
    pub attention: Option<bool>,
    /// Of this customer.
    pub customer_id: Option<String>,
    /// Taken at this time or later.
    pub from: Option<String>,
    /// Taken before this time.
    pub to: Option<String>,
    /// With this order id, order reference or customer id.
    pub text: Option<String>,
    /// Where the page before said the next one begins.
    pub cursor: Option<String>,
    /// Entries at the most.
    pub limit: Option<usize>,
}

impl Listing {
    fn query(&self) -> Vec<(&'static str, String)> {
        let mut query = Vec::new();
        let mut add = |name, value: Option<String>| query.extend(value.map(|value| (name, value)));
        add("status", (!self.statuses.is_empty()).then(|| self.statuses.join(",")));
        add("attention", self.attention.map(|attention| attention.to_string()));
        add("customer_id", self.customer_id.clone());
        add("from", self.from.clone());
        add("to", self.to.clone());
        add("q", self.text.clone());
        add("cursor", self.cursor.clone());
        add("limit", self.limit.map(|limit| limit.to_string()));
        query
    }
}

impl Client {
    /// Places one order; the body is as the interface takes it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn place(&self, order: &Value, placing: &Placing) -> Result<Order, Error> {
        let mut request = self.request(Method::POST, &["v1", "orders"]).json(order);
        if let Some(key) = &placing.idempotency_key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(wait) = placing.wait {
            request = request.header("Prefer", format!("wait={}", wait.as_secs())).timeout(wait + crate::READ_TIMEOUT);
        }
        self.read(request).await
    }

    /// Places many orders, one a line in pieces of any size; they are sent while answers come in. Answers come in the order of the lines.
    ///
    /// # Errors
    /// [`Error`], when the request as a whole is not taken.
    pub async fn place_many(&self, lines: impl Stream<Item = Bytes> + Send + 'static) -> Result<Answers, Error> {
        self.send_lines(&["v1", "orders"], lines).await
    }

    /// One order.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn order(&self, id: &str) -> Result<Order, Error> {
        self.read(self.request(Method::GET, &["v1", "orders", id])).await
    }

    /// One page of orders, newest first.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn orders(&self, listing: &Listing) -> Result<OrderPage, Error> {
        self.read(self.query(Method::GET, &["v1", "orders"], &listing.query())).await
    }

    /// The events of one order, oldest first.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn events(&self, id: &str) -> Result<Events, Error> {
        self.read(self.request(Method::GET, &["v1", "orders", id, "events"])).await
    }

    /// Calls an order off.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn cancel(&self, id: &str, reason: &str) -> Result<Order, Error> {
        let body = json!({ "reason": reason });
        self.read(self.request(Method::POST, &["v1", "orders", id, "cancel"]).json(&body)).await
    }

    /// Gives money back, in minor units of the order's currency; without an amount all that is left.
    ///
    /// The key makes it safe to send again while the server keeps the key, 24 hours unless it is configured otherwise. Later it is a new
    /// refund: look at [`Self::order`] first.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn refund(&self, id: &str, amount: Option<i64>, reason: &str, key: Option<&str>) -> Result<Order, Error> {
        let mut body = json!({ "reason": reason });
        if let Some(amount) = amount {
            body["amount_minor"] = amount.into();
        }
        self.ask(id, "refund", &body, key).await
    }

    /// Takes goods back: units of products, into stock where asked.
    ///
    /// The key makes it safe to send again while the server keeps the key, 24 hours unless it is configured otherwise. Later it is a new
    /// return: look at [`Self::order`] first.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn take_back(
        &self,
        id: &str,
        units: &[(&str, i64)],
        restock: bool,
        key: Option<&str>,
    ) -> Result<Order, Error> {
        let line = |(product, quantity): &(&str, i64)| json!({ "product_id": product, "quantity": quantity });
        let body = json!({ "lines": units.iter().map(line).collect::<Vec<_>>(), "restock": restock });
        self.ask(id, "return", &body, key).await
    }

    async fn ask(&self, id: &str, action: &str, body: &Value, key: Option<&str>) -> Result<Order, Error> {
        let mut request = self.request(Method::POST, &["v1", "orders", id, action]).json(body);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        self.read(request).await
    }

    /// Tries again what an order waits for.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn retry(&self, id: &str) -> Result<Order, Error> {
        self.read(self.request(Method::POST, &["v1", "orders", id, "retry"])).await
    }

    /// Leaves what an order waits for as it is.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn resolve(&self, id: &str, note: Option<&str>) -> Result<Order, Error> {
        let body = note.map_or_else(|| json!({}), |note| json!({ "note": note }));
        self.read(self.request(Method::POST, &["v1", "orders", id, "resolve"]).json(&body)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_sends_only_what_was_asked() {
        assert!(Listing::default().query().is_empty());
        let listing = Listing {
            statuses: vec!["placed".into(), "reserved".into()],
            attention: Some(true),
            limit: Some(5),
            ..Listing::default()
        };
        let expected = [("status", "placed,reserved"), ("attention", "true"), ("limit", "5")];
        assert_eq!(listing.query(), expected.map(|(name, value)| (name, value.to_owned())));
    }
}
