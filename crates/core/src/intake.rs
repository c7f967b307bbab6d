//! What comes from outside (orders and products here, customers and records in files of their own), and the checks that make them inputs: parse, don't validate.
//!
//! Every field is checked, and every violation is reported at once, each with the path of its field.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::id::{CorrelationId, OrderId, ProductId, check_text};
use crate::input::{Admission, PlaceOrder, PutProduct, RequestedLine};
use crate::limits::{
    EVENT_BYTES_MAX, FREE_JSON_BYTES_MAX, ID_CHARS_MAX, JSON_DEPTH_MAX, LONG_TEXT_CHARS_MAX, ORDER_LINES_MAX,
    QUANTITY_MAX, STOCK_UNITS_MAX, TEXT_CHARS_MAX, TRACEPARENT_BYTES_MAX,
};
use crate::mail::Email;
use crate::money::Money;

mod customer;
mod record;

pub use self::customer::CustomerDraft;
pub use self::record::{RecordDraft, fits as record_fits};

/// One thing wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Violation {
    /// Path of the field: `lines[2].quantity`.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl Violation {
    /// Names a field and what is wrong with it.
    #[must_use]
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// An order as a caller sends it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderDraft {
    /// Required.
    pub customer_id: String,
    /// Where mails go; none are sent without it.
    #[serde(default)]
    pub customer_email: Option<String>,
    /// The shop's number.
    #[serde(default)]
    pub order_ref: Option<String>,
    /// Omitted = the products' own.
    #[serde(default)]
    pub currency: Option<String>,
    /// Omitted = the provider's default.
    #[serde(default)]
    pub payment_method: Option<String>,
    /// A text or an object.
    #[serde(default)]
    pub shipping_address: Option<Value>,
    /// At least one.
    pub lines: Vec<LineDraft>,
    /// When the customer ordered, for imports.
    #[serde(default)]
    pub placed_at: Option<String>,
    /// An object of the shop's own.
    #[serde(default)]
    pub metadata: Option<Value>,
}

/// A line as a caller sends it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineDraft {
    /// Required.
    pub product_id: String,
    /// Required, at least 1.
    pub quantity: i64,
    /// The price the caller saw.
    #[serde(default)]
    pub unit_price: Option<MoneyDraft>,
}

/// Money as a caller sends it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoneyDraft {
    /// In the currency's minor unit.
    pub amount_minor: i64,
    /// ISO 4217.
    pub currency: String,
}

/// A product as a caller sends it. Its id is in the path, or in the line of a bulk request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductDraft {
    /// The id; in a bulk request only.
    #[serde(default)]
    pub product_id: Option<String>,
    /// Required.
    pub name: String,
    /// Required.
    pub price: MoneyDraft,
    /// Longer text.
    #[serde(default)]
    pub description: Option<String>,
    /// Omitted = it can be ordered.
    #[serde(default)]
    pub active: Option<bool>,
    /// Opens its stock where none was ever set; in a bulk request only.
    #[serde(default)]
    pub stock: Option<i64>,
}

/// Collects violations; a field that fails gives `None`.
#[derive(Default)]
struct Checks(Vec<Violation>);

impl Checks {
    fn report(&mut self, field: &str, message: impl ToString) {
        self.0.push(Violation::new(field, message.to_string()));
    }

