//! What can be asked for, and what goes together.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use ordermill_core::limits::TRACKING_REPORTS_MAX;

use super::bus::BusUrl;
use super::cluster::Layout;
use super::figures::Variant;
use super::ledger::LedgerKind;
use super::load::Shape;
use super::measure::Plan;
use super::shop::Goods;
use crate::exit::Usage;

/// Arguments of `bench`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Connections that are kept open; in a closed loop each has one request under way
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) connections: u16,
    /// Send this many orders a second, however fast the answers are (an open loop), timed from when each was due
    #[arg(long, value_name = "PER_SECOND", value_parser = positive)]
    pub(super) rate: Option<f64>,
    /// How long to measure, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = positive)]
    pub(super) duration: f64,
    /// How long to load the server before measuring, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = positive)]
    pub(super) warm_up: f64,
    /// Lines of each order
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=500))]
    pub(super) lines: u64,
    /// Products, each with plenty of stock
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) products: u64,
    /// Percent of the orders that have one product in common
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(..=100))]
    pub(super) hot_product: u8,
    /// Where the server keeps its ledger: sqlite, memory, or a database postgres://USER@HOST:PORT/DATABASE, in which each run makes
    /// a schema of its own and removes it
    #[arg(long, value_name = "LEDGER", default_value = "sqlite")]
    pub(super) ledger: LedgerKind,
    /// Kafka between a ledger on PostgreSQL and its roles: kafka://HOST:PORT[?OPTIONS], with the options of `bus`. Each run makes topics
    /// and consumer groups of its own and removes them
    #[arg(long, value_name = "URL")]
    pub(super) bus: Option<BusUrl>,
    /// With --bus: run the same without Kafka, too, and print the ratio
    #[arg(long, requires = "bus")]
    pub(super) compare_ledger: bool,
    /// Run so many servers on the one PostgreSQL ledger, each with every role, with a maildir and a payment sandbox that they share;
    /// otherwise one with a mail file and a sandbox of its own
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=16), conflicts_with = "tracking")]
    pub(super) processes: Option<u16>,
    /// With --processes N: the roles apart, as in docs/operations.md, so three times N servers: N with the role api, N with payments,
    /// inventory, sweeper and relay, and N with notifications, archive, tracking and records
    #[arg(long, requires = "processes")]
    pub(super) split: bool,
    /// Where the servers' data directories are made and left; otherwise beside the current directory, and removed. With --url the
    /// data directory of that server, so that its mails can be counted
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// Load this server instead of starting one
    #[arg(long, value_name = "URL", conflicts_with_all = ["echo", "compare_memory", "prefill", "import", "ledger", "bus", "env"])]
    pub(super) url: Option<String>,
    /// Run a bare JSON echo beside it with the same client, and print the ratio
    #[arg(long, conflicts_with = "import")]
    pub(super) echo: bool,
    /// Run the same on a ledger in memory, which shows what durability costs
    #[arg(long)]
    pub(super) compare_memory: bool,
    /// Store this many finished orders first. They are archived in the background, also while the load runs, unless that role is
    /// left out: --env ORDERMILL_ROLES=api,payments,inventory,notifications,sweeper
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) prefill: u64,
    /// Measure importing and fulfilling this file of orders instead, packed or plain, and tell what the shop has come to: orders, mails,
    /// money and units, the same on every ledger where nothing is short
    #[arg(long, value_name = "FILE")]
    pub(super) import: Option<PathBuf>,
    /// The products for --import; otherwise products.ndjson.gz beside its file
    #[arg(long, value_name = "FILE", requires = "import")]
    pub(super) import_products: Option<PathBuf>,
    /// Measure reports of parcels instead of orders, in batches over many parcels that walk from the warehouse to their door
    #[arg(long, conflicts_with_all = ["rate", "echo", "compare_memory", "prefill", "import"])]
    pub(super) tracking: bool,
    /// Reports in each batch of --tracking
    #[arg(long, value_name = "N", default_value_t = 100, requires = "tracking", value_parser = batch)]
    pub(super) batch: usize,
    /// How often to measure; the run in the middle is shown, with the slowest and the fastest
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) runs: u16,
    /// An option of the server as environment, such as ORDERMILL_ARCHIVE__SHARE_PERCENT=1; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) env: Vec<String>,
    /// Serve the echo (for the benchmark itself)
    #[arg(long, hide = true, value_name = "ADDRESS")]
    pub(super) echo_server: Option<SocketAddr>,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number <= 1e9 => Ok(number),
        _ => Err("must be a number above zero".to_owned()),
    }
}

fn batch(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (1..=TRACKING_REPORTS_MAX).contains(&number) => Ok(number),
        _ => Err(format!("must be from 1 to {TRACKING_REPORTS_MAX}")),
    }
}

impl Args {
    /// Refuses what goes together on no ledger, or not on this one.
    pub(super) fn check(&self) -> Result<(), Usage> {
        let is_postgres = matches!(self.ledger, LedgerKind::Postgres(_));
        let refuse = |what: &str| Err(Usage(what.to_owned()));
        if self.processes.is_some() && !is_postgres {
            return refuse("--processes: only a ledger on PostgreSQL is shared; name one with --ledger");
        }
        if self.bus.is_some() && !is_postgres {
            return refuse("--bus: Kafka carries the events of a ledger on PostgreSQL; name one with --ledger");
        }
        if self.split && self.env.iter().any(|setting| setting.starts_with("ORDERMILL_ROLES=")) {
            return refuse("--split says which roles run where; leave --env ORDERMILL_ROLES out");
        }
        if is_postgres && (self.prefill > 0 || self.tracking) {
            return refuse("--prefill and --tracking measure a ledger in a file; leave --ledger out");
        }
        Ok(())
    }

    pub(super) fn plan(&self) -> Result<Plan> {
        let environment = self.env.iter().map(|setting| {
            let (name, value) =
                setting.split_once('=').ok_or_else(|| Usage(format!("--env {setting}: must be NAME=VALUE")))?;
            Ok((name.to_owned(), value.to_owned()))
        });
        // Whatever is slow is to show in the figures, not in a log that grows beside them.
        let log_level = ("ORDERMILL_LOG__LEVEL".to_owned(), "warn".to_owned());
        let environment = std::iter::once(Ok(log_level)).chain(environment).collect::<Result<_, Usage>>()?;
        Ok(Plan {
            layout: self.layout(),
            shape: Shape {
                connections: usize::from(self.connections),
                rate: self.rate,
                warm_up: Duration::from_secs_f64(self.warm_up),
                duration: Duration::from_secs_f64(self.duration),
            },
            goods: Goods { products: self.products, lines: self.lines, hot_percent: self.hot_product },
            environment,
            stored_before: 0,
        })
    }

    /// What is run in turn.
    pub(super) fn variants(&self) -> Vec<Variant> {
        let own = if self.bus.is_some() { Variant::PostgresKafka } else { self.ledger.variant() };
        let ledger = self.compare_ledger.then_some(Variant::Postgres);
        let memory = (self.compare_memory && own != Variant::Memory).then_some(Variant::Memory);
        let echo = self.echo.then_some(Variant::Echo);
        std::iter::once(own).chain(ledger).chain(memory).chain(echo).collect()
    }

    /// The processes of the variant that is measured, and of that without Kafka.
    pub(super) const fn layout(&self) -> Layout {
        match self.processes {
            None => Layout::One,
            Some(number) if self.split => Layout::Apart(number),
            Some(number) => Layout::Alike(number),
        }
    }
}
