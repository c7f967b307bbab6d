//! `ordermill order refund ID`

use anyhow::Result;
use ordermill_client::Client;

use super::show;
use crate::command::Global;
use crate::exit::Exit;

/// Arguments of `order refund`.
#[derive(clap::Args)]
#[command(after_help = "\
It is recorded at once, and the money goes back soon after. Never more than was taken, with refunds under way counted. The order \
keeps its status; a refund that the provider refuses waits for attention.

A key lives for 24 hours: within them the same refund with the same key gives the money back once, however often it is sent. Later it \
is a new refund, so look at `ordermill order get` first.

Examples:
  ordermill order refund ord_0198f3c2a1b47c3e9d5f6a7b8c9d0e1f --amount 1000 --reason scratched
  ordermill order refund ord_0198f3c2a1b47c3e9d5f6a7b8c9d0e1f --key ticket-4711")]
pub struct Args {
    /// The order's id
    #[arg(value_parser = super::get::order_id)]
    id: String,
    /// How much, in the currency's minor unit: 1999 for 19.99 USD; all that is left, if left out
    #[arg(long, value_name = "MINOR")]
    amount: Option<i64>,
    /// Why; kept with the order
    #[arg(long, default_value = "requested")]
    reason: String,
    /// The idempotency key: within 24 hours the same key with the same refund gives the money back once
    #[arg(long, value_name = "TEXT")]
    key: Option<String>,
}

/// Refunds.
pub async fn run(args: Args, client: &Client, global: &Global) -> Result<Exit> {
    let order = client.refund(&args.id, args.amount, &args.reason, args.key.as_deref()).await?;
    show::order(&order, global)
}
