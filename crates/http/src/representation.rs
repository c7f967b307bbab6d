//! How orders and products look on this interface.
//!
//! The types borrow from what they show and are written straight into the answer; their schemas are the documentation.

use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use ordermill_core::Timestamp;
use ordermill_core::event::{ReturnedLine, Shortage};
use ordermill_core::id::{CorrelationId, OrderId, OrderRef};
use ordermill_core::mail::Email;
use ordermill_core::money::{Currency, Money};
use ordermill_core::order::{Line, Order, Status};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

/// An order.
#[derive(Serialize, ToSchema)]
#[schema(as = Order)]
pub(crate) struct OrderView<'a> {
    /// Its id.
    #[schema(value_type = String, example = "ord_0198f3c2a1b47c3e9d5f6a7b8c9d0e1f")]
    order_id: OrderId,
    /// How far it has come.
    #[schema(value_type = OrderStatus)]
    status: Status,
    /// Why it was rejected or cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "out_of_stock")]
    reason: Option<&'a str>,
    /// The sum of its lines.
    #[schema(value_type = MoneySchema)]
    total: Money,
    /// What was ordered.
    #[schema(value_type = Vec<OrderLine>)]
    lines: LinesView<'a>,
    /// Who ordered.
    #[schema(value_type = String)]
    customer_id: &'a str,
    /// Where its mails go.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    customer_email: Option<&'a Email>,
    /// The shop's own number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    order_ref: Option<&'a OrderRef>,
    /// Where the parcel goes: a text or an object, as it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    shipping_address: Option<&'a Value>,
    /// When the customer ordered, where that was before it reached Ordermill.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    placed_at: Option<Timestamp>,
    /// When it was taken.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When its newest event happened.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// Counts its events; the `ETag` of the order.
    version: u32,
    /// Set while it waits for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    attention: Option<AttentionView<'a>>,
    /// The products that were short, when it was rejected for stock.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<ShortageSchema>, required = false)]
    short: &'a [Shortage],
    /// Its money.
    payment: PaymentView,
    /// Where its parcel is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "out_for_delivery")]
    parcel: Option<&'static str>,
    /// What came back, one line a product.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<ReturnedLineSchema>, required = false)]
    returned: &'a [ReturnedLine],
    /// Ties together what the request caused; the order's own id where the caller gave none.
    #[schema(value_type = String)]
    correlation_id: CorrelationView<'a>,
    /// The shop's own data.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<&'a Value>,
    /// What can be done with it now, and where.
    links: LinksView,
}

impl<'a> OrderView<'a> {
    /// Shows an order as it is.
    pub fn new(order: &'a Order) -> Self {
        let placement = &*order.placement;
        Self {
            order_id: order.id,
            status: order.status,
            reason: order.reject_reason.map(|reason| reason.as_str()).or(order.cancel_reason.as_deref()),
            total: placement.total,
            lines: LinesView { lines: &placement.lines, currency: placement.total.currency },
            customer_id: placement.customer_id.as_str(),
            customer_email: placement.customer_email.as_ref(),
            order_ref: placement.order_ref.as_ref(),
            shipping_address: placement.shipping_address.as_ref(),
            placed_at: placement.placed_at,
            created_at: order.created_at,
            updated_at: order.updated_at,
            version: order.version,
            attention: order.attention.as_ref().map(|attention| AttentionView {
                step: attention.step.as_str(),
                reason: &attention.reason,
                since: attention.since,
            }),
            short: &order.short,
            payment: PaymentView {
                authorized_minor: order.payment.authorized,
                captured_minor: order.payment.captured,
                voided_minor: order.payment.voided + order.payment.expired,
                refunded_minor: order.payment.refunded,
                refunds_pending_minor: order.payment.refunds_pending(),
            },
            parcel: order.parcel.map(|parcel| parcel.as_str()),
            returned: &order.returned,
            correlation_id: CorrelationView { given: placement.correlation_id.as_ref(), order_id: order.id },
            metadata: placement.metadata.as_ref(),
            links: LinksView::new(order),
        }
    }
}

/// The states of an order.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(
    not(test),
    expect(
        dead_code,
        reason = "the schema of core's status, which does not know this interface; a test holds them equal"
    )
)]
pub(crate) enum OrderStatus {
    /// Taken; the money is not held yet.
    Placed,
    /// The money is held.
    Authorized,
    /// Money and stock are held.
    Reserved,
    /// Paid and in stock.
    Confirmed,
    /// The parcel is on its way.
    Shipped,
    /// The parcel has arrived.
    Delivered,
    /// Cannot be fulfilled.
    Rejected,
    /// Called off.
    Cancelled,
    /// Everything came back.
    Returned,
}

/// An amount of one currency.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Money)]
pub(crate) struct MoneySchema {
    /// In the currency's minor unit: cents for USD, yen for JPY.
    #[schema(example = 1999, minimum = 0)]
    amount_minor: i64,
    /// ISO 4217.
    #[schema(example = "USD")]
    currency: String,
}

