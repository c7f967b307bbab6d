//! What the demonstration shows at its end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use ordermill_client::{Client, Event, Listing, Order};
use ordermill_config::{Config, Mail, Objects};
use ordermill_core::limits::PAGE_ENTRIES_MAX;
use ordermill_embedded::mail;
use serde_json::json;

use crate::assembly::Server;
use crate::command::{Global, order};
use crate::import::{Outcomes, print_outcomes};
use crate::output::{self, Align, count};

/// Everything that is shown.
pub struct Report {
    outcomes: Outcomes,
    elapsed: Duration,
    orders: usize,
    example: Option<(Order, Vec<Event>)>,
    waiting: Vec<Order>,
    mails: BTreeMap<&'static str, u64>,
    mail_path: PathBuf,
    archive_path: PathBuf,
    archived: usize,
    data: PathBuf,
    url: String,
    serves_on: bool,
}

impl Report {
    /// Looks at the server, the mail store and the archive.
    pub async fn gather(
        server: &Server,
        client: &Client,
        config: &Config,
        ids: &[String],
        outcomes: Outcomes,
        elapsed: Duration,
        serves_on: bool,
    ) -> Result<Self> {
        let (Mail::Mbox(mail_path) | Mail::Maildir(mail_path)) = &config.mail;
        let Objects::File(archive_path) = &config.objects;
        let waiting = Listing { attention: Some(true), limit: Some(PAGE_ENTRIES_MAX), ..Listing::default() };
        Ok(Self {
            outcomes,
            elapsed,
            orders: ids.len(),
            example: example(client).await?,
            waiting: client.orders(&waiting).await?.orders,
            mails: mails(server, config).await?,
            mail_path: mail_path.clone(),
            archive_path: archive_path.clone(),
            archived: server.parts.objects.list("archive").await?.len(),
            data: config.data.clone(),
            url: client.base().to_owned(),
            serves_on,
        })
    }

    /// Prints it.
    pub fn print(&self, global: &Global) -> Result<()> {
        if global.json {
            return self.print_json();
        }
        let seconds = self.elapsed.as_secs_f64();
        output::line(format_args!("\n{} orders placed and followed to their end in {seconds:.1} s\n", self.orders))?;
        print_outcomes(&self.outcomes)?;
        if let Some((example, events)) = &self.example {
            let reason = example.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            output::line(format_args!("\nOrder {}, {}{reason}:\n", example.order_id, example.status))?;
            order::timeline(events)?;
        }
        output::line("")?;
        let mails = self.mails.iter().map(|(kind, mails)| vec![(*kind).to_owned(), count(*mails)]).collect();
        output::table(&[("mail", Align::Left), ("sent", Align::Right)], mails)?;
        self.print_waiting()?;
        self.print_places()
    }

    fn print_waiting(&self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        output::line(format_args!("\n{} orders wait for a person:\n", self.waiting.len()))?;
        let rows = self.waiting.iter().map(|order| {
            let (step, reason) = match &order.attention {
                Some(attention) => (attention.step.clone(), attention.reason.clone()),
                None => (String::new(), String::new()),
            };
            vec![order.order_id.clone(), order.status.clone(), step, reason]
        });
        let columns =
            [("order", Align::Left), ("status", Align::Left), ("step", Align::Left), ("what happened", Align::Left)];
        output::table(&columns, rows.collect())?;
        Ok(())
    }

    fn print_places(&self) -> Result<()> {
        let data = self.data.display();
        output::line(format_args!("\nmails    {}", self.mail_path.display()))?;
        output::line(format_args!("archive  {} ({} orders)", self.archive_path.display(), self.archived))?;
        output::line(format_args!("ledger   {data}/ordermill.db"))?;
        let url = &self.url;
        if self.serves_on {
            output::line(format_args!("\nLook further while it serves, at {url}, in another terminal:"))?;
            output::line(format_args!("  ordermill order list --status rejected --url {url}"))?;
            output::line(format_args!("  curl '{url}/v1/orders?attention=true'"))?;
            output::line("and when it has ended:")?;
        } else {
            output::line("\nLook further:")?;
        }
        output::line(format_args!("  ordermill doctor --data {data}"))?;
        output::line(format_args!("  ordermill serve --data {data}\n"))?;
        Ok(())
    }

    fn print_json(&self) -> Result<()> {
        output::json(&json!({
            "url": self.url,
            "orders": self.orders,
            "seconds": self.elapsed.as_secs_f64(),
            "outcomes": self.outcomes,
            "example": self.example.as_ref().map(|(order, events)| json!({ "order": order, "events": events })),
            "mails": self.mails,
            "waiting": self.waiting,
            "data": self.data,
            "mail_path": self.mail_path,
            "archive_path": self.archive_path,
            "archived": self.archived,
        }))?;
        Ok(())
    }
}

/// An order whose story is worth telling: one that was short of stock, so that its money was let go of again.
async fn example(client: &Client) -> Result<Option<(Order, Vec<Event>)>> {
    let rejected =
        Listing { statuses: vec!["rejected".to_owned()], limit: Some(PAGE_ENTRIES_MAX), ..Listing::default() };
    let mut orders = client.orders(&rejected).await?.orders;
    let is_example = |order: &Order| order.reason.as_deref() == Some("out_of_stock") && order.attention.is_none();
    let short = orders.iter().position(is_example).unwrap_or(0);
    if orders.is_empty() {
        return Ok(None);
    }
    let order = orders.swap_remove(short);
    let events = client.events(&order.order_id).await?.events;
    Ok(Some((order, events)))
}

/// Mails in the store itself, by kind: what was handed over, not what we believe we sent.
async fn mails(server: &Server, config: &Config) -> Result<BTreeMap<&'static str, u64>> {
    let committed = server.parts.queries.mailbox_end().await?;
    let mut mails = BTreeMap::new();
    let mut visit = |mail: ordermill_ports::audit::StoredMail| {
        *mails.entry(mail.kind.map_or("other", |kind| kind.as_str())).or_default() += 1;
        Ok(())
    };
    match &config.mail {
        Mail::Mbox(path) => mail::scan_mbox(path, committed, &mut visit),
        Mail::Maildir(path) => mail::scan_maildir(path, &mut visit),
    }
    .context("the mails cannot be counted")?;
    Ok(mails)
}
