//! `ordermill order import FILE`

use std::path::PathBuf;

use anyhow::Result;
use ordermill_client::Client;

use crate::command::Global;
use crate::exit::Exit;
use crate::import::{self, Input, Kind, await_outcomes};

/// Arguments of `order import`.
#[derive(clap::Args)]
#[command(after_help = "\
Each line is one order, as `POST /v1/orders` takes it:
  {\"order_ref\":\"4711\",\"customer_id\":\"ann\",\"lines\":[{\"product_id\":\"tea\",\"quantity\":2}]}

When the server goes away, the import waits for it to come back and goes on. Run it again at any time: an order with an \
`order_ref` that is there already is not placed twice. Refused lines go to a file with the reason of each, and the exit code \
is 3. An order that is taken and then rejected, for want of stock for instance, is no refused line.")]
pub struct Args {
    /// The file, plain or packed with gzip; `-` for standard input
    file: PathBuf,
    /// Where refused lines go, instead of FILE.refused.ndjson
    #[arg(long, value_name = "FILE")]
    refused: Option<PathBuf>,
    /// Wait until every order is decided, and count them by outcome
    #[arg(long, visible_alias = "watch")]
    wait: bool,
}

/// Imports orders.
pub async fn run(args: Args, client: &Client, global: &Global) -> Result<Exit> {
    let input = Input::named(&args.file);
    let refused = args.refused.unwrap_or_else(|| input.refused_path());
    let imported = import::import(client, Kind::Orders, &input, refused, args.wait, global.json).await?;
    let decided = match &imported.tally.order_ids {
        Some(ids) => await_outcomes(client, ids, global.json, None).await.map(Some),
        None => Ok(None),
    };
    // What was imported is told in any case: that the orders' outcomes are not known takes nothing from it.
    let exit = import::summarize(imported, decided.as_ref().ok().and_then(Option::as_ref), global)?;
    decided.map_err(|error| error.context("the orders are taken; what became of them could not be asked"))?;
    Ok(exit)
}
