//! `ordermill order cancel ID`

use anyhow::Result;
use ordermill_client::Client;

use super::show;
use crate::command::Global;
use crate::exit::Exit;

/// Arguments of `order cancel`.
#[derive(clap::Args)]
#[command(after_help = "\
It acts at once: stock is released, held money let go of, captured money given back. A shipped order cannot be cancelled.")]
pub struct Args {
    /// The order's id
    #[arg(value_parser = super::get::order_id)]
    id: String,
    /// Why; the customer is told
    #[arg(long, default_value = "requested")]
    reason: String,
}

/// Cancels.
pub async fn run(args: Args, client: &Client, global: &Global) -> Result<Exit> {
    let order = client.cancel(&args.id, &args.reason).await?;
    show::order(&order, global)
}