/// One line of an order.
#[derive(Serialize, ToSchema)]
pub(crate) struct OrderLine<'a> {
    /// The product.
    product_id: &'a str,
    /// Units.
    quantity: i64,
    /// Price of one unit when the order was taken.
    #[schema(value_type = MoneySchema)]
    unit_price: Money,
}

struct LinesView<'a> {
    lines: &'a [Line],
    currency: Currency,
}

impl Serialize for LinesView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.lines.iter().map(|line| OrderLine {
            product_id: line.product_id.as_str(),
            quantity: line.quantity,
            unit_price: Money { amount_minor: line.unit_price_minor, currency: self.currency },
        }))
    }
}

/// What an order waits for a person for.
#[derive(Serialize, ToSchema)]
#[schema(as = Attention)]
struct AttentionView<'a> {
    /// What did not work.
    #[schema(value_type = String, example = "void")]
    step: &'static str,
    /// Why.
    reason: &'a str,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
}

/// One product that is short.
#[derive(Serialize, ToSchema)]
#[schema(as = Shortage)]
pub(crate) struct ShortageSchema {
    /// The product.
    product_id: String,
    /// How many units are missing.
    missing: i64,
}

/// Units of one product that came back.
#[derive(Serialize, ToSchema)]
#[schema(as = ReturnedLine)]
pub(crate) struct ReturnedLineSchema {
    /// The product.
    product_id: String,
    /// How many units.
    quantity: i64,
}

/// The money of an order, in minor units of its currency.
#[derive(Serialize, ToSchema)]
#[schema(as = PaymentSummary)]
struct PaymentView {
    /// Ever held on the customer's account.
    authorized_minor: i64,
    /// Taken.
    captured_minor: i64,
    /// Let go of without being taken, by Ordermill or by the provider.
    voided_minor: i64,
    /// Given back.
    refunded_minor: i64,
    /// Asked to be given back, and not done yet.
    refunds_pending_minor: i64,
}

/// The caller's correlation id, or the order's own id.
pub(crate) struct CorrelationView<'a> {
    /// The caller's.
    pub given: Option<&'a CorrelationId>,
    /// The order's.
    pub order_id: OrderId,
}

impl Serialize for CorrelationView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.given {
            Some(given) => given.serialize(serializer),
            None => self.order_id.serialize(serializer),
        }
    }
}

/// Where to go from an order. A link that is missing leads to a refusal at present.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderLinks)]
struct LinksView {
    /// The order.
    #[serde(rename = "self")]
    #[schema(value_type = String)]
    order: OrderLink,
    /// Its events.
    #[schema(value_type = String)]
    events: OrderLink,
    /// Its events as they happen.
    #[schema(value_type = String)]
    stream: OrderLink,
    /// Calls it off.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    cancel: Option<OrderLink>,
    /// Gives money back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    refund: Option<OrderLink>,
    /// Takes goods back.
    #[serde(rename = "return", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    take_back: Option<OrderLink>,
    /// Tries again what waits for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    retry: Option<OrderLink>,
    /// Says that a person dealt with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    resolve: Option<OrderLink>,
}

impl LinksView {
    fn new(order: &Order) -> Self {
        let link = |rest| OrderLink { order_id: order.id, rest };
        let cancellable = order.status.is_undecided() || order.status == Status::Confirmed;
        let refundable = order.payment.kept() > order.payment.refunds_pending();
        let returnable = matches!(order.status, Status::Shipped | Status::Delivered);
        let attention = order.attention.is_some();
        Self {
            order: link(""),
            events: link("/events"),
            stream: link("/events/stream"),
            cancel: cancellable.then(|| link("/cancel")),
            refund: refundable.then(|| link("/refund")),
            take_back: returnable.then(|| link("/return")),
            retry: attention.then(|| link("/retry")),
            resolve: (attention && !order.status.is_undecided()).then(|| link("/resolve")),
        }
    }
}

/// The address of an order, or of something below it.
pub(crate) struct OrderLink {
    /// The order.
    pub order_id: OrderId,
    /// What lies below it, with its `/`.
    pub rest: &'static str,
}

impl std::fmt::Display for OrderLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "/v1/orders/{}{}", self.order_id, self.rest)
    }
}

impl Serialize for OrderLink {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, content: &impl Serialize) -> Response {
    // A single-line order takes about 800 bytes.
    let mut bytes = Vec::with_capacity(1_024);
    serde_json::to_writer(&mut bytes, content)
        .expect("answers are plain data with text keys, which always serialize into memory");
    let mut response = Response::new(bytes.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_states_are_cores() {
        let documented = [
            OrderStatus::Placed,
            OrderStatus::Authorized,
            OrderStatus::Reserved,
            OrderStatus::Confirmed,
            OrderStatus::Shipped,
            OrderStatus::Delivered,
            OrderStatus::Rejected,
            OrderStatus::Cancelled,
            OrderStatus::Returned,
        ];
        let documented = serde_json::to_value(documented).expect("it serializes");
        assert_eq!(documented, serde_json::to_value(Status::ALL).expect("it serializes"));
    }
}
