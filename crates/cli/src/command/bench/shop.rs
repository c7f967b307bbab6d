//! The shop under load: its products, its orders, and the orders of earlier days.

use anyhow::{Context, bail};
use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Method, Request};
use http_body_util::Full;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::echo;
use super::load::Requests;
use super::wire::{JSON, NDJSON, Target, Wire};
use crate::progress::Progress;

/// So much that no order of a benchmark is ever short.
const STOCK: u64 = 1_000_000_000;
/// Customers; enough that none stands out.
const CUSTOMERS: u64 = 100_000;
/// Products in one bulk request.
const PRODUCTS_AT_ONCE: u64 = 1_000;
/// Orders in one bulk request.
const ORDERS_AT_ONCE: u64 = 2_000;
/// Bulk requests at once.
const BULKS: usize = 4;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What is ordered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Goods {
    pub(super) products: u64,
    pub(super) lines: u64,
    /// Percent of the orders that have the first product among their lines, beside those that chance gives it to.
    pub(super) hot_percent: u8,
}

/// Puts the products into the catalogue, with plenty of stock.
pub(super) async fn stock_up(target: &Target, goods: Goods) -> anyhow::Result<()> {
    let mut wire = Wire::new(target.clone());
    for begin in (0..goods.products).step_by(usize::try_from(PRODUCTS_AT_ONCE)?) {
        let product = |number| {
            format!(
                "{{\"product_id\":\"{}\",\"name\":\"Product {number}\",\
                 \"price\":{{\"amount_minor\":{},\"currency\":\"USD\"}},\"stock\":{STOCK}}}\n",
                product_id(number),
                100 + number % 9_900
            )
        };
        let lines: String = (begin..goods.products.min(begin + PRODUCTS_AT_ONCE)).map(product).collect();
        let answer = wire.call(Method::POST, "/v1/products", NDJSON, lines).await?;
        check_bulk(&answer)?;
    }
    Ok(())
}

fn product_id(number: u64) -> String {
    format!("bench-{number:05}")
}

/// Refuses the answer to a bulk request that has a problem in any line.
fn check_bulk(answer: &Bytes) -> anyhow::Result<()> {
    let answer = String::from_utf8_lossy(answer);
    match answer.lines().find(|line| line.contains("\"problem\"")) {
        Some(line) => bail!("a line of a bulk request was refused: {line}"),
        None => Ok(()),
    }
}

/// Chance enough for a load, and cheap: xorshift.
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        Self(Uuid::new_v4().as_u64_pair().1 | 1)
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides.max(1)
    }
}

/// Writes an order; with an address its customer gets mail.
fn order(dice: &mut Dice, goods: Goods, with_mail: bool) -> String {
    use std::fmt::Write as _;
    let customer = dice.roll(CUSTOMERS);
    let mut text = format!("{{\"customer_id\":\"c-{customer}\"");
    if with_mail {
        write!(text, ",\"customer_email\":\"c-{customer}@example.com\"").expect("a text takes any text");
    }
    text.push_str(",\"lines\":[");
    let is_hot = dice.roll(100) < u64::from(goods.hot_percent);
    for line in 0..goods.lines {
        let product = if is_hot && line == 0 { 0 } else { dice.roll(goods.products) };
        let comma = if line > 0 { "," } else { "" };
        write!(text, "{comma}{{\"product_id\":\"{}\",\"quantity\":1}}", product_id(product))
            .expect("a text takes any text");
    }
    text.push_str("]}");
    text
}

/// The orders of one connection, each under a fresh random idempotency key.
pub(super) struct Orders {
    dice: Dice,
    goods: Goods,
    path: &'static str,
}

impl Orders {
    /// To be placed.
    pub(super) fn new(goods: Goods) -> Self {
        Self { dice: Dice::new(), goods, path: "/v1/orders" }
    }

    /// The same requests, to be echoed.
    pub(super) fn for_echo(goods: Goods) -> Self {
        Self { path: echo::PATH, ..Self::new(goods) }
    }
}

impl Requests for Orders {
    fn next(&mut self, target: &Target) -> Request<Full<Bytes>> {
        let body = order(&mut self.dice, self.goods, true);
        let mut request = target.request(Method::POST, self.path, JSON, Full::new(body.into()));
        let key = Uuid::new_v4().simple().to_string();
        let key = HeaderValue::try_from(key).expect("hexadecimal digits are a valid header value");
        request.headers_mut().insert(IDEMPOTENCY_KEY, key);
        request
    }
}

/// Stores finished orders, as many as asked for, in bulk and without mail; returns when each is decided.
pub(super) async fn prefill(target: &Target, goods: Goods, count: u64, quiet: bool) -> anyhow::Result<()> {
    let mut progress = Progress::new("orders stored", quiet);
    let mut stored = 0;
    let mut bulks = JoinSet::new();
    let mut left = count;
    while left > 0 || !bulks.is_empty() {
        if left > 0 && bulks.len() < BULKS {
            let size = left.min(ORDERS_AT_ONCE);
            left -= size;
            bulks.spawn(place_bulk(target.clone(), goods, size));
        } else if let Some(done) = bulks.join_next().await {
            stored += done??;
            progress.update(stored, Some(stored as f64 / count as f64));
        }
    }
    progress.finish();
    wait_until_decided(target).await
}

async fn place_bulk(target: Target, goods: Goods, size: u64) -> anyhow::Result<u64> {
    let mut dice = Dice::new();
    let lines: String = (0..size).map(|_| order(&mut dice, goods, false) + "\n").collect();
    check_bulk(&Wire::new(target).call(Method::POST, "/v1/orders", NDJSON, lines).await?)?;
    Ok(size)
}

/// Waits until no order is under way.
pub(super) async fn wait_until_decided(target: &Target) -> anyhow::Result<()> {
    let mut wire = Wire::new(target.clone());
    for status in ["placed", "authorized", "reserved"] {
        loop {
            let answer =
                wire.call(Method::GET, &format!("/v1/orders?status={status}&limit=1"), JSON, String::new()).await?;
            let page: serde_json::Value = serde_json::from_slice(&answer).context("a list of orders")?;
            if page["orders"].as_array().is_some_and(Vec::is_empty) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_json_of_the_right_shape() {
        let goods = Goods { products: 10, lines: 3, hot_percent: 0 };
        let mut dice = Dice::new();
        for with_mail in [true, false] {
            let order: serde_json::Value = serde_json::from_str(&order(&mut dice, goods, with_mail)).expect("JSON");
            assert_eq!(order["lines"].as_array().map(Vec::len), Some(3));
            assert_eq!(order.get("customer_email").is_some(), with_mail);
        }
    }

    #[test]
    fn a_hot_product_has_its_share() {
        let goods = Goods { products: 1_000_000, lines: 1, hot_percent: 10 };
        let mut dice = Dice::new();
        let hot = (0..10_000).filter(|_| order(&mut dice, goods, false).contains("\"bench-00000\"")).count();
        assert!((700..=1_300).contains(&hot), "{hot} of 10,000");
    }

    #[test]
    fn a_refused_line_of_a_bulk_is_seen() {
        assert!(check_bulk(&Bytes::from_static(b"{\"line\":1,\"order_id\":\"ord_1\"}\n")).is_ok());
        assert!(check_bulk(&Bytes::from_static(b"{\"line\":1,\"problem\":{}}\n")).is_err());
    }
}
