//! `ordermill order get ID`

use anyhow::Result;
use ordermill_client::Client;
use serde_json::json;

use super::show;
use crate::command::Global;
use crate::exit::Exit;
use crate::output;

/// Arguments of `order get`.
#[derive(clap::Args)]
pub struct Args {
    /// The order's id
    id: String,
    /// Leave the timeline out
    #[arg(long)]
    no_events: bool,
}

/// Shows an order with its timeline.
pub async fn run(args: Args, client: &Client, global: &Global) -> Result<Exit> {
    let order = client.order(&args.id).await?;
    if args.no_events {
        return show::order(&order, global);
    }
    let events = client.events(&args.id).await?.events;
    if global.json {
        let mut value = serde_json::to_value(&order)?;
        value["events"] = json!(events);
        output::json(&value)?;
        return Ok(Exit::Ok);
    }
    show::order(&order, global)?;
    output::line("")?;
    show::timeline(&events)?;
    Ok(Exit::Ok)
}
