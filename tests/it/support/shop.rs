//! A shop: a client of the server, as a shop engineer would write one.

use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::server::{PATIENCE, Server};

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
    pub text: String,
}

impl Answer {
    /// The stable code of a problem.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// The id of the order answered.
    pub fn order_id(&self) -> String {
        self.body["order_id"].as_str().unwrap_or_else(|| panic!("no order in {self:?}")).to_owned()
    }
}

/// A client.
#[derive(Clone)]
pub struct Shop {
    client: reqwest::Client,
    url: String,
}

/// One line of an order.
pub fn order_line(product: &str, quantity: i64) -> Value {
    json!({ "product_id": product, "quantity": quantity })
}

impl Shop {
    pub fn of(server: &Server) -> Self {
        let client = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
        Self { client, url: server.url.clone() }
    }

    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Answer {
        let body = body.map(|body| body.to_string().into_bytes());
        self.try_send(method, path, headers, body).await.unwrap()
    }

    /// The same with any bytes as its body, and with failures of the connection shown.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> reqwest::Result<Answer> {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(body) = body {
            if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                request = request.header("content-type", "application/json");
            }
            request = request.body(body);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { status, headers, body, text })
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, &[], Some(body)).await
    }

    /// A product with this much in stock.
    pub async fn stock_product(&self, product: &str, price_minor: i64, available: i64) {
        let body = json!({ "name": format!("Product {product}"), "price": { "amount_minor": price_minor, "currency": "USD" } });
        let answer = self.send(Method::PUT, &format!("/v1/products/{product}"), &[], Some(body)).await;
        assert!(answer.status.is_success(), "{answer:?}");
        let answer =
            self.send(Method::PUT, &format!("/v1/stock/{product}"), &[], Some(json!({ "available": available }))).await;
        assert!(answer.status.is_success(), "{answer:?}");
    }

    /// An order of one line by a customer with an address.
    pub fn order(product: &str, quantity: i64) -> Value {
        json!({
            "customer_id": "c-1",
            "customer_email": "c-1@example.com",
            "lines": [order_line(product, quantity)],
        })
    }

    /// The same paid by a magic word of the sandbox.
    pub fn order_paid_by(product: &str, quantity: i64, payment_method: &str) -> Value {
        let mut order = Self::order(product, quantity);
        order["payment_method"] = payment_method.into();
        order
    }

    /// Places an order and waits until it is decided.
    pub async fn place_and_wait(&self, order: Value) -> Answer {
        self.send(Method::POST, "/v1/orders", &[("Prefer", "wait=30")], Some(order)).await
    }

    pub async fn order_now(&self, id: &str) -> Value {
        self.get(&format!("/v1/orders/{id}")).await.body
    }

    /// Waits until the process says that it is ready.
    pub async fn wait_until_ready(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.get("/readyz").await;
            if answer.status == 200 {
                return;
            }
            assert!(Instant::now() < deadline, "{answer:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a metric of the process has a value, both as they are shown.
    pub async fn wait_for_metric(&self, name: &str, value: &str) {
        let (wanted, deadline) = (format!("{name} {value}"), Instant::now() + PATIENCE);
        loop {
            let metrics = self.get("/metrics").await.text;
            if metrics.lines().any(|line| line == wanted) {
                return;
            }
            assert!(Instant::now() < deadline, "no {wanted} in: {metrics}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The types of the order's events, oldest first.
    pub async fn timeline(&self, id: &str) -> Vec<String> {
        let answer = self.get(&format!("/v1/orders/{id}/events")).await;
        let events = answer.body["events"].as_array().unwrap_or_else(|| panic!("{answer:?}"));
        events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until the order is as wanted.
    pub async fn wait_for(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let order = self.order_now(id).await;
            if wanted(&order) {
                return order;
            }
            assert!(Instant::now() < deadline, "not what was waited for: {order:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the order's history holds an event of this type.
    pub async fn wait_for_event(&self, id: &str, kind: &str) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let timeline = self.timeline(id).await;
            if timeline.iter().any(|event| event == kind) {
                return timeline;
            }
            assert!(Instant::now() < deadline, "no {kind} in {timeline:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn stock(&self, product: &str) -> Value {
        self.get(&format!("/v1/stock/{product}")).await.body
    }
}
