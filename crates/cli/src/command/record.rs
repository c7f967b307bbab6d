//! `ordermill record …`

use anyhow::Result;
use ordermill_client::{Client, Record, RecordListing};

use super::pages::{self, PageArgs};
use super::{Global, ServerArgs, block_on};
use crate::exit::Exit;
use crate::output::{self, Align};

/// Arguments of `record`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List records, newest first.
    List(ListArgs),
    /// Show one record with its data.
    Get {
        /// The record's id
        id: String,
    },
}

/// Arguments of `record list`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  ordermill record list --queued                             what waits to be written
  ordermill record list --from 2026-01-31T00:00:00Z --all    what was taken since then")]
struct ListArgs {
    #[command(flatten)]
    pages: PageArgs,
    /// Only records whose object is written
    #[arg(long, conflicts_with = "queued")]
    stored: bool,
    /// Only records whose object is not written yet
    #[arg(long)]
    queued: bool,
    /// Only records taken at this time or later, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only records taken before this time
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
}

/// Runs one of them.
pub fn run(args: Args, global: &Global) -> Result<Exit> {
    let client = args.server.client()?;
    block_on(async {
        match args.command {
            Command::List(args) => list(args, &client, global).await,
            Command::Get { id } => get(&client.record(&id).await?, global),
        }
    })
}

async fn list(args: ListArgs, client: &Client, global: &Global) -> Result<Exit> {
    let stored = (args.stored || args.queued).then_some(args.stored);
    let listing = RecordListing { stored, from: args.from, to: args.to };
    let listed = args
        .pages
        .gather(async |cursor, limit| {
            client.records(&listing, cursor, limit).await.map(|page| (page.records, page.next))
        })
        .await?;
    if global.json {
        output::json_lines(&listed.entries)?;
        return Ok(Exit::Ok);
    }
    let rows = listed.entries.into_iter().map(|record| {
        let tries = record.attempts.map(|attempts| attempts.to_string()).unwrap_or_default();
        let key = record.key.unwrap_or_default();
        vec![record.record_id, record.status, output::moment(record.received_at), tries, key]
    });
    let columns = [
        ("record", Align::Left),
        ("status", Align::Left),
        ("taken", Align::Left),
        ("tries", Align::Right),
        ("object", Align::Left),
    ];
    output::table(&columns, rows.collect())?;
    pages::hint(listed.is_more, global)?;
    Ok(Exit::Ok)
}

fn get(record: &Record, global: &Global) -> Result<Exit> {
    if global.json {
        output::json(record)?;
        return Ok(Exit::Ok);
    }
    let mut rows = vec![("record", record.record_id.clone()), ("status", record.status.clone())];
    rows.push(("taken", output::moment(record.received_at)));
    rows.extend(record.key.clone().map(|key| ("object", key)));
    rows.extend(record.attempts.map(|attempts| ("tries", attempts.to_string())));
    for (name, value) in rows {
        output::line(format_args!("{name:<10} {value}"))?;
    }
    output::line(serde_json::to_string_pretty(&record.data)?)?;
    Ok(Exit::Ok)
}
