//! `ordermill order watch ID`

use anyhow::Result;
use ordermill_client::{Client, Event};

use super::show;
use crate::command::Global;
use crate::exit::Exit;
use crate::output;

/// Arguments of `order watch`.
#[derive(clap::Args)]
#[command(after_help = "\
A stream that breaks off is taken up again where it was, also across a restart of the server.")]
pub struct Args {
    /// The order's id
    id: String,
    /// Go on when the order is decided and its customer is told, until Ctrl-C
    #[arg(long)]
    forever: bool,
}

/// Follows.
pub async fn run(args: Args, client: &Client, global: &Global) -> Result<Exit> {
    follow(client, &args.id, args.forever, global).await?;
    Ok(Exit::Ok)
}

/// Shows the events of an order as they happen, until it is decided and its customer is told, or somebody has to see to it.
pub async fn follow(client: &Client, id: &str, is_forever: bool, global: &Global) -> Result<()> {
    let mut live = client.follow(id);
    let mut since = None;
    let mut seen = Seen::default();
    loop {
        let event = live.next().await?;
        if global.json {
            output::json(&event)?;
        } else {
            output::line(show::line(&event, *since.get_or_insert(event.time)))?;
        }
        seen.take(&event);
        if !is_forever && seen.is_enough() {
            return Ok(());
        }
    }
}

/// What was seen of an order.
#[derive(Debug, Default)]
struct Seen {
    is_decided: bool,
    is_told: bool,
    waits_for_a_person: bool,
}

impl Seen {
    fn take(&mut self, event: &Event) {
        match event.kind.as_str() {
            "order.confirmed" | "order.rejected" | "order.cancelled" => {
                self.is_decided = true;
                // Each end has a mail of its own: one that was sent for an earlier state does not count.
                self.is_told = false;
            }
            "notification.sent" | "notification.skipped" | "notification.failed" => self.is_told = true,
            "order.attention" => self.waits_for_a_person = true,
            "order.attention_cleared" => self.waits_for_a_person = false,
            _ => {}
        }
    }

    const fn is_enough(&self) -> bool {
        (self.is_decided && self.is_told) || self.waits_for_a_person
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_enough(kinds: &[&str]) -> bool {
        let mut seen = Seen::default();
        for kind in kinds {
            let json = serde_json::json!({ "id": "1", "type": kind, "time": "2026-01-01T00:00:00Z", "data": {} });
            seen.take(&serde_json::from_value(json).expect("an event"));
        }
        seen.is_enough()
    }

    #[test]
    fn an_order_is_followed_until_its_customer_knows() {
        assert!(!is_enough(&["order.placed", "payment.captured", "order.confirmed"]));
        assert!(is_enough(&["order.placed", "order.confirmed", "notification.sent"]));
        assert!(is_enough(&["order.rejected", "notification.skipped"]));
        assert!(!is_enough(&["order.confirmed", "notification.sent", "order.cancelled"]));
        assert!(is_enough(&["order.placed", "order.attention"]));
        assert!(!is_enough(&["order.placed", "order.attention", "order.attention_cleared"]));
    }
}
