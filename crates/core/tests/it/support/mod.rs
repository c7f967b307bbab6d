//! What the tests share: a ledger in a few maps, a payment provider with a mind of its own, and the two put together.

pub mod books;
pub mod kept;
pub mod mill;
pub mod model;
pub mod provider;
pub mod world;

use ordermill_core::Timestamp;
use ordermill_core::id::{CustomerId, OrderId, ParcelId, ProductId, RecordId};
use ordermill_core::input::{Admission, Body, PlaceOrder, RequestedLine};
use ordermill_core::payment::{OperationId, OperationKind};
use proptest::test_runner::Config;
use uuid::Uuid;

/// When every test begins.
pub fn start() -> Timestamp {
    "2026-01-31T12:00:00Z".parse().expect("a valid instant")
}

/// The id of the n-th order.
pub fn order_id(n: u128) -> OrderId {
    OrderId::from_uuid(Uuid::from_u128(n))
}

/// The id of the n-th record.
pub fn record_id(n: u128) -> RecordId {
    RecordId::from_uuid(Uuid::from_u128(n))
}

pub fn customer(id: &str) -> CustomerId {
    id.parse().expect("a valid customer id")
}

pub fn parcel(id: &str) -> ParcelId {
    id.parse().expect("a valid parcel id")
}

pub fn product(id: &str) -> ProductId {
    id.parse().expect("a valid product id")
}

/// An order for these units, at the catalogue's prices.
pub fn request(n: u128, lines: &[(&str, i64)]) -> PlaceOrder {
    let line = |&(id, quantity): &(&str, i64)| RequestedLine { product_id: product(id), quantity, unit_price: None };
    PlaceOrder {
        order_id: order_id(n),
        admission: Admission::Refuse,
        order_ref: None,
        customer_id: "household-900".parse().expect("a valid customer id"),
        customer_email: None,
        currency: None,
        payment_method: "ok".parse().expect("a valid payment method"),
        shipping_address: None,
        lines: lines.iter().map(line).collect(),
        placed_at: None,
        metadata: None,
        correlation_id: None,
        traceparent: None,
    }
}

pub fn place(request: PlaceOrder) -> Body {
    Body::Place(Box::new(request))
}

/// `capture-1` and the like.
pub const fn operation(kind: OperationKind, number: u16) -> OperationId {
    OperationId { kind, number }
}

/// So many cases, unless `PROPTEST_CASES` says otherwise. What fails becomes a test of its own, so no seeds are kept.
pub fn cases(cases: u32) -> Config {
    let defaults = Config { failure_persistence: None, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_some() { defaults } else { Config { cases, ..defaults } }
}
