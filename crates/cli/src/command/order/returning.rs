//! `ordermill order return ID`

use anyhow::Result;
use ordermill_client::Client;

use super::{place, show};
use crate::command::Global;
use crate::exit::Exit;

/// Arguments of `order return`.
#[derive(clap::Args)]
#[command(after_help = "\
Of an order that was shipped, and never more than was bought; when everything is back, the order is `returned`. No money moves: \
`ordermill order refund` gives it back.

A key lives for 24 hours: within them the same return with the same key counts once, however often it is sent. Later it is a new \
return, so look at `ordermill order get` first.

Examples:
  ordermill order return ord_0198f3c2a1b47c3e9d5f6a7b8c9d0e1f --product tea --restock
  ordermill order return ord_0198f3c2a1b47c3e9d5f6a7b8c9d0e1f --product tea --product pot --quantity 2")]
pub struct Args {
    /// The order's id
    #[arg(value_parser = super::get::order_id)]
    id: String,
    /// A product that came back; may be repeated
    #[arg(long, value_name = "ID", required = true)]
    product: Vec<String>,
    /// Units of each product, in the order of --product; 1 where left out
    #[arg(long, value_name = "N")]
    quantity: Vec<i64>,
    /// The units can be sold again: put them into stock
    #[arg(long)]
    restock: bool,
    /// The idempotency key: within 24 hours the same key with the same return takes it back once
    #[arg(long, value_name = "TEXT")]
    key: Option<String>,
}

/// Takes back.
pub async fn run(args: Args, client: &Client, global: &Global) -> Result<Exit> {
    let units: Vec<_> = place::units(&args.product, &args.quantity)?.collect();
    let order = client.take_back(&args.id, &units, args.restock, args.key.as_deref()).await?;
    show::order(&order, global)
}
