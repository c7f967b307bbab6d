//! `ordermill order place`

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use ordermill_client::{Client, Error, Placing};
use serde_json::{Value, json};

use super::{show, watch};
use crate::command::Global;
use crate::exit::{Exit, Usage};
use crate::output;

/// What a mock order is of.
const SAMPLE_PRODUCT: &str = "PROD001";

/// Arguments of `order place`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  ordermill order place --product tea --quantity 2 --customer ann --email ann@example.com --watch
  ordermill order place --product tea --product pot --quantity 1 --quantity 1 --wait 5
  ordermill order place --file order.json --key shop-4711
  ordermill order place --mock --watch        after `ordermill product seed`

Payment methods of the sandbox: ok, declined, insufficient_funds, timeout_then_ok, timeout_then_declined, unknown, slow, \
void_fails, refund_fails, capture_fails.")]
pub struct Args {
    /// A product to order; may be repeated
    #[arg(long, value_name = "ID", required_unless_present_any = ["file", "mock"])]
    product: Vec<String>,
    /// Units of each product, in the order of --product; 1 where left out
    #[arg(long, value_name = "N")]
    quantity: Vec<i64>,
    /// Who orders
    #[arg(long, value_name = "ID", default_value = "cli")]
    customer: String,
    /// Where mails go; none are sent without it
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// How it is paid
    #[arg(long, value_name = "METHOD")]
    payment_method: Option<String>,
    /// The shop's own number of the order; the same number again is the same order
    #[arg(long = "ref", value_name = "TEXT")]
    order_ref: Option<String>,
    /// An order as JSON instead, `-` for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["product", "quantity", "customer", "email", "payment_method", "order_ref"])]
    file: Option<PathBuf>,
    /// A mock order instead: one unit of a sample product, with an address that gets mail
    #[arg(long, conflicts_with_all = ["file", "product", "quantity", "customer", "email", "payment_method", "order_ref"])]
    mock: bool,
    /// The idempotency key: the same key with the same order places it once
    #[arg(long, value_name = "TEXT")]
    key: Option<String>,
    /// Wait this many seconds for the order to be decided
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
    /// Follow the order live until it is decided and its customer is told
    #[arg(long)]
    watch: bool,
}

/// Places an order.
pub async fn run(args: Args, client: &Client, global: &Global) -> Result<Exit> {
    let body = match &args.file {
        Some(path) => read(path)?,
        None if args.mock => mock(),
        None => body(&args)?,
    };
    let placing = Placing { idempotency_key: args.key, wait: args.wait.map(Duration::from_secs) };
    let order = client.place(&body, &placing).await;
    let order = if args.mock { order.map_err(hint_at_samples)? } else { order? };
    if !args.watch {
        return show::order(&order, global);
    }
    if !global.json {
        output::line(&order.order_id)?;
    }
    watch::follow(client, &order.order_id, false, global).await?;
    Ok(Exit::Ok)
}

/// An order such as the samples of the order API and the orchestrator have.
fn mock() -> Value {
    json!({
        "customer_id": "CUST001",
        "customer_email": "cust001@example.com",
        "payment_method": "ok",
        "shipping_address": { "text": "1 Example Street, 12345 Sampletown" },
        "lines": [{ "product_id": SAMPLE_PRODUCT, "quantity": 1 }],
        "metadata": { "mock": true },
    })
}

/// The sample product may not be there.
fn hint_at_samples(error: Error) -> anyhow::Error {
    let is_missing = error.problem().is_some_and(|problem| problem.code() == "unknown_product");
    let error = anyhow::Error::new(error);
    if is_missing {
        error.context("the sample products are not there; add them with `ordermill product seed`")
    } else {
        error
    }
}

/// Each product with its units: 1 where there are fewer quantities than products.
pub fn units<'a>(products: &'a [String], quantities: &'a [i64]) -> Result<impl Iterator<Item = (&'a str, i64)>, Usage> {
    if quantities.len() > products.len() {
        return Err(Usage("--quantity is given more often than --product".to_owned()));
    }
    let quantities = quantities.iter().copied().chain(std::iter::repeat(1));
    Ok(products.iter().map(String::as_str).zip(quantities))
}

fn body(args: &Args) -> Result<Value> {
    let lines = units(&args.product, &args.quantity)?;
    let lines: Vec<Value> =
        lines.map(|(product, quantity)| json!({ "product_id": product, "quantity": quantity })).collect();
    let mut body = json!({ "customer_id": args.customer, "lines": lines });
    let optional =
        [("customer_email", &args.email), ("payment_method", &args.payment_method), ("order_ref", &args.order_ref)];
    for (name, value) in optional {
        if let Some(value) = value {
            body[name] = value.as_str().into();
        }
    }
    Ok(body)
}

fn read(path: &Path) -> Result<Value> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.with_context(|| format!("{} cannot be read", path.display()))?;
    // As spreadsheets and shells put it before what they write.
    serde_json::from_str(text.trim_start_matches('\u{feff}')).with_context(|| format!("{} is not JSON", path.display()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &str) -> Args {
        Line::try_parse_from(line.split(' ')).expect("it can be meant").args
    }

    #[test]
    fn products_and_quantities_go_together() {
        let json = body(&parse("place --product a --product b --quantity 2 --ref r1")).expect("an order");
        assert_eq!(json["lines"][0], json!({ "product_id": "a", "quantity": 2 }));
        assert_eq!(json["lines"][1], json!({ "product_id": "b", "quantity": 1 }));
        assert_eq!((&json["order_ref"], &json["customer_email"]), (&json!("r1"), &Value::Null));
        assert!(body(&parse("place --product a --quantity 1 --quantity 2")).is_err());
    }

    #[test]
    fn an_order_comes_from_flags_or_from_a_file() {
        assert!(Line::try_parse_from(["place"]).is_err());
        assert!(Line::try_parse_from(["place", "--file", "x", "--product", "a"]).is_err());
        assert!(Line::try_parse_from(["place", "--file", "x", "--wait", "3"]).is_ok());
    }
}
