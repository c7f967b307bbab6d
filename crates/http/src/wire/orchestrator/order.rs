//! The orchestrator's order: its fields, and what they are in core's words.

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use ordermill_core::Timestamp;
use ordermill_core::id::{OrderId, PaymentMethod, ProductId};
use ordermill_core::input::{Admission, PlaceOrder};
use ordermill_core::intake::{LineDraft, MoneyDraft, OrderDraft, Violation};
use ordermill_core::money::Currency;
use ordermill_ports::queries::QueryError;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::price::{self, Minor};
use crate::state::Shared;

/// An order as the orchestrator's clients send it. Other fields are kept with the order's metadata.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "the schema of what is read field by field, as numbers are read exactly")]
pub(crate) struct OrchestratorOrder {
    /// Names the order for ever: the same order again gives the same answer, another order under it is refused.
    transaction_id: TextOrNumber,
    /// Who ordered.
    customer_id: TextOrNumber,
    /// Where mails go.
    #[schema(format = "email")]
    customer_email: String,
    /// The product.
    product_id: TextOrNumber,
    /// Units.
    #[schema(minimum = 1, maximum = 1_000_000)]
    quantity: i64,
    /// Of one unit, in major units of the configured currency. If it is not the catalogue's, the order is rejected with a mail.
    #[schema(minimum = 0, example = 19.99)]
    price: f64,
    /// When the customer ordered; without a zone it is UTC.
    #[schema(example = "2024-05-01T12:00:00")]
    transaction_time: String,
    /// A text or an object.
    shipping_address: TextOrObject,
    /// A payment method of the provider; with the sandbox any text, or none, is `ok`.
    payment_method: Option<String>,
}

/// A text, or a number that stands for its own text.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "part of a schema")]
pub(crate) enum TextOrNumber {
    /// As it is.
    Text(String),
    /// As it is written.
    Number(f64),
}

/// A text, or an object.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "part of a schema")]
pub(crate) enum TextOrObject {
    /// As one line.
    Text(String),
    /// In its parts.
    Object(BTreeMap<String, Value>),
}

/// Why there is no order to submit.
#[derive(Debug)]
pub(super) enum Unread {
    /// It has not the shape of one.
    Invalid(Vec<Violation>),
    /// The catalogue could not be asked.
    Failed(QueryError),
}

impl From<QueryError> for Unread {
    fn from(error: QueryError) -> Self {
        Self::Failed(error)
    }
}

/// The order of a payload.
///
/// # Errors
/// [`Unread`]
pub(super) async fn read(state: &Shared, payload: &[u8], order_id: OrderId) -> Result<PlaceOrder, Unread> {
    let settings = &state.app.settings.wire;
    let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(payload)
        .map_err(|error| Unread::Invalid(vec![Violation::new("(body)", error.to_string())]))?;
    let mut reader = Reader { fields, violations: Vec::new(), kept: Map::new() };
    let draft = reader.draft(settings.orchestrator_currency, settings.free_text_payment_is_ok);
    let (mut draft, price) = match draft {
        Some(draft) if reader.violations.is_empty() => draft,
        _ => return Err(Unread::Invalid(reader.violations)),
    };
    if let Minor::Above(below) = price {
        let wrong = wrong_price(state, &draft.lines[0].product_id, below, settings.orchestrator_currency).await?;
        draft.lines[0].unit_price = Some(wrong);
    }
    draft.check(order_id, Admission::Reject).map_err(Unread::Invalid)
}

/// A price between two minor units is nobody's, so it counts as whichever of the two is not the catalogue's.
async fn wrong_price(state: &Shared, product: &str, below: i64, currency: Currency) -> Result<MoneyDraft, QueryError> {
    let product = match ProductId::new(product) {
        Ok(id) => state.app.queries.product(&id).await?,
        // Core says what is wrong with it.
        Err(_) => None,
    };
    let is_the_catalogues = product.is_some_and(|product| product.price.amount_minor == below);
    let amount_minor = if is_the_catalogues { below.saturating_add(1) } else { below };
    Ok(MoneyDraft { amount_minor, currency: currency.code().to_owned() })
}

struct Reader {
    fields: BTreeMap<String, Box<RawValue>>,
    violations: Vec<Violation>,
    /// What has no field of ours.
    kept: Map<String, Value>,
}

