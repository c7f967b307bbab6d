//! `ordermill order resolve ID`

use anyhow::Result;
use ordermill_client::Client;

use super::show;
use crate::command::Global;
use crate::exit::Exit;

/// Arguments of `order resolve`.
#[derive(clap::Args)]
#[command(after_help = "\
For an order that waits for attention and that somebody has dealt with elsewhere, at the payment provider for instance. An order \
that is not decided yet can be retried or cancelled, but not resolved.")]
pub struct Args {
    /// The order's id
    #[arg(value_parser = super::get::order_id)]
    id: String,
    /// What was done; kept with the order
    #[arg(long)]
    note: Option<String>,
}

/// Resolves.
pub async fn run(args: Args, client: &Client, global: &Global) -> Result<Exit> {
    let order = client.resolve(&args.id, args.note.as_deref()).await?;
    show::order(&order, global)
}
