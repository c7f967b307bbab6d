//! What the order API answers with.

use http::StatusCode;
use ordermill_core::Timestamp;
use ordermill_core::money::Money;
use ordermill_core::order::{Order, Status};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// An order in the words of the order API. It has one product; prices are in major units of the configured currency.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderApiOrder)]
pub(crate) struct OrderShape<'a> {
    /// The order's id.
    #[schema(value_type = String, example = "ord_0198f3c2a1b47c3e9d5f6a7b8c9d0e1f")]
    order_id: String,
    /// The product.
    #[schema(value_type = String, example = "PROD001")]
    product_id: &'a str,
    /// Units.
    quantity: i64,
    /// Who ordered.
    #[schema(value_type = String, example = "CUST001")]
    customer_id: &'a str,
    /// `confirmed` once it is paid and in stock; another state of an order only where it is read.
    #[schema(value_type = crate::representation::OrderStatus)]
    status: &'static str,
    /// In major units: an integer when whole.
    #[schema(value_type = f64, example = 58)]
    total_price: MajorUnits,
    /// When it was decided; `null` while it is not.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    processed_at: Option<Timestamp>,
    /// When it was taken.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl<'a> OrderShape<'a> {
    /// The order as it is in `status`; `None` when this API has no shape for it: several lines, or another currency.
    pub fn new(order: &'a Order, status: Status, processed_at: Option<Timestamp>) -> Option<Self> {
        let [line] = order.placement.lines.as_slice() else { return None };
        Some(Self {
            order_id: order.id.to_string(),
            product_id: line.product_id.as_str(),
            quantity: line.quantity,
            customer_id: order.placement.customer_id.as_str(),
            status: status.as_str(),
            total_price: MajorUnits(order.placement.total),
            processed_at,
            created_at: order.created_at,
        })
    }
}

/// What the order processor answers with.
#[derive(Serialize, ToSchema)]
#[schema(as = ProcessedOrder)]
pub(crate) struct ProcessedShape {
    /// Always `confirmed`.
    #[schema(example = "confirmed")]
    status: &'static str,
    /// In major units: an integer when whole.
    #[schema(value_type = f64, example = 58)]
    total_price: MajorUnits,
    /// When it was confirmed.
    #[schema(value_type = String, format = DateTime)]
    processed_at: Timestamp,
}

impl ProcessedShape {
    /// A confirmed order.
    pub fn new(processed_at: Timestamp, total: Money) -> Self {
        Self { status: Status::Confirmed.as_str(), total_price: MajorUnits(total), processed_at }
    }
}

/// Whether the service answers at all.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderApiHealth)]
pub(crate) struct HealthShape {
    /// Always `healthy`.
    #[schema(example = "healthy")]
    pub status: &'static str,
    /// Now.
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
}

/// Why there is no such answer.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderApiError)]
pub(crate) struct DetailShape<'a> {
    /// In words.
    #[schema(value_type = String, example = "Insufficient inventory")]
    pub detail: &'a str,
}

/// What is wrong with a request.
#[derive(Serialize, ToSchema)]
#[schema(as = HTTPValidationError)]
pub(crate) struct InvalidShape {
    /// Each thing that is wrong.
    pub detail: Vec<super::request::Invalid>,
}

/// Money as a JSON number in major units, exact: `58`, `19.99`, `0.125`.
pub(crate) struct MajorUnits(pub Money);

impl MajorUnits {
    fn text(&self) -> String {
        let Money { amount_minor, currency } = self.0;
        let digits = currency.minor_digits();
        let unit = 10_u64.pow(digits);
        let sign = if amount_minor < 0 { "-" } else { "" };
        let amount = amount_minor.unsigned_abs();
        let (whole, rest) = (amount / unit, amount % unit);
        if rest == 0 {
            return format!("{sign}{whole}");
        }
        let fraction = format!("{rest:0width$}", width = digits as usize);
        format!("{sign}{whole}.{}", fraction.trim_end_matches('0'))
    }
}

impl Serialize for MajorUnits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Written as text, as a float would not be exact.
        RawValue::from_string(self.text()).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

/// Why an order was not confirmed, as its client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The payment was declined.
    Declined,
    /// Unknown product, or too few units.
    NoInventory,
    /// It was called off, as it took too long.
    TimedOut,
    /// Somebody else called it off first.
    Cancelled,
}

impl Failure {
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Declined => StatusCode::PAYMENT_REQUIRED,
            Self::NoInventory => StatusCode::BAD_REQUEST,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::Cancelled => StatusCode::CONFLICT,
        }
    }

    pub const fn detail(self) -> &'static str {
        match self {
            Self::Declined => "Payment declined",
            Self::NoInventory => "Insufficient inventory",
            Self::TimedOut => "The order took too long and was called off; nothing is charged",
            Self::Cancelled => "The order was cancelled",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_units_are_exact() {
        for (amount_minor, currency, text) in [
            (5_800, "USD", "58"),
            (1_999, "USD", "19.99"),
            (1_990, "USD", "19.9"),
            (5, "USD", "0.05"),
            (0, "USD", "0"),
            (500, "JPY", "500"),
            (1_250, "KWD", "1.25"),
            (1_001, "KWD", "1.001"),
            (-5, "USD", "-0.05"),
            (1_000_000_000_000_001, "USD", "10000000000000.01"),
        ] {
            let money = Money { amount_minor, currency: currency.parse().expect("it is a currency") };
            assert_eq!(serde_json::to_string(&MajorUnits(money)).expect("it is a number"), text);
        }
    }
}
