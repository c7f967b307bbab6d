//! `ordermill order …`

mod cancel;
mod get;
mod import;
mod list;
mod place;
mod refund;
mod resolve;
mod retry;
mod returning;
mod show;
mod watch;

use anyhow::Result;

use super::{Global, ServerArgs, block_on};
use crate::exit::Exit;

pub use show::{event_line, timeline};

/// Arguments of `order`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Place one order.
    Place(place::Args),
    /// Place many orders from a file, one JSON object a line.
    Import(import::Args),
    /// Show one order with its timeline.
    Get(get::Args),
    /// List orders, newest first.
    List(list::Args),
    /// Follow one order live until it is decided and its customer is told.
    Watch(watch::Args),
    /// Call an order off.
    Cancel(cancel::Args),
    /// Give money back.
    Refund(refund::Args),
    /// Take goods back.
    Return(returning::Args),
    /// Try again what an order waits for.
    Retry(retry::Args),
    /// Leave what an order waits for as it is: somebody dealt with it.
    Resolve(resolve::Args),
}

/// Runs one of them.
pub fn run(args: Args, global: &Global) -> Result<Exit> {
    let client = args.server.client()?;
    block_on(async {
        match args.command {
            Command::Place(args) => place::run(args, &client, global).await,
            Command::Import(args) => import::run(args, &client, global).await,
            Command::Get(args) => get::run(args, &client, global).await,
            Command::List(args) => list::run(args, &client, global).await,
            Command::Watch(args) => watch::run(args, &client, global).await,
            Command::Cancel(args) => cancel::run(args, &client, global).await,
            Command::Refund(args) => refund::run(args, &client, global).await,
            Command::Return(args) => returning::run(args, &client, global).await,
            Command::Retry(args) => retry::run(args, &client, global).await,
            Command::Resolve(args) => resolve::run(args, &client, global).await,
        }
    })
}
