//! How an order and its timeline are shown.

use std::io;

use anyhow::Result;
use jiff::Timestamp;
use ordermill_client::{Event, Money, Order};
use serde_json::Value;

use crate::command::Global;
use crate::exit::Exit;
use crate::output::{self, Align};

/// Fields of events that say nothing to people, or that were shown before.
const HIDDEN: [&str; 13] = [
    "lines",
    "fingerprint",
    "correlation_id",
    "traceparent",
    "metadata",
    "shipping_address",
    "customer_email",
    "name",
    "email",
    "address",
    "attempt",
    "mailbox_end",
    "provider_ref",
];

/// Shows an order.
pub fn order(order: &Order, global: &Global) -> Result<Exit> {
    if global.json {
        output::json(order)?;
        return Ok(Exit::Ok);
    }
    let mut rows = vec![("order", order.order_id.clone()), ("status", order.status.clone())];
    rows.extend(order.reason.clone().map(|reason| ("reason", reason)));
    if let Some(attention) = &order.attention {
        let since = output::moment(attention.since);
        rows.push(("attention", format!("{}: {} (since {since})", attention.step, attention.reason)));
    }
    rows.push(("total", output::money(&order.total)));
    let moved = [("paid", "captured_minor"), ("refunded", "refunded_minor"), ("refunding", "refunds_pending_minor")];
    for (name, field) in moved {
        let amount_minor = order.paid_minor(field);
        if amount_minor > 0 {
            rows.push((name, output::money(&Money { amount_minor, currency: order.total.currency.clone() })));
        }
    }
    rows.push(("customer", order.customer_id.clone()));
    rows.extend(order.order_ref.clone().map(|order_ref| ("reference", order_ref)));
    rows.push(("taken", output::moment(order.created_at)));
    rows.extend(order.parcel().map(|parcel| ("parcel", parcel.replace('_', " "))));
    let back = order.returned().into_iter().map(|line| format!("{} x {}", line.quantity, line.product_id));
    rows.extend(back.map(|units| ("returned", units)));
    for (name, value) in rows {
        output::line(format_args!("{name:<10} {value}"))?;
    }
    let lines = order.lines.iter().map(|line| {
        let price = line.other.get("unit_price").cloned().and_then(|price| serde_json::from_value(price).ok());
        let price = price.as_ref().map(output::money).unwrap_or_default();
        vec![line.product_id.clone(), line.quantity.to_string(), price]
    });
    output::table(&[("product", Align::Left), ("units", Align::Right), ("price", Align::Right)], lines.collect())?;
    Ok(Exit::Ok)
}

/// Shows what happened to an order, one line an event.
pub fn timeline(events: &[Event]) -> io::Result<()> {
    let Some(first) = events.first() else {
        return Ok(());
    };
    events.iter().try_for_each(|event| output::line(line(event, first.time)))
}

/// One event: `12:00:01.123  +0.042 s  payment.captured  operation capture-1, amount_minor 1999`.
pub fn line(event: &Event, since: Timestamp) -> String {
    let after = event.time.duration_since(since).as_secs_f64();
    let what = describe(&event.data);
    let line = format!("{}  {after:>+9.3} s  {:<26} {what}", output::time_of_day(event.time), event.kind);
    line.trim_end().to_owned()
}

/// What happened, without when: `payment.captured  operation capture-1, amount_minor 1999`.
pub fn event_line(event: &Event) -> String {
    format!("{:<26} {}", event.kind, describe(&event.data))
}

/// The plain fields of an event's data.
fn describe(data: &Value) -> String {
    let Some(fields) = data.as_object() else {
        return String::new();
    };
    let shown = fields.iter().filter(|(name, _)| !HIDDEN.contains(&name.as_str())).filter_map(|(name, value)| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Object(_) => serde_json::from_value(value.clone()).ok().map(|money| output::money(&money))?,
            Value::Array(entries) => entries.iter().map(entry).collect::<Vec<_>>().join("; "),
            Value::Null => return None,
        };
        Some(format!("{name} {text}"))
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// One of several in an event: what is said of a product stands behind its id.
fn entry(value: &Value) -> String {
    match value.get("product_id").and_then(Value::as_str) {
        Some(product_id) => {
            let mut rest = value.clone();
            rest.as_object_mut().map(|fields| fields.remove("product_id"));
            format!("{product_id} ({})", describe(&rest))
        }
        None => describe(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, time: &str, data: Value) -> Event {
        serde_json::from_value(serde_json::json!({ "id": "1", "type": kind, "time": time, "data": data }))
            .expect("an event")
    }

    #[test]
    fn an_event_is_one_line_without_personal_fields() {
        let since: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
        let data = serde_json::json!({
            "customer_id": "7", "customer_email": "ann@example.com", "total": { "amount_minor": 1999, "currency": "USD" },
            "lines": [{ "product_id": "a" }], "order_ref": null,
        });
        let line = line(&event("order.placed", "2026-01-01T00:00:00.042Z", data), since);
        assert!(line.contains("+0.042 s  order.placed") && line.ends_with("customer_id 7, total 19.99 USD"), "{line}");
        let short = serde_json::json!({ "short": [{ "product_id": "a", "missing": 2 }] });
        assert_eq!(describe(&short), "short a (missing 2)");
    }
}