    fn parse<T, E: ToString>(&mut self, field: &str, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|error| self.report(field, error.to_string())).ok()
    }

    fn optional<T, E: ToString>(
        &mut self,
        field: &str,
        text: Option<&str>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        text.and_then(|text| self.parse(field, parse(text)))
    }

    fn money(&mut self, field: &str, draft: &MoneyDraft) -> Option<Money> {
        let currency = self.parse(&format!("{field}.currency"), draft.currency.parse());
        let money = Money { amount_minor: draft.amount_minor, currency: currency? }.within_limit();
        if money.is_none() {
            self.report(&format!("{field}.amount_minor"), "must not be negative, nor more than 10^15");
        }
        money
    }

    fn json(&mut self, field: &str, value: Option<&Value>, bytes_max: usize, depth_max: usize) {
        let bytes = value.map_or(0, |value| value.to_string().len());
        if bytes > bytes_max {
            self.report(field, format!("must have at most {bytes_max} bytes of JSON, has {bytes}"));
        }
        if value.is_some_and(|value| is_deeper(value, depth_max)) {
            self.report(field, format!("must be nested at most {depth_max} deep"));
        }
    }

    /// Where parcels go, in the shop's own form.
    fn address(&mut self, field: &str, value: Option<&Value>) {
        if !matches!(value, None | Some(Value::String(_) | Value::Object(_))) {
            self.report(field, "must be a text or an object");
        }
        self.json(field, value, FREE_JSON_BYTES_MAX, JSON_DEPTH_MAX);
    }

    /// Data of the shop's own.
    fn object(&mut self, field: &str, value: Option<&Value>) {
        if !matches!(value, None | Some(Value::Object(_))) {
            self.report(field, "must be an object");
        }
        self.json(field, value, FREE_JSON_BYTES_MAX, JSON_DEPTH_MAX);
    }

    fn text(&mut self, field: &str, text: &str) {
        if let Err(error) = check_text(text, TEXT_CHARS_MAX) {
            self.report(field, error);
        }
    }

    /// Text of several lines. A NUL is in no text that people write, and not every database can keep one.
    fn long_text(&mut self, field: &str, text: &str) {
        if text.chars().count() > LONG_TEXT_CHARS_MAX {
            self.report(field, format!("must have at most {LONG_TEXT_CHARS_MAX} characters"));
        }
        if text.contains('\0') {
            self.report(field, "must not hold the character U+0000");
        }
    }

    fn finish<T>(self, value: Option<T>) -> Result<T, Vec<Violation>> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(self.0),
        }
    }
}

fn instant(text: &str) -> Result<Timestamp, &'static str> {
    text.parse().map_err(|_| "must be an instant such as 2026-01-31T12:00:00Z")
}

/// Whether arrays and objects are nested more than `max` deep. Goes no deeper than that itself.
fn is_deeper(value: &Value, max: usize) -> bool {
    let mut children: Box<dyn Iterator<Item = &Value>> = match value {
        Value::Array(values) => Box::new(values.iter()),
        Value::Object(values) => Box::new(values.values()),
        _ => return false,
    };
    max == 0 || children.any(|child| is_deeper(child, max - 1))
}

/// What the payment provider takes an order without a payment method to mean.
pub const PAYMENT_METHOD_DEFAULT: &str = "ok";

impl OrderDraft {
    /// Checks everything that can be checked without the catalogue.
    ///
    /// # Errors
    /// Every violation found, in the order of the fields.
    pub fn check(self, order_id: OrderId, admission: Admission) -> Result<PlaceOrder, Vec<Violation>> {
        let mut checks = Checks::default();
        let customer_id = checks.parse("customer_id", self.customer_id.parse());
        let customer_email = checks.optional("customer_email", self.customer_email.as_deref(), Email::new);
        let order_ref = checks.optional("order_ref", self.order_ref.as_deref(), str::parse);
        let currency = checks.optional("currency", self.currency.as_deref(), str::parse);
        let method = self.payment_method.as_deref().unwrap_or(PAYMENT_METHOD_DEFAULT);
        let payment_method = checks.parse("payment_method", method.parse());
        checks.address("shipping_address", self.shipping_address.as_ref());
        let lines = check_lines(&mut checks, &self.lines);
        let placed_at = checks.optional("placed_at", self.placed_at.as_deref(), instant);
        checks.object("metadata", self.metadata.as_ref());
        check_event_size(&mut checks, &self.lines);
        let required = customer_id.zip(payment_method).zip(lines);
        let request = required.map(|((customer_id, payment_method), lines)| PlaceOrder {
            order_id,
            admission,
            order_ref,
            customer_id,
            customer_email,
            currency,
            payment_method,
            shipping_address: self.shipping_address,
            lines,
            placed_at,
            metadata: self.metadata,
            correlation_id: None,
            traceparent: None,
        });
        checks.finish(request)
    }
}

fn check_lines(checks: &mut Checks, drafts: &[LineDraft]) -> Option<Vec<RequestedLine>> {
    if drafts.is_empty() {
        checks.report("lines", "must have at least one line");
    }
    if drafts.len() > ORDER_LINES_MAX {
        checks.report("lines", format!("must have at most {ORDER_LINES_MAX} lines, has {}", drafts.len()));
        return None;
    }
    let mut lines = Vec::with_capacity(drafts.len());
    for (index, draft) in drafts.iter().enumerate() {
        let product_id = match ProductId::new(&draft.product_id) {
            Ok(product_id) => Some(product_id),
            Err(error) => {
                checks.report(&format!("lines[{index}].product_id"), error);
                None
            }
        };
        if !(1..=QUANTITY_MAX).contains(&draft.quantity) {
            let message = format!("must be from 1 to {QUANTITY_MAX}, is {}", draft.quantity);
            checks.report(&format!("lines[{index}].quantity"), message);
        }
        let unit_price = match &draft.unit_price {
            Some(price) => checks.money(&format!("lines[{index}].unit_price"), price),
            None => None,
        };
        lines.extend(product_id.map(|product_id| RequestedLine { product_id, quantity: draft.quantity, unit_price }));
    }
    check_product_quantities(checks, drafts);
    Some(lines)
}

