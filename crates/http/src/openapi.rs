//! The OpenAPI 3.1 document, made from the handlers; and the schemas of shapes that belong to core, which knows no interface.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, OpenApi, ToSchema};

use crate::error_code::{self, ErrorCode};
use crate::problem::{FieldError, ProblemDocument};
use crate::representation::{MoneySchema, OrderStatus};
use crate::router;

/// What the document says of itself.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Ordermill",
        description = "Takes orders and drives each one through payment, stock, confirmation, e-mail, delivery and archive.\n\nErrors are problem documents (RFC 9457); branch on `code`, whose page is at `type`. Every answer carries `X-Correlation-Id`. Times are instants in UTC (RFC 3339); money is in minor units with its ISO 4217 currency. Cursors are opaque.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "orders", description = "Placing orders, and what becomes of them."),
        (name = "catalogue", description = "Products and their stock."),
        (name = "customers", description = "Customers, as the shop keeps them here."),
        (name = "records", description = "Data that is handed over to be kept, one object each."),
        (name = "tracking", description = "Parcels, as carriers report them."),
        (name = "events", description = "Everything that happened."),
        (name = "channels", description = "The event path, as a page into a message broker shows it."),
        (name = "operations", description = "Keeping it running."),
        (name = "wire: tracking", description = "Order tracking: batches of tracking events, in JSON and XML."),
    ),
    components(schemas(ProblemDocument<'_>, FieldError, OrderStatus, MoneySchema)),
)]
pub(crate) struct Document;

/// The OpenAPI 3.1 document of the interface, as JSON text. The same program always gives the same text.
///
/// # Panics
/// Never: the document is plain data.
#[must_use]
pub fn openapi() -> String {
    let (_, document) = router::documented().split_for_parts();
    let mut text =
        document.to_pretty_json().expect("the document is plain data with text keys, which always serializes");
    text.push('\n');
    text
}

/// An order as a caller sends it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the schema of core's order draft; a test reads the same texts into both")]
pub(crate) struct OrderRequest {
    /// The shop's id of the customer; at most 128 characters.
    #[schema(example = "customer-900")]
    customer_id: String,
    /// Where mails go; none are sent without it.
    #[schema(format = "email")]
    customer_email: Option<String>,
    /// The shop's own number, unique for ever: the same order again gives the same answer, another order 409.
    #[schema(example = "shop-2026-000123")]
    order_ref: Option<String>,
    /// ISO 4217; the products' own if omitted.
    #[schema(example = "USD")]
    currency: Option<String>,
    /// A token of the payment provider; its default if omitted.
    payment_method: Option<String>,
    /// A text or an object, at most 8 KiB.
    #[schema(value_type = Option<serde_json::Value>)]
    shipping_address: Option<serde_json::Value>,
    /// From 1 to 500 lines.
    #[schema(min_items = 1, max_items = 500)]
    lines: Vec<OrderRequestLine>,
    /// When the customer ordered, where that was earlier (imports).
    #[schema(format = DateTime)]
    placed_at: Option<String>,
    /// An object of the shop's own, at most 8 KiB.
    #[schema(value_type = Option<Object>)]
    metadata: Option<serde_json::Value>,
}

/// A line of an order as a caller sends it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "part of a schema")]
pub(crate) struct OrderRequestLine {
    /// The product.
    product_id: String,
    /// Units.
    #[schema(minimum = 1, maximum = 1_000_000)]
    quantity: i64,
    /// The price the customer saw; refused if it is not the catalogue's.
    unit_price: Option<MoneySchema>,
}

/// One line of the answer to a bulk request of orders: what was taken, or the problem.
#[derive(Serialize, ToSchema)]
pub(crate) struct BulkLine {
    /// The number of the line, from 1, blank lines counted.
    line: u64,
    /// The order.
    order_id: Option<String>,
    /// Its state.
    status: Option<OrderStatus>,
    /// `true` when the line repeats an order that was taken before.
    replayed: Option<bool>,
    /// Why the line was refused.
    #[schema(value_type = Option<ProblemDocument<'_>>)]
    problem: Option<()>,
}

/// One line of the answer to a bulk request of products: what was taken, or the problem.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProductLine {
    /// The number of the line, from 1, blank lines counted.
    line: u64,
    /// The product.
    product_id: Option<String>,
    /// Its version now.
    version: Option<u32>,
    /// Whether anything changed.
    changed: Option<bool>,
    /// Why the line was refused.
    #[schema(value_type = Option<ProblemDocument<'_>>)]
    problem: Option<()>,
}

