//! `ordermill product …`

mod seed;

use std::path::PathBuf;

use anyhow::Result;
use ordermill_client::{Client, Product};
use serde_json::json;

use super::pages::{self, PageArgs};
use super::{Global, ServerArgs, block_on};
use crate::exit::Exit;
use crate::import::{self, Input, Kind};
use crate::output::{self, Align};

/// Arguments of `product`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Add or change many products from a file, one JSON object a line.
    Import(ImportArgs),
    /// Add or change one product.
    Set(SetArgs),
    /// List products by id.
    List(PageArgs),
    /// Show one product.
    Get(GetArgs),
    /// Take one product out of the catalogue; its orders go on, and `product set` brings it back.
    Delete(GetArgs),
    /// Add the two sample products of the order API, with stock.
    Seed(seed::Args),
}

/// Arguments of `product import`.
#[derive(clap::Args)]
#[command(after_help = "\
Each line is one product:
  {\"product_id\":\"tea\",\"name\":\"Tea\",\"price\":{\"amount_minor\":1999,\"currency\":\"USD\"},\"stock\":9}

`stock` opens the stock of a product where none was ever set, and changes nothing later, so the same file can be imported again. \
Refused lines go to a file with the reason of each, and the exit code is 3.")]
struct ImportArgs {
    /// The file, plain or packed with gzip; `-` for standard input
    file: PathBuf,
    /// Where refused lines go, instead of FILE.refused.ndjson
    #[arg(long, value_name = "FILE")]
    refused: Option<PathBuf>,
}

/// Arguments of `product set`.
#[derive(clap::Args)]
#[command(after_help = "  ordermill product set tea --name \"Green tea\" --price 1999 --currency USD --stock 100")]
struct SetArgs {
    /// The product's id
    id: String,
    /// Its name
    #[arg(long)]
    name: String,
    /// The price of one unit in the currency's minor unit: 1999 for 19.99 USD
    #[arg(long, value_name = "MINOR_UNITS")]
    price: i64,
    /// The currency, ISO 4217
    #[arg(long, default_value = "USD")]
    currency: String,
    /// Longer text
    #[arg(long)]
    description: Option<String>,
    /// It cannot be ordered at present
    #[arg(long)]
    inactive: bool,
    /// Set its stock as well, in units
    #[arg(long, value_name = "UNITS")]
    stock: Option<i64>,
}

/// Arguments of `product get` and `product delete`.
#[derive(clap::Args)]
struct GetArgs {
    /// The product's id
    id: String,
}

/// Runs one of them.
pub fn run(args: Args, global: &Global) -> Result<Exit> {
    let client = args.server.client()?;
    block_on(async {
        match args.command {
            Command::Import(args) => import_file(args, &client, global).await,
            Command::Set(args) => set(args, &client, global).await,
            Command::List(args) => list(args, &client, global).await,
            Command::Delete(args) => show(&[client.delete_product(&args.id).await?], global),
            Command::Seed(args) => show(&seed::run(args, &client).await?, global),
            Command::Get(args) => show(&[client.product(&args.id).await?], global),
        }
    })
}

async fn import_file(args: ImportArgs, client: &Client, global: &Global) -> Result<Exit> {
    let input = Input::named(&args.file);
    let refused = args.refused.unwrap_or_else(|| input.refused_path());
    let imported = import::import(client, Kind::Products, &input, refused, false, global.json).await?;
    import::summarize(imported, None, global)
}

async fn set(args: SetArgs, client: &Client, global: &Global) -> Result<Exit> {
    let mut body = json!({
        "name": args.name,
        "price": { "amount_minor": args.price, "currency": args.currency },
        "active": !args.inactive,
    });
    if let Some(description) = args.description {
        body["description"] = description.into();
    }
    let product = client.put_product(&args.id, &body).await?;
    if let Some(units) = args.stock {
        client.set_stock(&args.id, units).await?;
    }
    show(&[product], global)
}

async fn list(pages: PageArgs, client: &Client, global: &Global) -> Result<Exit> {
    let listed = pages
        .gather(async |cursor, limit| client.products(cursor, limit).await.map(|page| (page.products, page.next)))
        .await?;
    show(&listed.entries, global)?;
    pages::hint(listed.is_more, global)?;
    Ok(Exit::Ok)
}

fn show(products: &[Product], global: &Global) -> Result<Exit> {
    if global.json {
        output::json_lines(products)?;
        return Ok(Exit::Ok);
    }
    let rows = products.iter().map(|product| {
        let active = match (product.deleted, product.active) {
            (true, _) => "deleted",
            (false, false) => "not sold at present",
            (false, true) => "",
        };
        vec![product.product_id.clone(), product.name.clone(), output::money(&product.price), active.to_owned()]
    });
    let columns = [("product", Align::Left), ("name", Align::Left), ("price", Align::Right), ("", Align::Left)];
    output::table(&columns, rows.collect())?;
    Ok(Exit::Ok)
}
