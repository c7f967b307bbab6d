//! `ordermill stock …`

use anyhow::Result;
use ordermill_client::{Client, Stock};

use super::pages::{self, PageArgs};
use super::{Global, ServerArgs, block_on};
use crate::exit::Exit;
use crate::output::{self, Align};

/// Arguments of `stock`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Show the stock of one product.
    Get {
        /// The product's id
        id: String,
    },
    /// Set the units available, whatever they were.
    Set {
        /// The product's id
        id: String,
        /// Units available from now on
        units: i64,
    },
    /// Change the units available by a difference.
    Adjust {
        /// The product's id
        id: String,
        /// The difference in units: 5, or -3
        #[arg(allow_negative_numbers = true)]
        delta: i64,
        /// Why; kept in the history of the product
        #[arg(long, default_value = "adjusted by hand")]
        reason: String,
        /// The idempotency key: the same key with the same change changes it once
        #[arg(long, value_name = "TEXT")]
        key: Option<String>,
    },
    /// List the stock of all products, by id.
    List(PageArgs),
}

/// Runs one of them.
pub fn run(args: Args, global: &Global) -> Result<Exit> {
    let client = args.server.client()?;
    block_on(async {
        match args.command {
            Command::Get { id } => show(&[client.stock(&id).await?], global),
            Command::Set { id, units } => show(&[client.set_stock(&id, units).await?], global),
            Command::Adjust { id, delta, reason, key } => {
                show(&[client.adjust_stock(&id, delta, &reason, key.as_deref()).await?], global)
            }
            Command::List(pages) => list(pages, &client, global).await,
        }
    })
}

async fn list(pages: PageArgs, client: &Client, global: &Global) -> Result<Exit> {
    let listed = pages
        .gather(async |cursor, limit| client.stocks(cursor, limit).await.map(|page| (page.stock, page.next)))
        .await?;
    show(&listed.entries, global)?;
    pages::hint(listed.is_more, global)?;
    Ok(Exit::Ok)
}

fn show(levels: &[Stock], global: &Global) -> Result<Exit> {
    if global.json {
        output::json_lines(levels)?;
        return Ok(Exit::Ok);
    }
    let rows = levels.iter().map(|level| {
        let units = [level.available, level.reserved, level.sold].map(|units| units.to_string());
        std::iter::once(level.product_id.clone()).chain(units).collect()
    });
    let columns =
        [("product", Align::Left), ("available", Align::Right), ("reserved", Align::Right), ("sold", Align::Right)];
    output::table(&columns, rows.collect())?;
    Ok(Exit::Ok)
}
