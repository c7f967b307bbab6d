//! What was audited, in figures.

use std::io;

use anyhow::Result;
use ordermill_core::invariant::Invariant;
use ordermill_core::money::{Currency, Money};
use ordermill_engine::audit::Totals;
use serde_json::Value;

use crate::output::{self, Align, count};

/// `{"totals": {"confirmed": 480, …}, "orders": 500, …}`: orders by outcome, and beside them everything else that was counted.
pub(super) fn last_line(totals: &Totals) -> Result<Value> {
    let mut line = serde_json::to_value(totals)?;
    if let Some(fields) = line.as_object_mut()
        && let Some(by_status) = fields.remove("by_status")
    {
        fields.insert("totals".to_owned(), by_status);
    }
    Ok(line)
}

pub(super) fn print(totals: &Totals) -> io::Result<()> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |what: &str, value: String| rows.push(vec![what.to_owned(), value]);
    row("orders", count(totals.orders));
    for (status, number) in totals.by_status.iter().filter(|(_, number)| **number > 0) {
        row(&format!("  {status}"), count(*number));
        if *status == "rejected" {
            totals.rejected.iter().for_each(|(reason, number)| row(&format!("    {reason}"), count(*number)));
        }
    }
    row("waiting for a person", count(totals.attention));
    row("open", count(totals.open));
    row("events", count(totals.events));
    for (currency, money) in &totals.money {
        let parts = [
            ("authorized", money.authorized),
            ("  held", money.held),
            ("  captured", money.captured),
            ("    kept", money.kept),
            ("    refunded", money.refunded),
            ("  voided", money.voided),
            ("  expired", money.expired),
        ];
        parts.into_iter().for_each(|(what, amount)| row(what, major(amount, currency)));
    }
    let stock = &totals.stock;
    row("products", count(stock.products));
    let units = [
        ("units brought in", stock.brought_in),
        ("units returned", stock.returned),
        ("  available", stock.available),
        ("  reserved", stock.reserved),
        ("  sold", stock.sold),
    ];
    units.into_iter().for_each(|(what, units)| row(what, units.to_string()));
    row("customers", count(totals.customers));
    row("parcels", count(totals.parcels));
    row("records", count(totals.records));
    row("  stored", count(totals.records_stored));
    row("mails", count(totals.mails.values().sum()));
    totals.mails.iter().for_each(|(kind, number)| row(&format!("  {kind}"), count(*number)));
    row("archived objects", count(totals.archive_objects));
    row("objects of records", count(totals.record_objects));
    row("entries of the provider's journal", count(totals.provider_entries));
    row("order references", count(totals.order_refs));
    row("idempotency keys", count(totals.idempotency_keys));
    output::table(&[("audited", Align::Left), ("total", Align::Right)], rows)?;
    if totals.is_clean() {
        return output::line(format_args!("everything is in balance: all {} invariants hold", Invariant::ALL.len()));
    }
    let broken: Vec<String> = totals.findings.iter().map(|(name, number)| format!("{name} ({number})")).collect();
    output::line(format_args!("violated: {}", broken.join(", ")))
}

/// Minor units as people write them; sums beyond any real amount as they are.
fn major(amount_minor: i128, currency: &str) -> String {
    match (i64::try_from(amount_minor), currency.parse::<Currency>()) {
        (Ok(amount_minor), Ok(currency)) => Money { amount_minor, currency }.to_string(),
        _ => format!("{amount_minor} minor units of {currency}"),
    }
}
