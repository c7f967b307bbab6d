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
    #[arg(value_parser = super::get::order_id)]
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
    // An end that something has followed already, such as a cancellation, is none.
    let ahead = client.events(id).await?.events.len();
    let mut live = client.follow(id);
    let mut since = None;
    let mut seen = Seen { ahead, ..Seen::default() };
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
    /// Whether it was cancelled or sent back.
    is_undone: bool,
    /// Whether money is to be given back, or let go of, and that is not done yet.
    owes: bool,
    /// Events that are still to come of those that were there in the beginning.
    ahead: usize,
    waits_for_a_person: bool,
}

impl Seen {
    fn take(&mut self, event: &Event) {
        self.ahead = self.ahead.saturating_sub(1);
        self.is_undone |= matches!(event.kind.as_str(), "order.cancelled" | "order.returned");
        match event.kind.as_str() {
            "order.confirmed" | "order.rejected" | "order.cancelled" => {
                self.is_decided = true;
                // Each end has a mail of its own: one that was sent for an earlier state does not count.
                self.is_told = false;
            }
            "notification.sent" | "notification.skipped" | "notification.failed" => self.is_told = true,
            "payment.refund_requested" | "payment.void_requested" => self.owes = true,
            "payment.refunded"
            | "payment.refund_failed"
            | "payment.voided"
            | "payment.void_failed"
            | "payment.expired" => self.owes = false,
            "order.attention" => self.waits_for_a_person = true,
            "order.attention_cleared" => self.waits_for_a_person = false,
            _ => {}
        }
    }

    const fn is_enough(&self) -> bool {
        let is_settled = !(self.is_undone && self.owes);
        self.ahead == 0 && ((self.is_decided && self.is_told && is_settled) || self.waits_for_a_person)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_enough(kinds: &[&str]) -> bool {
        goes_so_far(0, kinds)
    }

    /// Whether an order of which so many events were there in the beginning is followed no further than these.
    fn goes_so_far(ahead: usize, kinds: &[&str]) -> bool {
        let mut seen = Seen { ahead, ..Seen::default() };
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

    #[test]
    fn a_cancelled_order_is_followed_until_its_money_is_back() {
        let kinds = [
            "order.confirmed",
            "notification.sent",
            "order.cancelled",
            "payment.refund_requested",
            "notification.sent",
            "payment.refunded",
        ];
        assert!(is_enough(&kinds[..2]), "what comes later is not waited for");
        for seen in 1..kinds.len() {
            assert!(!goes_so_far(kinds.len(), &kinds[..seen]), "{seen}: more was there in the beginning");
        }
        assert!(!is_enough(&kinds[..5]) && goes_so_far(kinds.len(), &kinds));
        assert!(is_enough(&["order.placed", "payment.void_requested", "order.rejected", "notification.sent"]));
    }
}
