//! A backend with the hands to use it: what nearly every case works with.

mod asking;
mod driving;
mod reading;
mod subjects;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::SignedDuration;
use ordermill_core::Timestamp;
use ordermill_core::id::{IdempotencyKey, OrderId, OrderRef, ProductId, ProviderRef};
use ordermill_core::idempotency::Fingerprint;
use ordermill_core::input::{Admission, Body, Input, Key, PaymentAnswer, PlaceOrder, PutProduct, RequestedLine};
use ordermill_core::money::{Currency, Money};
use ordermill_core::payment::DeclineReason;

use crate::clock::Clock;
use crate::conformance::{Backend, Harness, Settings};

pub use subjects::{customer, minute, parcel, record, report, stored, verdict};

/// How long a suite waits before it believes that nothing comes.
pub const QUIET: Duration = Duration::from_millis(200);

/// What one unit of every product costs, in minor units.
pub const PRICE_MINOR: i64 = 1_999;

/// A backend in use.
pub struct Shop {
    /// The adapter under test.
    pub backend: Backend,
    /// What it was opened with.
    pub settings: Settings,
    /// How long it waits for what has to come.
    pub patience: Duration,
    ids: Arc<AtomicU64>,
    /// The newest position that was seen.
    seen: Arc<AtomicU64>,
}

/// A product id of the suite.
#[must_use]
pub fn product(id: &str) -> ProductId {
    ProductId::new(id).expect("the suite's ids are sound")
}

/// An idempotency key of the suite, with the fingerprint of a request.
#[must_use]
pub fn key(key: &str, request: &str) -> Key {
    let key = IdempotencyKey::new(key).expect("the suite's keys are sound");
    Key { key, fingerprint: Fingerprint::of(&request) }
}

/// The provider did it.
#[must_use]
pub fn succeeded() -> PaymentAnswer {
    PaymentAnswer::Succeeded { provider_ref: ProviderRef::new("pay_1").expect("the suite's ids are sound") }
}

/// The provider refused.
#[must_use]
pub const fn refused(reason: DeclineReason) -> PaymentAnswer {
    PaymentAnswer::Refused { reason }
}

impl Shop {
    /// Opens a backend with the usual settings.
    pub async fn open(harness: &dyn Harness) -> Self {
        Self::open_with(harness, Settings::default()).await
    }

    /// Opens a backend.
    pub async fn open_with(harness: &dyn Harness, settings: Settings) -> Self {
        let backend = harness.open(&settings).await;
        Self { backend, settings, patience: harness.patience(), ids: Arc::default(), seen: Arc::default() }
    }

    /// Closes the backend and opens it again in the same place.
    pub async fn reopen(self, harness: &dyn Harness) -> Self {
        let Self { backend, settings, patience, ids, seen } = self;
        backend.ledger.close().await;
        drop(backend);
        let backend = harness.open(&settings).await;
        Self { backend, settings, patience, ids, seen }
    }

    /// The same shop for a task of its own.
    #[must_use]
    pub fn share(&self) -> Self {
        let Self { backend, settings, patience, ids, seen } = self;
        let (backend, settings) = (backend.clone(), settings.clone());
        Self { backend, settings, patience: *patience, ids: Arc::clone(ids), seen: Arc::clone(seen) }
    }

    /// The shop's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.settings.clock.now()
    }

    /// Lets time pass.
    pub fn advance(&self, by: SignedDuration) {
        self.settings.clock.advance(by);
    }

    /// A new order id; each sorts behind those before.
    #[must_use]
    pub fn order_id(&self) -> OrderId {
        let mut bytes = *OrderId::first_at(self.now()).as_bytes();
        let number = self.ids.fetch_add(1, Ordering::SeqCst) + 1;
        bytes[8..].copy_from_slice(&number.to_be_bytes());
        OrderId::from_bytes(bytes)
    }

    /// A request for these products and quantities.
    #[must_use]
    pub fn request(&self, lines: &[(&str, i64)]) -> PlaceOrder {
        let line =
            |&(id, quantity): &(&str, i64)| RequestedLine { product_id: product(id), quantity, unit_price: None };
        PlaceOrder {
            order_id: self.order_id(),
            admission: Admission::Refuse,
            order_ref: None,
            customer_id: "customer-1".parse().expect("the suite's ids are sound"),
            customer_email: None,
            currency: None,
            payment_method: "ok".parse().expect("the suite's ids are sound"),
            shipping_address: None,
            lines: lines.iter().map(line).collect(),
            placed_at: None,
            metadata: None,
            correlation_id: None,
            traceparent: None,
        }
    }

    /// The same request with the shop's own number.
    #[must_use]
    pub fn request_ref(&self, lines: &[(&str, i64)], order_ref: &str) -> PlaceOrder {
        let order_ref = OrderRef::new(order_ref).expect("the suite's ids are sound");
        PlaceOrder { order_ref: Some(order_ref), ..self.request(lines) }
    }

    /// An input to place an order of these products and quantities.
    #[must_use]
    pub fn placing(&self, lines: &[(&str, i64)]) -> Input {
        Input::new(Body::Place(Box::new(self.request(lines))))
    }

    /// A product at the suite's price.
    #[must_use]
    pub fn product(&self, id: &str, opening_stock: Option<i64>) -> PutProduct {
        PutProduct {
            product_id: product(id),
            name: format!("Product {id}").into(),
            price: Money { amount_minor: PRICE_MINOR, currency: Currency::USD },
            description: None,
            active: true,
            opening_stock,
            expected_version: None,
        }
    }
}
