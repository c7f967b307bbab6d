//! `ordermill stock …`

use anyhow::Result;
use ordermill_client::{Client, Stock};
use ordermill_core::limits::PAGE_ENTRIES_MAX;

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
    List {
        /// Products to show
        #[arg(long, default_value_t = 50, value_name = "N", conflicts_with = "all")]
        limit: usize,
        /// Show all of them
        #[arg(long)]
        all: bool,
    },
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
            Command::List { limit, all } => list(&client, if all { usize::MAX } else { limit }, global).await,
        }
    })
}

async fn list(client: &Client, limit: usize, global: &Global) -> Result<Exit> {
    let (mut cursor, mut levels) = (None::<String>, Vec::new());
    while levels.len() < limit {
        let page = client.stocks(cursor.as_deref(), Some((limit - levels.len()).min(PAGE_ENTRIES_MAX))).await?;
        levels.extend(page.stock);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    show(&levels, global)?;
    if cursor.is_some() && !global.json {
        output::line("There are more; --limit N or --all shows them.")?;
    }
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
