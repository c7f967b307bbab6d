//! `ordermill order retry ID`

use anyhow::Result;
use ordermill_client::Client;

use super::show;
use crate::command::Global;
use crate::exit::Exit;

/// Arguments of `order retry`.
#[derive(clap::Args)]
#[command(after_help = "\
For an order that waits for attention: a void or refund the provider refused, a payment nobody knows the outcome of, a mail that \
was refused. `ordermill order list --attention` shows them all.")]
pub struct Args {
    /// The order's id
    #[arg(value_parser = super::get::order_id)]
    id: String,
}

/// Tries again.
pub async fn run(args: Args, client: &Client, global: &Global) -> Result<Exit> {
    let order = client.retry(&args.id).await?;
    show::order(&order, global)
}
