//! A shop over a ledger in memory, and a few words to speak to it.

mod clock;
mod ledger;
mod live;
mod secrets;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use ordermill_core::event::EventType;
use ordermill_core::id::{OrderId, ProviderRef};
use ordermill_core::input::{Body as InputBody, Input, PaymentAnswer, PaymentResult};
use ordermill_core::payment::due_request;
use ordermill_core::policy::Policy;
use ordermill_core::process::Step;
use ordermill_embedded::memory::MemoryLedger;
use ordermill_http::{App, Settings, TokenList};
use ordermill_ports::clock::SystemRandom;
use ordermill_ports::{Clock, Ledger, Queries as _, Source};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use clock::TestClock;
pub use ledger::{Fault, FaultyLedger};
pub use live::Live;
use secrets::{TestSecrets, tokens};

/// A running interface without a network.
#[derive(Clone)]
pub struct Shop {
    pub router: Router,
    pub app: App,
    pub store: Arc<MemoryLedger>,
    pub faults: Arc<FaultyLedger>,
    pub secrets: Arc<TestSecrets>,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// One value a line.
    pub fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn order_id(&self) -> OrderId {
        self.json()["order_id"].as_str().unwrap_or_else(|| panic!("no order: {}", self.text())).parse().unwrap()
    }

    /// Status and code of a problem, whose shape is checked on the way.
    #[track_caller]
    pub fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text());
        let body = self.json();
        let code = body["code"].as_str().unwrap().to_owned();
        assert_eq!(body["type"], format!("/errors/{code}"));
        assert_eq!(body["status"], self.status.as_u16());
        assert!(body["title"].is_string() && body["detail"].is_string(), "{body}");
        (self.status.as_u16(), code)
    }

    #[track_caller]
    pub fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!(self.problem(), (status, code.to_owned()), "{}", self.text());
    }

    /// The fields a problem names.
    pub fn fields(&self) -> Vec<String> {
        let errors = self.json()["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
    }
}

impl Shop {
    pub fn new() -> Self {
        Self::with(Settings::default(), 1_000)
    }

    pub fn with(settings: Settings, undecided_max: usize) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(TestClock::default());
        let store = MemoryLedger::new(Policy::default(), Arc::clone(&clock), undecided_max);
        let faults = Arc::new(FaultyLedger::new(Arc::clone(&store) as _));
        let secrets = Arc::new(TestSecrets::default());
        let app = App {
            ledger: Arc::clone(&faults) as _,
            queries: Arc::clone(&store) as _,
            bus: Arc::clone(&store) as _,
            clock,
            random: Arc::new(SystemRandom::default()),
            authenticator: Arc::new(TokenList::new(Arc::clone(&secrets) as _, tokens())),
            secrets: Arc::clone(&secrets) as _,
            metrics: Arc::new(|| "ordermill_up 1\n".to_owned()),
            settings,
        };
        Self { router: ordermill_http::router(app.clone()), app, store, faults, secrets }
    }

    pub async fn send(&self, method: Method, uri: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Reply {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        Reply { status: parts.status, headers: parts.headers, bytes }
    }

    pub async fn get(&self, uri: &str) -> Reply {
        self.send(Method::GET, uri, &[], Body::empty()).await
    }

    pub async fn post(&self, uri: &str, body: Value) -> Reply {
        self.post_with(uri, &[], body).await
    }

    pub async fn post_with(&self, uri: &str, headers: &[(&str, &str)], body: Value) -> Reply {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        self.send(Method::POST, uri, &all, body.to_string()).await
    }

    pub async fn post_bytes(&self, uri: &str, body: impl Into<Body>) -> Reply {
        self.send(Method::POST, uri, &[("content-type", "application/json")], body).await
    }

    pub async fn post_lines(&self, uri: &str, body: impl Into<Body>) -> Reply {
        self.send(Method::POST, uri, &[("content-type", "application/x-ndjson")], body).await
    }

    pub async fn put(&self, uri: &str, headers: &[(&str, &str)], body: Value) -> Reply {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        self.send(Method::PUT, uri, &all, body.to_string()).await
    }

    /// A product for 19.99 USD with this much in stock.
    pub async fn stock(&self, product: &str, available: i64) {
        let reply = self.put(&format!("/v1/products/{product}"), &[], product_body()).await;
        assert!(reply.status.is_success(), "{}", reply.text());
        let reply = self.put(&format!("/v1/stock/{product}"), &[], json!({ "available": available })).await;
        assert!(reply.status.is_success(), "{}", reply.text());
    }

    /// Places an order of one unit.
    pub async fn place(&self, product: &str) -> OrderId {
        let reply = self.post("/v1/orders", order(product, 1)).await;
        assert_eq!(reply.status, 202, "{}", reply.text());
        reply.order_id()
    }

    /// Submits what a role would.
    pub async fn submit(&self, body: InputBody) {
        let outcome = self.store.submit_one(Source::Results, Input::new(body)).await;
        outcome.unwrap();
    }

    /// Answers the payment that is due next.
    pub async fn pay(&self, order_id: OrderId) {
        let order = self.store.order(order_id).await.unwrap().unwrap();
        let due = due_request(&order).unwrap_or_else(|| panic!("nothing is due of {order:?}"));
        let answer = PaymentAnswer::Succeeded { provider_ref: ProviderRef::new("ref-1").unwrap() };
        self.submit(InputBody::PaymentResult(PaymentResult { key: due.key, answer })).await;
    }

    /// Drives an order to its confirmation, as the roles would.
    pub async fn confirm(&self, order_id: OrderId) {
        self.pay(order_id).await;
        self.submit(InputBody::Reserve { order_id }).await;
        self.pay(order_id).await;
    }

    /// Makes an order wait for a person.
    pub async fn give_up(&self, order_id: OrderId) {
        let reason = "it did not work".into();
        self.submit(InputBody::GiveUp { order_id, step: Step::Authorize, reason }).await;
    }

    /// The types of an order's events.
    pub async fn timeline(&self, order_id: OrderId) -> Vec<EventType> {
        let events = self.store.order_events(order_id, 0).await.unwrap();
        events.iter().map(|committed| committed.recorded.event.kind()).collect()
    }

    pub async fn order_count(&self) -> usize {
        self.get("/v1/orders?limit=500").await.json()["orders"].as_array().unwrap().len()
    }
}

pub fn product_body() -> Value {
    json!({ "name": "A chair", "price": { "amount_minor": 1999, "currency": "USD" } })
}

pub fn order(product: &str, quantity: i64) -> Value {
    json!({ "customer_id": "customer-1", "customer_email": "customer-1@example.com", "lines": [line(product, quantity)] })
}

pub fn line(product: &str, quantity: i64) -> Value {
    json!({ "product_id": product, "quantity": quantity })
}
