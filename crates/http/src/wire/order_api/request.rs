//! The one request of the order API, and what is said when it is not as it should be: in the shape of FastAPI's validation errors.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use ordermill_core::intake::{LineDraft, OrderDraft, Violation};
use ordermill_core::money::Currency;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// Beyond it not every whole number is one of its own as a float.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// An order as a client of the order API sends it. Other fields are passed over.
#[derive(Deserialize, ToSchema)]
#[schema(as = OrderApiRequest)]
#[expect(
    dead_code,
    reason = "the schema of what is read field by field, so that each error can be told as FastAPI does"
)]
pub(crate) struct RequestShape {
    /// The product.
    #[schema(min_length = 1, max_length = 128, example = "PROD001")]
    product_id: String,
    /// Units.
    #[schema(minimum = 1, maximum = 1_000_000, example = 2)]
    quantity: i64,
    /// Who orders.
    #[schema(min_length = 1, max_length = 128, example = "CUST001")]
    customer_id: String,
    /// Of this platform: how it is paid; the provider's default if left out.
    #[schema(min_length = 1, max_length = 128)]
    payment_method: Option<String>,
}

/// One thing wrong with a request, as FastAPI tells it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ValidationError)]
pub(crate) struct Invalid {
    /// Which rule was broken.
    #[serde(rename = "type")]
    #[schema(example = "greater_than_equal")]
    kind: &'static str,
    /// Where: `body`, then the field.
    #[schema(value_type = Vec<serde_json::Value>)]
    loc: Vec<Value>,
    /// In words.
    #[schema(example = "Input should be greater than or equal to 1")]
    msg: String,
    /// What was found there.
    #[schema(value_type = serde_json::Value)]
    input: Value,
    /// What the rule compares with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    ctx: Option<Value>,
}

impl Invalid {
    fn new(kind: &'static str, loc: Vec<Value>, msg: impl Into<String>, input: Value) -> Self {
        Self { kind, loc, msg: msg.into(), input, ctx: None }
    }

    fn with(mut self, ctx: Value) -> Self {
        self.ctx = Some(ctx);
        self
    }

    /// A rule of our own.
    pub fn value(loc: Vec<Value>, message: &str, input: Value) -> Self {
        Self::new("value_error", loc, format!("Value error, {message}"), input).with(json!({ "error": {} }))
    }

    /// The body is something else.
    pub fn no_object(input: Value) -> Self {
        let message = "Input should be a valid dictionary or object to extract fields from";
        Self::new("model_attributes_type", vec!["body".into()], message, input)
    }

    /// The body is no JSON.
    pub fn json(message: &str) -> Self {
        Self::new("json_invalid", vec!["body".into(), 0.into()], "JSON decode error", json!({}))
            .with(json!({ "error": message }))
    }
}

/// Whether FastAPI would read the body as JSON: without a type it does.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else { return true };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.strip_prefix("application/").is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}

/// The order of a body.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn read(bytes: &[u8], currency: Currency) -> Result<Request, Vec<Invalid>> {
    if bytes.trim_ascii().is_empty() {
        return Err(vec![Invalid::new("missing", vec!["body".into()], "Field required", Value::Null)]);
    }
    let body: Value = serde_json::from_slice(bytes).map_err(|error| vec![Invalid::json(&error.to_string())])?;
    let fields = match body {
        Value::Object(fields) => fields,
        other => return Err(vec![Invalid::no_object(other)]),
    };
    let mut reader = Reader { fields: &fields, invalid: Vec::new() };
    let product_id = reader.text("product_id");
    let quantity = reader.quantity();
    let customer_id = reader.text("customer_id");
    let payment_method = match fields.get("payment_method") {
        None | Some(Value::Null) => None,
        Some(_) => reader.text("payment_method"),
    };
    let invalid = reader.invalid;
    let required = product_id.zip(quantity).zip(customer_id);
    let Some(((product_id, quantity), customer_id)) = required.filter(|_| invalid.is_empty()) else {
        return Err(invalid);
    };
    let draft = OrderDraft {
        customer_id,
        customer_email: None,
        order_ref: None,
        currency: Some(currency.code().to_owned()),
        payment_method,
        shipping_address: None,
        lines: vec![LineDraft { product_id, quantity, unit_price: None }],
        placed_at: None,
        metadata: None,
    };
    Ok(Request { draft, fields })
}

/// A request whose fields are of the right types.
#[derive(Debug)]
pub(super) struct Request {
    /// The order in core's words.
    pub draft: OrderDraft,
    fields: Map<String, Value>,
}

/// The fields as they came, to tell what is wrong with them.
pub(super) struct Fields(Map<String, Value>);

impl Request {
    /// The order, and its fields as they came.
    pub fn split(self) -> (OrderDraft, Fields) {
        (self.draft, Fields(self.fields))
    }
}

impl Fields {
    /// What core says is wrong, in FastAPI's words and with this API's fields.
    pub fn explain(&self, violations: &[Violation]) -> Vec<Invalid> {
        violations.iter().map(|violation| self.explain_one(violation)).collect()
    }

