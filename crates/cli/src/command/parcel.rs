//! `ordermill parcel …`

use anyhow::{Context, Result};
use jiff::Timestamp;
use ordermill_client::{Client, Parcel};
use serde_json::json;

use super::order::timeline;
use super::pages::{self, PageArgs};
use super::{Global, ServerArgs, block_on};
use crate::exit::Exit;
use crate::output::{self, Align};

/// Arguments of `parcel`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Show one parcel with its timeline.
    Get {
        /// What the carrier calls it: an order's id, its reference, or a name of the carrier's own
        id: String,
        /// Leave the timeline out
        #[arg(long)]
        no_events: bool,
    },
    /// List parcels, those first reported last first.
    List {
        #[command(flatten)]
        pages: PageArgs,
        /// Only parcels in this state: picked_up, out_for_delivery, delivery_issue, delivered; may be repeated
        #[arg(long, value_delimiter = ',')]
        status: Vec<String>,
    },
    /// Report where a parcel was seen, as its carrier would; exit code 3 if it cannot be.
    Track(TrackArgs),
}

/// Arguments of `parcel track`.
#[derive(clap::Args)]
#[command(after_help = "\
Where the parcel is one of an order here, the order moves with it.

  ordermill parcel track ord_0198f3c2a1b47c3e9d5f6a7b8c9d0e1f picked_up
  ordermill parcel track shop-4711 delivered --at 2026-01-31T12:00:00Z")]
struct TrackArgs {
    /// What the carrier calls it: an order's id, its reference, or a name of the carrier's own
    id: String,
    /// Where it is: picked_up, out_for_delivery, delivery_issue, delivered
    status: String,
    /// When it was seen there; now, if left out
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

/// Runs one of them.
pub fn run(args: Args, global: &Global) -> Result<Exit> {
    let client = args.server.client()?;
    block_on(async {
        match args.command {
            Command::Get { id, no_events } => get(&id, !no_events, &client, global).await,
            Command::List { pages, status } => list(pages, &status, &client, global).await,
            Command::Track(args) => track(args, &client, global).await,
        }
    })
}

async fn get(id: &str, with_events: bool, client: &Client, global: &Global) -> Result<Exit> {
    let parcel = client.parcel(id).await?;
    let events = if with_events { Some(client.parcel_events(id).await?.events) } else { None };
    if global.json {
        let mut value = serde_json::to_value(&parcel)?;
        if let Some(events) = events {
            value["events"] = json!(events);
        }
        output::json(&value)?;
        return Ok(Exit::Ok);
    }
    let mut rows = vec![("parcel", parcel.parcel_id.clone()), ("status", parcel.status.clone())];
    rows.push(("seen", output::moment(parcel.seen_at)));
    rows.extend(parcel.delivered_at.map(|at| ("delivered", output::moment(at))));
    rows.extend(order_id(&parcel).map(|id| ("order", id.to_owned())));
    for (name, value) in rows {
        output::line(format_args!("{name:<10} {value}"))?;
    }
    if let Some(events) = events {
        output::line("")?;
        timeline(&events)?;
    }
    Ok(Exit::Ok)
}

/// The order it belongs to, when it is one of ours.
fn order_id(parcel: &Parcel) -> Option<&str> {
    parcel.other.get("order_id").and_then(|id| id.as_str())
}

async fn list(pages: PageArgs, statuses: &[String], client: &Client, global: &Global) -> Result<Exit> {
    let listed = pages
        .gather(async |cursor, limit| {
            client.parcels(statuses, cursor, limit).await.map(|page| (page.parcels, page.next))
        })
        .await?;
    if global.json {
        output::json_lines(&listed.entries)?;
        return Ok(Exit::Ok);
    }
    let row = |parcel: Parcel| {
        let order = order_id(&parcel).unwrap_or_default().to_owned();
        vec![parcel.parcel_id, parcel.status, output::moment(parcel.seen_at), order]
    };
    let columns = [("parcel", Align::Left), ("status", Align::Left), ("seen", Align::Left), ("order", Align::Left)];
    output::table(&columns, listed.entries.into_iter().map(row).collect())?;
    pages::hint(listed.is_more, global)?;
    Ok(Exit::Ok)
}

async fn track(args: TrackArgs, client: &Client, global: &Global) -> Result<Exit> {
    let seen_at = args.at.unwrap_or_else(|| Timestamp::now().to_string());
    let result = client.report_parcel(&args.id, &args.status, &seen_at).await?;
    let result = result.context("the server answered no result for the report")?;
    if global.json {
        output::json(&result)?;
    } else {
        let reason = result.reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
        output::line(format_args!("{}: {}{reason}", result.parcel_id, result.verdict))?;
    }
    Ok(if result.verdict == "refused" { Exit::Refused } else { Exit::Ok })
}
