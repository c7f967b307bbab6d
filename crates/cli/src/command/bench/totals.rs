//! What a shop has come to: orders, money and units, asked of its public interface, so that shops on different ledgers can be compared.
//!
//! Nothing there gives sums of money, so every order is read, 500 at a time. A year of 142,316 orders is 285 pages.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use http::Method;
use ordermill_core::limits::PAGE_ENTRIES_MAX;
use ordermill_core::money::{Currency, Money};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::shop;
use super::wire::{JSON, Target, Wire};
use crate::output::count;

/// Sums over everything a shop has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub(super) struct Totals {
    /// Orders by status.
    orders: BTreeMap<String, u64>,
    /// Rejected ones by reason.
    rejected: BTreeMap<String, u64>,
    /// Mails in the mail store, counted there.
    pub(super) mails: u64,
    /// Money taken, refunded later or not, in minor units by currency.
    captured_minor: BTreeMap<String, i64>,
    /// Units sold.
    units_sold: i64,
}

#[derive(Deserialize)]
struct Order {
    status: String,
    reason: Option<String>,
    total: Total,
    payment: Payment,
}

#[derive(Deserialize)]
struct Total {
    currency: String,
}

#[derive(Deserialize)]
struct Payment {
    captured_minor: i64,
}

#[derive(Deserialize)]
struct OrderPage {
    orders: Vec<Order>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Stock {
    sold: i64,
}

#[derive(Deserialize)]
struct StockPage {
    stock: Vec<Stock>,
    next: Option<String>,
}

/// Asks once no order is under way any more, or once `patience` is over: then those are among the totals as they are. Counts no mails.
pub(super) async fn of_shop(target: &Target, patience: Duration) -> anyhow::Result<Totals> {
    if let Ok(decided) = tokio::time::timeout(patience, shop::wait_until_decided(target)).await {
        decided?;
    }
    let mut wire = Wire::new(target.clone());
    let mut totals = Totals::default();
    let mut cursor = None;
    loop {
        let page: OrderPage = page(&mut wire, "/v1/orders", cursor).await?;
        page.orders.into_iter().for_each(|order| totals.add(order));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    loop {
        let page: StockPage = page(&mut wire, "/v1/stock", cursor).await?;
        totals.units_sold += page.stock.iter().map(|stock| stock.sold).sum::<i64>();
        cursor = page.next;
        if cursor.is_none() {
            return Ok(totals);
        }
    }
}

async fn page<P: DeserializeOwned>(wire: &mut Wire, path: &str, cursor: Option<String>) -> anyhow::Result<P> {
    let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
    let path = format!("{path}?limit={PAGE_ENTRIES_MAX}{cursor}");
    let answer = wire.call(Method::GET, &path, JSON, String::new()).await?;
    serde_json::from_slice(&answer).with_context(|| format!("the answer to GET {path}"))
}

impl Totals {
    fn add(&mut self, order: Order) {
        if order.status == "rejected" {
            *self.rejected.entry(order.reason.unwrap_or_default()).or_default() += 1;
        }
        *self.orders.entry(order.status).or_default() += 1;
        if order.payment.captured_minor > 0 {
            *self.captured_minor.entry(order.total.currency).or_default() += order.payment.captured_minor;
        }
    }

    /// A line for each, which is the same wherever the figure is.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            self.orders.iter().map(|(status, number)| format!("orders {status}: {}", count(*number))).collect();
        let rejected = self.rejected.iter();
        lines.extend(rejected.map(|(reason, number)| format!("orders rejected, {reason}: {}", count(*number))));
        lines.push(format!("mails: {}", count(self.mails)));
        lines.extend(
            self.captured_minor.iter().map(|(currency, amount)| format!("captured: {}", money(*amount, currency))),
        );
        lines.push(format!("units sold: {}", self.units_sold));
        lines
    }
}

fn money(amount_minor: i64, currency: &str) -> String {
    match currency.parse::<Currency>() {
        Ok(currency) => Money { amount_minor, currency }.to_string(),
        Err(_) => format!("{amount_minor} minor units of {currency}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_summed_up() {
        let order = |status: &str, reason: Option<&str>, currency: &str, captured_minor| Order {
            status: status.to_owned(),
            reason: reason.map(str::to_owned),
            total: Total { currency: currency.to_owned() },
            payment: Payment { captured_minor },
        };
        let mut totals = Totals { mails: 4, units_sold: 1_234, ..Totals::default() };
        for order in [
            order("confirmed", None, "USD", 1_999),
            order("rejected", Some("out_of_stock"), "USD", 0),
            order("confirmed", None, "JPY", 70),
            order("confirmed", None, "USD", 1),
        ] {
            totals.add(order);
        }
        let lines = [
            "orders confirmed: 3",
            "orders rejected: 1",
            "orders rejected, out_of_stock: 1",
            "mails: 4",
            "captured: 70 JPY",
            "captured: 20.00 USD",
            "units sold: 1234",
        ];
        assert_eq!(totals.lines(), lines);
    }
}
