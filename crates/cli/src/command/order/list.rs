//! `ordermill order list`

use anyhow::Result;
use ordermill_client::{Client, Listing};
use ordermill_core::limits::PAGE_ENTRIES_MAX;

use crate::command::Global;
use crate::exit::Exit;
use crate::output::{self, Align};

/// Arguments of `order list`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  ordermill order list --attention                     what waits for a person
  ordermill order list --status rejected --limit 10    the last ten rejected ones
  ordermill order list --json --all | jq .order_id     every order there is")]
pub struct Args {
    /// Only orders in this state: placed, authorized, reserved, confirmed, shipped, delivered, rejected, cancelled, returned; may be
    /// repeated
    #[arg(long, value_delimiter = ',')]
    status: Vec<String>,
    /// Only orders that wait for a person
    #[arg(long)]
    attention: bool,
    /// Only orders of this customer
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
    /// Only orders taken at this time or later, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only orders taken before this time
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Only orders with exactly this order id, order reference or customer id
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// Orders to show
    #[arg(long, default_value_t = 50, value_name = "N", conflicts_with = "all")]
    limit: usize,
    /// Show all of them
    #[arg(long)]
    all: bool,
}

/// Lists.
pub async fn run(args: Args, client: &Client, global: &Global) -> Result<Exit> {
    let mut left = if args.all { usize::MAX } else { args.limit };
    let mut listing = Listing {
        statuses: args.status,
        attention: args.attention.then_some(true),
        customer_id: args.customer,
        from: args.from,
        to: args.to,
        text: args.text,
        ..Listing::default()
    };
    let mut rows = Vec::new();
    let mut is_more = false;
    while left > 0 {
        listing.limit = Some(left.min(PAGE_ENTRIES_MAX));
        let page = client.orders(&listing).await?;
        left = left.saturating_sub(page.orders.len());
        is_more = page.next.is_some();
        if global.json {
            output::json_lines(&page.orders)?;
        } else {
            rows.extend(page.orders.iter().map(|order| {
                let waits =
                    order.attention.as_ref().map(|attention| format!("{}: {}", attention.step, attention.reason));
                vec![
                    order.order_id.clone(),
                    order.status.clone(),
                    // An order that has ended can wait for a person, too.
                    [order.reason.clone(), waits].into_iter().flatten().collect::<Vec<_>>().join("; "),
                    output::money(&order.total),
                    order.lines.len().to_string(),
                    order.customer_id.clone(),
                    order.order_ref.clone().unwrap_or_default(),
                    output::moment(order.created_at),
                ]
            }));
        }
        listing.cursor = page.next;
        if listing.cursor.is_none() {
            break;
        }
    }
    if !global.json {
        let columns = [
            ("order", Align::Left),
            ("status", Align::Left),
            ("reason", Align::Left),
            ("total", Align::Right),
            ("lines", Align::Right),
            ("customer", Align::Left),
            ("reference", Align::Left),
            ("taken", Align::Left),
        ];
        output::table(&columns, rows)?;
        if is_more {
            output::line("There are more; --limit N or --all shows them.")?;
        }
    }
    Ok(Exit::Ok)
}
