//! `ordermill dlq …`: deliveries that a role has given up, and their second chance.

mod list;
mod redrive;
mod show;

use anyhow::Result;
use ordermill_client::{Client, DeadLetter, DeadLetterListing};
use ordermill_core::limits::PAGE_ENTRIES_MAX;

use super::{Global, ServerArgs, block_on};
use crate::exit::Exit;
use crate::output::count;

/// Arguments of `dlq`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List dead letters, oldest first, or count them by their cause.
    List(list::Args),
    /// Show one dead letter, with what its event says.
    Show(show::Args),
    /// Deliver dead letters again, with no tries counted.
    Redrive(redrive::Args),
}

/// Runs one of them.
pub fn run(args: Args, global: &Global) -> Result<Exit> {
    let client = args.server.client()?;
    block_on(async {
        match args.command {
            Command::List(args) => list::run(args, &client, global).await,
            Command::Show(args) => show::run(args, &client, global).await,
            Command::Redrive(args) => redrive::run(args, &client, global).await,
        }
    })
}

/// Fetches all that are listed, and hands each over.
async fn each(client: &Client, listing: &DeadLetterListing, mut take: impl FnMut(DeadLetter)) -> Result<()> {
    let mut cursor = None;
    loop {
        let page = client.dead_letters(listing, cursor.as_deref(), Some(PAGE_ENTRIES_MAX)).await?;
        page.dead_letters.into_iter().for_each(&mut take);
        cursor = page.next;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

/// Why it was given up, on one line.
fn reason(letter: &DeadLetter) -> String {
    letter.reason.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// `1 dead letter is`, `2 dead letters are`.
fn so_many(number: usize) -> String {
    let what = if number == 1 { "dead letter is" } else { "dead letters are" };
    format!("{} {what}", count(number as u64))
}
