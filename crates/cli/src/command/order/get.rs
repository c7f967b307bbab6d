//! `ordermill order get ID`

use anyhow::Result;
use ordermill_client::Client;
use ordermill_core::id::OrderId;
use serde_json::json;

use super::show;
use crate::command::Global;
use crate::exit::Exit;
use crate::output;

/// Arguments of `order get`.
#[derive(clap::Args)]
pub struct Args {
    /// The order's id
    #[arg(value_parser = order_id)]
    id: String,
    /// Leave the timeline out
    #[arg(long)]
    no_events: bool,
}

/// Reads the id of an order. What support has in hand is often the shop's own number instead.
pub fn order_id(text: &str) -> Result<String, String> {
    match text.parse::<OrderId>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) if text.trim().is_empty() => Err("it is empty".to_owned()),
        Err(_) => Err(format!(
            "it is no id of an order, which looks like ord_0198…; `ordermill order list --text {text}` finds orders by their reference \
             or their customer"
        )),
    }
}

/// Shows an order with its timeline.
pub async fn run(args: Args, client: &Client, global: &Global) -> Result<Exit> {
    let order = client.order(&args.id).await?;
    if args.no_events {
        return show::order(&order, global);
    }
    let events = client.events(&args.id).await?.events;
    if global.json {
        let mut value = serde_json::to_value(&order)?;
        value["events"] = json!(events);
        output::json(&value)?;
        return Ok(Exit::Ok);
    }
    show::order(&order, global)?;
    output::line("")?;
    show::timeline(&events)?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_in_the_place_of_an_id_leads_to_the_list() {
        let hint = order_id("1001").expect_err("a reference");
        assert!(hint.contains("ordermill order list --text 1001"), "{hint}");
        assert!(order_id("").is_err());
        let id = OrderId::from_bytes([7; 16]).to_string();
        assert_eq!(order_id(&id), Ok(id));
    }
}