    fn explain_one(&self, violation: &Violation) -> Invalid {
        let name = violation.field.strip_prefix("lines[0].").unwrap_or(&violation.field);
        let input = self.0.get(name).cloned().unwrap_or(Value::Null);
        let loc = vec!["body".into(), name.into()];
        if name == "quantity" && integer(&input).is_some_and(|quantity| quantity < 1) {
            let message = "Input should be greater than or equal to 1";
            return Invalid::new("greater_than_equal", loc, message, input).with(json!({ "ge": 1 }));
        }
        Invalid::value(loc, &violation.message, input)
    }
}

struct Reader<'a> {
    fields: &'a Map<String, Value>,
    invalid: Vec<Invalid>,
}

impl Reader<'_> {
    fn field(&mut self, name: &str) -> Option<Value> {
        let value = self.fields.get(name).cloned();
        if value.is_none() {
            // FastAPI shows the whole object in which a field is missing.
            let input = Value::Object(self.fields.clone());
            self.invalid.push(Invalid::new("missing", at(name), "Field required", input));
        }
        value
    }

    fn text(&mut self, name: &str) -> Option<String> {
        match self.field(name)? {
            Value::String(text) => Some(text),
            other => {
                self.invalid.push(Invalid::new("string_type", at(name), "Input should be a valid string", other));
                None
            }
        }
    }

    fn quantity(&mut self) -> Option<i64> {
        let value = self.field("quantity")?;
        if let Some(quantity) = integer(&value) {
            return Some(quantity);
        }
        let fractional = value.as_f64().is_some_and(|number| number.fract() != 0.0);
        let (kind, message) = match &value {
            Value::Number(_) if fractional => {
                ("int_from_float", "Input should be a valid integer, got a number with a fractional part")
            }
            Value::String(_) => {
                ("int_parsing", "Input should be a valid integer, unable to parse string as an integer")
            }
            _ => ("int_type", "Input should be a valid integer"),
        };
        self.invalid.push(Invalid::new(kind, at("quantity"), message, value));
        None
    }
}

/// What FastAPI takes for a whole number: also one written with a fraction of nothing, and one in a text, as forms send it.
fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            let whole = number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() <= EXACT_MAX);
            whole.and_then(|number| format!("{number:.0}").parse().ok())
        }),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn at(name: &str) -> Vec<Value> {
    vec!["body".into(), name.into()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invalid(body: &str) -> Vec<(String, String)> {
        let found = read(body.as_bytes(), Currency::USD).expect_err("it is not an order");
        found.iter().map(|error| (error.kind.to_owned(), Value::from(error.loc.clone()).to_string())).collect()
    }

    #[test]
    fn each_error_is_named_as_fastapi_does() {
        let one = |body: &str| invalid(body).remove(0);
        let named = |kind: &str, loc: &str| (kind.to_owned(), loc.to_owned());
        let with_quantity = |text: &str| one(&format!(r#"{{"product_id":"P","customer_id":"C","quantity":{text}}}"#));
        assert_eq!(one(""), named("missing", r#"["body"]"#));
        assert_eq!(one("{"), named("json_invalid", r#"["body",0]"#));
        assert_eq!(one("[]"), named("model_attributes_type", r#"["body"]"#));
        assert_eq!(with_quantity("1.5"), named("int_from_float", r#"["body","quantity"]"#));
        assert_eq!(with_quantity("2e30"), named("int_type", r#"["body","quantity"]"#));
        assert_eq!(with_quantity("99999999999999999999"), named("int_type", r#"["body","quantity"]"#));
        assert_eq!(with_quantity("\"two\""), named("int_parsing", r#"["body","quantity"]"#));
        assert_eq!(with_quantity("true"), named("int_type", r#"["body","quantity"]"#));
        assert_eq!(with_quantity("1e999"), named("json_invalid", r#"["body",0]"#));
        let all = invalid(r#"{"product_id":7}"#);
        let kinds: Vec<&str> = all.iter().map(|(kind, _)| kind.as_str()).collect();
        assert_eq!(kinds, ["string_type", "missing", "missing"]);
    }

    #[test]
    fn a_whole_number_is_taken_in_every_way_that_fastapi_takes_it() {
        for (text, expected) in
            [("2", 2), ("2.0", 2), ("2e0", 2), ("\"2\"", 2), ("\" +2 \"", 2), ("\"-2\"", -2), ("-2.0", -2)]
        {
            let body = format!(r#"{{"product_id":"P","customer_id":"C","quantity":{text}}}"#);
            let (draft, _) = read(body.as_bytes(), Currency::EUR).expect("it is an order").split();
            assert_eq!(draft.lines[0].quantity, expected, "{text}");
        }
    }

    #[test]
    fn what_else_is_in_the_body_is_passed_over() {
        let body = br#"{"product_id":"P","quantity":1,"customer_id":"C","note":{"a":1}}"#;
        let (draft, _) = read(body, Currency::EUR).expect("it is an order").split();
        assert_eq!((draft.customer_id.as_str(), draft.currency.as_deref()), ("C", Some("EUR")));
        assert!(draft.metadata.is_none());
    }
}