impl Reader {
    /// Every field is looked at, so that all that is wrong is known at once.
    fn draft(&mut self, currency: Currency, free_text_is_ok: bool) -> Option<(OrderDraft, Minor)> {
        let order_ref = self.name("transactionId");
        let customer_id = self.name("customerId");
        let customer_email = self.required("customerEmail", "must be a text", text);
        let product_id = self.name("productId");
        let quantity = self.required("quantity", "must be a whole number", |raw| raw.get().parse().ok());
        let price = self.price(currency);
        let placed_at = self.required("transactionTime", "must be a time such as 2024-05-01T12:00:00", time);
        let shipping_address = self.required("shippingAddress", "must be a text or an object", address);
        let payment_method = self.payment_method(free_text_is_ok);
        self.keep_the_rest();
        let price = price?;
        let (Minor::Exact(amount_minor) | Minor::Above(amount_minor)) = price;
        let unit_price = Some(MoneyDraft { amount_minor, currency: currency.code().to_owned() });
        let draft = OrderDraft {
            customer_id: customer_id?,
            customer_email: Some(customer_email?),
            order_ref: Some(order_ref?),
            currency: None,
            payment_method,
            shipping_address: Some(shipping_address?),
            lines: vec![LineDraft { product_id: product_id?, quantity: quantity?, unit_price }],
            placed_at: Some(placed_at?.to_string()),
            metadata: (!self.kept.is_empty()).then(|| Value::Object(std::mem::take(&mut self.kept))),
        };
        Some((draft, price))
    }

    fn required<T>(&mut self, name: &str, expected: &str, read: impl FnOnce(&RawValue) -> Option<T>) -> Option<T> {
        let Some(raw) = self.fields.remove(name) else {
            self.violations.push(Violation::new(name, "is required"));
            return None;
        };
        let value = read(&raw);
        if value.is_none() {
            self.violations.push(Violation::new(name, expected));
        }
        value
    }

    /// A text, or a number by its own text.
    fn name(&mut self, name: &str) -> Option<String> {
        self.required(name, "must be a text or a number", |raw| {
            let is_number = raw.get().starts_with(|first: char| first == '-' || first.is_ascii_digit());
            if is_number { Some(raw.get().to_owned()) } else { text(raw) }
        })
    }

    fn price(&mut self, currency: Currency) -> Option<Minor> {
        let raw = self.fields.get("price").map(|raw| raw.get().to_owned());
        let price = self.required("price", "must be a number, the price of one unit", |raw| {
            price::parse(raw.get(), currency.minor_digits())
        });
        // What it was is to be seen later, as it was rejected for it.
        if let (Some(Minor::Above(_)), Some(raw)) = (price, raw) {
            self.kept.insert("price".to_owned(), raw.into());
        }
        price
    }

    /// The payment method; `None` is the provider's default, which is what the sandbox takes everything for that it cannot read.
    fn payment_method(&mut self, free_text_is_ok: bool) -> Option<String> {
        let raw = self.fields.remove("paymentMethod").filter(|raw| raw.get() != "null");
        let usable = raw.as_deref().and_then(text).filter(|text| PaymentMethod::new(text).is_ok());
        if usable.is_none() {
            if free_text_is_ok {
                self.kept.extend(raw.and_then(|raw| value(&raw)).map(|value| ("paymentMethod".to_owned(), value)));
            } else {
                self.violations.push(Violation::new("paymentMethod", "must be a payment method of the provider"));
            }
        }
        usable
    }

    fn keep_the_rest(&mut self) {
        for (name, raw) in std::mem::take(&mut self.fields) {
            match value(&raw) {
                Some(value) => {
                    self.kept.insert(name, value);
                }
                None => self.violations.push(Violation::new(name, "is nested too deeply")),
            }
        }
    }
}

fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

fn value(raw: &RawValue) -> Option<Value> {
    serde_json::from_str(raw.get()).ok()
}

fn address(raw: &RawValue) -> Option<Value> {
    value(raw).filter(|value| value.is_string() || value.is_object())
}

/// An instant, or a time without a zone, which is UTC.
fn time(raw: &RawValue) -> Option<Timestamp> {
    let text = text(raw)?;
    let instant = text.parse::<Timestamp>().ok();
    instant.or_else(|| text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_a_zone_is_utc() {
        let time = |text: &str| {
            time(&RawValue::from_string(format!("\"{text}\"")).expect("it is JSON")).map(|time| time.to_string())
        };
        assert_eq!(time("2024-05-01T12:00:00").as_deref(), Some("2024-05-01T12:00:00Z"));
        assert_eq!(time("2024-05-01 12:00:00.5").as_deref(), Some("2024-05-01T12:00:00.5Z"));
        assert_eq!(time("2024-05-01T12:00:00Z").as_deref(), Some("2024-05-01T12:00:00Z"));
        assert_eq!(time("2024-05-01T12:00:00+02:00").as_deref(), Some("2024-05-01T10:00:00Z"));
        for none in ["", "yesterday", "2024-13-01T00:00:00", "12:00"] {
            assert_eq!(time(none), None, "{none}");
        }
    }
}
