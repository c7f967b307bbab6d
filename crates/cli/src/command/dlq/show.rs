//! `ordermill dlq show ID`

use anyhow::Result;
use ordermill_client::Client;

use super::reason;
use crate::command::Global;
use crate::exit::Exit;
use crate::output;

/// Arguments of `dlq show`.
#[derive(clap::Args)]
pub struct Args {
    /// Its number, as `ordermill dlq list` shows it
    id: u64,
}

/// Shows.
pub async fn run(args: Args, client: &Client, global: &Global) -> Result<Exit> {
    let letter = client.dead_letter(args.id).await?;
    if global.json {
        output::json(&letter)?;
        return Ok(Exit::Ok);
    }
    let event = &letter.event;
    let rows = [
        ("id", letter.id.to_string()),
        ("role", letter.role.clone()),
        ("reason", reason(&letter)),
        ("tries", letter.tries.to_string()),
        ("given up", output::moment(letter.since)),
        ("event", event.id.clone()),
        ("type", event.kind.clone()),
        ("decided", output::moment(event.time)),
    ];
    for (name, value) in rows {
        output::line(format_args!("{name:<10} {value}"))?;
    }
    if event.data.is_null() {
        output::line("The event cannot be read; the server's log says why.")?;
    } else {
        output::line(serde_json::to_string_pretty(&event.data)?)?;
    }
    Ok(Exit::Ok)
}