/// A product as a caller sends it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the schema of core's product draft; a test reads the same texts into both")]
pub(crate) struct ProductRequest {
    /// The id; in bulk requests only.
    product_id: Option<String>,
    /// Shown in mails and lists.
    name: String,
    /// Of one unit.
    price: MoneySchema,
    /// Longer text.
    description: Option<String>,
    /// Whether it can be ordered; `true` if omitted.
    active: Option<bool>,
    /// Units to open its stock with, where none was ever set; in bulk requests only.
    #[schema(minimum = 0)]
    stock: Option<i64>,
}

/// A customer as a caller sends it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the schema of core's customer draft; a test reads the same texts into both")]
pub(crate) struct CustomerRequest {
    /// The id; the same as in the path, or left out. May be called `user_id`.
    #[serde(alias = "user_id")]
    customer_id: Option<String>,
    /// At most 500 characters.
    name: String,
    /// Where mails go.
    #[schema(format = "email")]
    email: Option<String>,
    /// A text or an object, at most 8 KiB.
    #[schema(value_type = Option<serde_json::Value>)]
    address: Option<serde_json::Value>,
    /// An object of the shop's own, at most 8 KiB.
    #[schema(value_type = Option<Object>)]
    metadata: Option<serde_json::Value>,
}

/// A customer.
#[derive(Serialize, ToSchema)]
#[schema(as = Customer)]
pub(crate) struct CustomerSchema {
    /// The shop's id of them.
    customer_id: String,
    /// How they are called.
    name: String,
    /// Where mails go.
    #[schema(required = false)]
    email: Option<String>,
    /// Where parcels go.
    #[schema(value_type = Option<serde_json::Value>, required = false)]
    address: Option<serde_json::Value>,
    /// The shop's own data.
    #[schema(value_type = Option<Object>, required = false)]
    metadata: Option<serde_json::Value>,
    /// `true` when they were deleted; left out otherwise.
    #[schema(required = false)]
    deleted: bool,
    /// Counts the changes; the `ETag`.
    version: u32,
}

/// A record as a caller sends it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the schema of core's record draft; a test reads the same texts into both")]
pub(crate) struct RecordRequest {
    /// What is to be kept: an object, at most 124 KiB.
    #[schema(value_type = Object)]
    data: serde_json::Value,
    /// The time the data names as its own.
    #[schema(format = DateTime)]
    occurred_at: Option<String>,
}

/// A product.
#[derive(Serialize, ToSchema)]
#[schema(as = Product)]
pub(crate) struct ProductSchema {
    /// The shop's id of it.
    product_id: String,
    /// Shown in mails and lists.
    name: String,
    /// Of one unit.
    price: MoneySchema,
    /// Longer text.
    #[schema(required = false)]
    description: Option<String>,
    /// Whether it can be ordered.
    active: bool,
    /// `true` when it was deleted; left out otherwise.
    #[schema(required = false)]
    deleted: bool,
    /// Counts its changes; the `ETag`.
    version: u32,
}

/// The stock of one product.
#[derive(Serialize, ToSchema)]
#[schema(as = Stock)]
pub(crate) struct StockSchema {
    /// The product.
    product_id: String,
    /// Units that can be ordered.
    #[schema(minimum = 0)]
    available: i64,
    /// Units held for orders that are not paid yet.
    #[schema(minimum = 0)]
    reserved: i64,
    /// Units of orders that are paid.
    #[schema(minimum = 0)]
    sold: i64,
    /// Counts the changes; the `ETag`.
    version: u64,
}

