//! What the server answers. Each keeps the fields it does not know, so that `--json` shows all of them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An amount of one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// In the currency's minor unit.
    pub amount_minor: i64,
    /// ISO 4217.
    pub currency: String,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Its id.
    pub order_id: String,
    /// How far it has come.
    pub status: String,
    /// Why it was rejected or cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether and why it waits for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention: Option<Attention>,
    /// The sum of its lines.
    pub total: Money,
    /// What was ordered.
    #[serde(default)]
    pub lines: Vec<Line>,
    /// Who ordered.
    pub customer_id: String,
    /// The shop's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_ref: Option<String>,
    /// When it was taken.
    pub created_at: jiff::Timestamp,
    /// When it last changed.
    pub updated_at: jiff::Timestamp,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Order {
    /// Whether it is still open what becomes of it, and nobody has to see to it.
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        matches!(self.status.as_str(), "placed" | "authorized" | "reserved") && self.attention.is_none()
    }

    /// Where its parcel is, once a carrier has it.
    #[must_use]
    pub fn parcel(&self) -> Option<&str> {
        self.other.get("parcel").and_then(Value::as_str)
    }

    /// An amount of its money, in its minor unit: `refunded_minor`; 0 where the server leaves it out.
    #[must_use]
    pub fn paid_minor(&self, field: &str) -> i64 {
        self.other.get("payment").and_then(|payment| payment.get(field)).and_then(Value::as_i64).unwrap_or(0)
    }

    /// What came back, one line a product.
    #[must_use]
    pub fn returned(&self) -> Vec<Line> {
        self.other.get("returned").and_then(|lines| serde_json::from_value(lines.clone()).ok()).unwrap_or_default()
    }
}

/// Why an order waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attention {
    /// What did not work.
    pub step: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: jiff::Timestamp,
}

/// A line of an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The product.
    pub product_id: String,
    /// Units.
    pub quantity: i64,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A page of orders.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderPage {
    /// The orders, newest first.
    pub orders: Vec<Order>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// The events of one order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Events {
    /// The events, oldest first.
    pub events: Vec<Event>,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its id.
    pub id: String,
    /// Its type: `payment.captured`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it was decided.
    pub time: jiff::Timestamp,
    /// What it says; `null` where the server leaves it out.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub data: Value,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A product.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Product {
    /// Its id.
    pub product_id: String,
    /// Its name.
    pub name: String,
    /// Of one unit.
    pub price: Money,
    /// Whether it can be ordered.
    pub active: bool,
    /// Whether it was taken out of the catalogue.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A page of products.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProductPage {
    /// The products, by id.
    pub products: Vec<Product>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// The stock of a product, in units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stock {
    /// The product.
    pub product_id: String,
    /// Units that can still be ordered.
    pub available: i64,
    /// Units held for orders that are not paid yet.
    pub reserved: i64,
    /// Units of orders that are paid.
    pub sold: i64,
    /// Counts the changes.
    pub version: u64,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A page of stock levels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StockPage {
    /// The levels, by product id.
    pub stock: Vec<Stock>,
    /// Where the next page begins.
    pub next: Option<String>,
}