/// Lines of one product count together. Reported at the line where the sum becomes too large.
fn check_product_quantities(checks: &mut Checks, drafts: &[LineDraft]) {
    if drafts.len() < 2 {
        return;
    }
    let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
    for (index, draft) in drafts.iter().enumerate() {
        // A quantity that is wrong by itself is reported already.
        let quantity = if (1..=QUANTITY_MAX).contains(&draft.quantity) { draft.quantity } else { 0 };
        let before = sums.entry(&draft.product_id).or_default();
        let after = *before + quantity;
        if *before <= QUANTITY_MAX && after > QUANTITY_MAX {
            let message = format!("must be at most {QUANTITY_MAX} with all lines of this product, is {after}");
            checks.report(&format!("lines[{index}].quantity"), message);
        }
        *before = after;
    }
}

/// Bytes of a line in `order.placed` beside its product id: keys, punctuation and the longest numbers.
const LINE_BYTES: usize = 80;
/// Bytes of everything else in `order.placed`: two free JSON values, and six short texts at four bytes a character.
const PLACEMENT_BYTES: usize = 2 * FREE_JSON_BYTES_MAX + 6 * 4 * ID_CHARS_MAX + 1024;

/// Many lines with long product ids in a script of several bytes a character can be more than one event may hold.
fn check_event_size(checks: &mut Checks, drafts: &[LineDraft]) {
    let room = EVENT_BYTES_MAX - PLACEMENT_BYTES;
    let in_json = |draft: &LineDraft| serde_json::to_string(&draft.product_id).map_or(0, |id| id.len()) + LINE_BYTES;
    if drafts.len() > ORDER_LINES_MAX
        || drafts.iter().map(|draft| 2 * draft.product_id.len() + LINE_BYTES).sum::<usize>() <= room
    {
        return;
    }
    let bytes: usize = drafts.iter().map(in_json).sum();
    if bytes > room {
        checks.report(
            "lines",
            format!("must have at most {room} bytes in all as stored, has {bytes}: the product ids are too long"),
        );
    }
}

impl ProductDraft {
    /// Checks a product; `path_id` is the id in the path, which an id in the body must agree with.
    ///
    /// # Errors
    /// Every violation found, in the order of the fields.
    pub fn check(self, path_id: Option<&str>, expected_version: Option<u64>) -> Result<PutProduct, Vec<Violation>> {
        let mut checks = Checks::default();
        let product_id = match (path_id, self.product_id.as_deref()) {
            (Some(path), Some(body)) if path != body => {
                checks.report("product_id", "must be the id in the path, or left out");
                None
            }
            (Some(id), _) | (None, Some(id)) => checks.parse("product_id", id.parse::<ProductId>()),
            (None, None) => {
                checks.report("product_id", "is required");
                None
            }
        };
        checks.text("name", &self.name);
        let price = checks.money("price", &self.price);
        if let Some(description) = &self.description {
            checks.long_text("description", description);
        }
        if self.stock.is_some_and(|stock| !(0..=STOCK_UNITS_MAX).contains(&stock)) {
            checks.report("stock", format!("must be from 0 to {STOCK_UNITS_MAX}"));
        }
        let product = product_id.zip(price).map(|(product_id, price)| PutProduct {
            product_id,
            name: self.name.into(),
            price,
            description: self.description.map(Into::into),
            active: self.active.unwrap_or(true),
            opening_stock: self.stock,
            expected_version,
        });
        checks.finish(product)
    }
}

impl PlaceOrder {
    /// The same with what ties it to the caller's own logs and traces. A trace context that is too long to be one is left out.
    #[must_use]
    pub fn traced(mut self, correlation_id: Option<CorrelationId>, traceparent: Option<Box<str>>) -> Self {
        self.correlation_id = correlation_id;
        self.traceparent = traceparent.filter(|context| context.len() <= TRACEPARENT_BYTES_MAX);
        self
    }
}