macro_rules! problem_sets {
    ($($(#[$meta:meta])* $name:ident = [$($code:ident),* $(,)?];)*) => {
        $($(#[$meta])*
        pub(crate) struct $name;
        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                problem_responses(&[$(&error_code::$code),*])
            }
        })*
    };
}

problem_sets! {
    /// Of placing orders.
    PlaceProblems = [
        MALFORMED_JSON, TOO_DEEP, IDEMPOTENCY_KEY_INVALID, BODY_UNREADABLE, REQUEST_TIMEOUT, ORDER_REF_TAKEN, BODY_TOO_LARGE,
        UNSUPPORTED_MEDIA_TYPE, INVALID_ORDER, UNKNOWN_PRODUCT, PRICE_CHANGED, MIXED_CURRENCIES, TOTAL_TOO_LARGE,
        IDEMPOTENCY_KEY_REUSED, NOT_COMMITTED, OUTCOME_UNKNOWN, CLOSING,
    ];
    /// Of bulk requests as a whole.
    BulkProblems = [UNSUPPORTED_MEDIA_TYPE];
    /// Of what people ask of an order.
    ActionProblems = [
        MALFORMED_JSON, TOO_DEEP, IDEMPOTENCY_KEY_INVALID, BODY_UNREADABLE, REQUEST_TIMEOUT, ORDER_NOT_FOUND, NOT_CANCELLABLE,
        NO_ATTENTION, NOT_RESOLVABLE, REFUND_TOO_LARGE, TOO_MANY_REFUNDS, NOT_RETURNABLE, RETURN_TOO_LARGE, TOO_MANY_EVENTS,
        BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, INVALID_REQUEST, IDEMPOTENCY_KEY_REUSED, NOT_COMMITTED, OUTCOME_UNKNOWN, CLOSING,
    ];
    /// Of reading one order.
    OrderProblems = [INVALID_QUERY, ORDER_NOT_FOUND, UNAVAILABLE];
    /// Of live streams.
    StreamProblems = [OVERLOADED, UNAVAILABLE];
    /// Of reading lists.
    ListProblems = [INVALID_QUERY, UNAVAILABLE];
    /// Of reading one product, or its stock.
    ReadProductProblems = [INVALID_QUERY, PRODUCT_NOT_FOUND, UNAVAILABLE];
    /// Of reading one customer.
    ReadCustomerProblems = [INVALID_QUERY, CUSTOMER_NOT_FOUND, UNAVAILABLE];
    /// Of changing customers.
    CustomerProblems = [
        MALFORMED_JSON, TOO_DEEP, BODY_UNREADABLE, CUSTOMER_NOT_FOUND, REQUEST_TIMEOUT, VERSION_CONFLICT, BODY_TOO_LARGE,
        UNSUPPORTED_MEDIA_TYPE, INVALID_REQUEST, NOT_COMMITTED, OUTCOME_UNKNOWN, UNAVAILABLE, CLOSING,
    ];
    /// Of reading one record.
    ReadRecordProblems = [INVALID_QUERY, RECORD_NOT_FOUND, UNAVAILABLE];
    /// Of handing over records.
    RecordProblems = [
        MALFORMED_JSON, TOO_DEEP, IDEMPOTENCY_KEY_INVALID, BODY_UNREADABLE, REQUEST_TIMEOUT, BODY_TOO_LARGE,
        UNSUPPORTED_MEDIA_TYPE, INVALID_REQUEST, IDEMPOTENCY_KEY_REUSED, NOT_COMMITTED, OUTCOME_UNKNOWN, CLOSING,
    ];
    /// Of looking into channels.
    ChannelProblems = [INVALID_QUERY, CHANNEL_NOT_FOUND, UNAVAILABLE];
    /// Of changing products.
    CatalogueProblems = [
        MALFORMED_JSON, TOO_DEEP, BODY_UNREADABLE, PRODUCT_NOT_FOUND, REQUEST_TIMEOUT, VERSION_CONFLICT, BODY_TOO_LARGE,
        UNSUPPORTED_MEDIA_TYPE, INVALID_REQUEST, NOT_COMMITTED, OUTCOME_UNKNOWN, UNAVAILABLE, CLOSING,
    ];
    /// Of changing stock.
    StockProblems = [
        MALFORMED_JSON, TOO_DEEP, IDEMPOTENCY_KEY_INVALID, BODY_UNREADABLE, PRODUCT_NOT_FOUND, REQUEST_TIMEOUT,
        STOCK_OUT_OF_RANGE, VERSION_CONFLICT, BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, INVALID_REQUEST, IDEMPOTENCY_KEY_REUSED,
        NOT_COMMITTED, OUTCOME_UNKNOWN, UNAVAILABLE, CLOSING,
    ];
    /// Of reporting parcels.
    ReportProblems = [
        MALFORMED_JSON, TOO_DEEP, BODY_UNREADABLE, UNAUTHENTICATED, FORBIDDEN, REQUEST_TIMEOUT, BODY_TOO_LARGE, TOO_MANY_REPORTS,
        UNSUPPORTED_MEDIA_TYPE, INVALID_REQUEST, AUTH_UNAVAILABLE, NOT_COMMITTED, OUTCOME_UNKNOWN, CLOSING,
    ];
    /// Of reporting parcels in the way of the system that had them before.
    WireTrackingProblems = [
        MALFORMED_JSON, TOO_DEEP, MALFORMED_XML, INVALID_TRACKING, BODY_UNREADABLE, UNAUTHENTICATED, FORBIDDEN, REQUEST_TIMEOUT,
        BODY_TOO_LARGE, TOO_MANY_REPORTS, UNSUPPORTED_MEDIA_TYPE, AUTH_UNAVAILABLE, NOT_COMMITTED, OUTCOME_UNKNOWN, CLOSING,
    ];
    /// Of reading one parcel.
    ParcelProblems = [INVALID_QUERY, UNAUTHENTICATED, FORBIDDEN, PARCEL_NOT_FOUND, AUTH_UNAVAILABLE, UNAVAILABLE];
    /// Of listing parcels.
    ParcelListProblems = [INVALID_QUERY, UNAUTHENTICATED, FORBIDDEN, AUTH_UNAVAILABLE, UNAVAILABLE];
    /// Of reading one dead letter.
    DeadLetterProblems = [INVALID_QUERY, DEAD_LETTER_NOT_FOUND, UNAVAILABLE];
    /// Of redriving dead letters.
    RedriveProblems = [
        MALFORMED_JSON, TOO_DEEP, BODY_UNREADABLE, REQUEST_TIMEOUT, BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, INVALID_REQUEST,
        UNAVAILABLE,
    ];
    /// Of the readiness check.
    NotReadyProblems = [NOT_READY];
}

/// One response per status, which names the codes it may carry. What may happen everywhere is added.
fn problem_responses(codes: &[&'static ErrorCode]) -> BTreeMap<String, RefOr<Response>> {
    let everywhere = [&error_code::HEADERS_TOO_LARGE, &error_code::INTERNAL, &error_code::OVERLOADED];
    let mut by_status: BTreeMap<u16, Vec<&'static str>> = BTreeMap::new();
    for entry in codes.iter().copied().chain(everywhere) {
        let names = by_status.entry(entry.status.as_u16()).or_default();
        if !names.contains(&entry.code) {
            names.push(entry.code);
        }
    }
    let response = |(status, names): (u16, Vec<&'static str>)| {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let answer = ResponseBuilder::new().description(names.join(", ")).content("application/problem+json", content);
        (status.to_string(), RefOr::T(answer.build()))
    };
    by_status.into_iter().map(response).collect()
}

#[cfg(test)]
mod tests {
    use ordermill_core::intake::{CustomerDraft, OrderDraft, ProductDraft, RecordDraft};
    use serde::de::DeserializeOwned;

    use super::*;

    /// What the documented shape and core's own draft make of the same text.
    fn agree<A: DeserializeOwned, B: DeserializeOwned>(text: &str, taken: bool) {
        assert_eq!(serde_json::from_str::<A>(text).is_ok(), taken, "documented: {text}");
        assert_eq!(serde_json::from_str::<B>(text).is_ok(), taken, "core: {text}");
    }

    #[test]
    fn the_documented_requests_are_cores() {
        let price = r#"{"amount_minor":1,"currency":"USD"}"#;
        let order = format!(
            r#"{{"customer_id":"c","customer_email":"a@b","order_ref":"r","currency":"USD","payment_method":"ok",
            "shipping_address":{{}},"lines":[{{"product_id":"p","quantity":1,"unit_price":{price}}}],
            "placed_at":"2026-01-01T00:00:00Z","metadata":{{}}}}"#
        );
        agree::<OrderRequest, OrderDraft>(&order, true);
        agree::<OrderRequest, OrderDraft>(r#"{"customer_id":"c","lines":[]}"#, true);
        agree::<OrderRequest, OrderDraft>(r#"{"lines":[]}"#, false);
        agree::<OrderRequest, OrderDraft>(r#"{"customer_id":"c","lines":[{"product_id":"p"}]}"#, false);
        agree::<OrderRequest, OrderDraft>(r#"{"customer_id":"c","lines":[],"other":1}"#, false);
        let product =
            format!(r#"{{"product_id":"p","name":"n","price":{price},"description":"d","active":true,"stock":1}}"#);
        agree::<ProductRequest, ProductDraft>(&product, true);
        agree::<ProductRequest, ProductDraft>(&format!(r#"{{"name":"n","price":{price}}}"#), true);
        agree::<ProductRequest, ProductDraft>(r#"{"name":"n"}"#, false);
        agree::<ProductRequest, ProductDraft>(&format!(r#"{{"name":"n","price":{price},"colour":1}}"#), false);
        let customer = r#"{"user_id":"c","name":"n","email":"a@b","address":"x","metadata":{}}"#;
        agree::<CustomerRequest, CustomerDraft>(customer, true);
        agree::<CustomerRequest, CustomerDraft>(r#"{"customer_id":"c","name":"n"}"#, true);
        agree::<CustomerRequest, CustomerDraft>(r#"{"email":"a@b"}"#, false);
        agree::<CustomerRequest, CustomerDraft>(r#"{"name":"n","colour":1}"#, false);
        agree::<RecordRequest, RecordDraft>(r#"{"data":{},"occurred_at":"2026-01-01T00:00:00Z"}"#, true);
        agree::<RecordRequest, RecordDraft>(r#"{"occurred_at":"2026-01-01T00:00:00Z"}"#, false);
        agree::<RecordRequest, RecordDraft>(r#"{"data":{},"colour":1}"#, false);
    }

    #[test]
    fn the_document_is_the_same_each_time() {
        assert_eq!(openapi(), openapi());
    }
}
