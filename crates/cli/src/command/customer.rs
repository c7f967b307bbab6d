//! `ordermill customer …`

use anyhow::Result;
use ordermill_client::{Client, Customer};
use serde_json::json;

use super::pages::{self, PageArgs};
use super::{Global, ServerArgs, block_on};
use crate::exit::Exit;
use crate::output::{self, Align};

/// Arguments of `customer`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Add or change one customer.
    Set(SetArgs),
    /// Show one customer.
    Get {
        /// The customer's id
        id: String,
        /// Also when they were deleted
        #[arg(long)]
        deleted: bool,
    },
    /// List customers by id.
    List {
        #[command(flatten)]
        pages: PageArgs,
        /// Who was deleted, too
        #[arg(long)]
        deleted: bool,
    },
    /// Delete one customer; orders keep naming them, and `customer set` brings them back.
    Delete {
        /// The customer's id
        id: String,
    },
}

/// Arguments of `customer set`.
#[derive(clap::Args)]
#[command(after_help = "  ordermill customer set ann --name \"Ann Example\" --email ann@example.com")]
struct SetArgs {
    /// The customer's id
    id: String,
    /// How they are called
    #[arg(long)]
    name: String,
    /// Where mails go
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// Where parcels go
    #[arg(long, value_name = "TEXT")]
    address: Option<String>,
}

/// Runs one of them.
pub fn run(args: Args, global: &Global) -> Result<Exit> {
    let client = args.server.client()?;
    block_on(async {
        match args.command {
            Command::Set(args) => set(args, &client, global).await,
            Command::Get { id, deleted } => show(&[client.customer(&id, deleted).await?], global),
            Command::List { pages, deleted } => list(pages, deleted, &client, global).await,
            Command::Delete { id } => show(&[client.delete_customer(&id).await?], global),
        }
    })
}

async fn set(args: SetArgs, client: &Client, global: &Global) -> Result<Exit> {
    let mut body = json!({ "name": args.name });
    for (field, value) in [("email", args.email), ("address", args.address)] {
        if let Some(value) = value {
            body[field] = value.into();
        }
    }
    show(&[client.put_customer(&args.id, &body).await?], global)
}

async fn list(pages: PageArgs, deleted: bool, client: &Client, global: &Global) -> Result<Exit> {
    let listed = pages
        .gather(async |cursor, limit| {
            client.customers(deleted, cursor, limit).await.map(|page| (page.customers, page.next))
        })
        .await?;
    show(&listed.entries, global)?;
    pages::hint(listed.is_more, global)?;
    Ok(Exit::Ok)
}

fn show(customers: &[Customer], global: &Global) -> Result<Exit> {
    if global.json {
        output::json_lines(customers)?;
        return Ok(Exit::Ok);
    }
    let rows = customers.iter().map(|customer| {
        let deleted = if customer.deleted { "deleted" } else { "" };
        let email = customer.email.clone().unwrap_or_default();
        vec![customer.customer_id.clone(), customer.name.clone(), email, deleted.to_owned()]
    });
    let columns = [("customer", Align::Left), ("name", Align::Left), ("mail", Align::Left), ("", Align::Left)];
    output::table(&columns, rows.collect())?;
    Ok(Exit::Ok)
}
