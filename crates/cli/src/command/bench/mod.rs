//! `ordermill bench`: how many orders a second are fulfilled, or reports of parcels taken, counted from outside.
//!
//! The server runs as a process of its own and is driven over HTTP; an order counts as fulfilled when its mail is in the mail
//! store. What the server says of itself is not looked at.

mod cluster;
mod echo;
mod figures;
mod import;
mod ledger;
mod load;
mod mailbox;
mod maildir;
mod measure;
#[cfg(feature = "postgres")]
mod postgres;
mod print;
mod scratch;
mod server;
mod shop;
mod tracking;
mod wire;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ordermill_core::limits::TRACKING_REPORTS_MAX;
use serde_json::json;

use figures::{Figures, Series, Variant};
use ledger::LedgerKind;
use load::Shape;
use mailbox::Store;
use measure::Plan;
use scratch::Scratch;
use server::{Program, Server};
use shop::Goods;
use wire::Target;

use super::Global;
use crate::exit::{Exit, Usage};
use crate::output;
use crate::shutdown::Signals;

/// Arguments of `bench`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Connections that are kept open; in a closed loop each has one request under way
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Send this many orders a second, however fast the answers are (an open loop), timed from when each was due
    #[arg(long, value_name = "PER_SECOND", value_parser = positive)]
    rate: Option<f64>,
    /// How long to measure, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = positive)]
    duration: f64,
    /// How long to load the server before measuring, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = positive)]
    warm_up: f64,
    /// Lines of each order
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=500))]
    lines: u64,
    /// Products, each with plenty of stock
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    products: u64,
    /// Percent of the orders that have one product in common
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(..=100))]
    hot_product: u8,
    /// Where the server keeps its ledger: sqlite, memory, or a database postgres://USER@HOST:PORT/DATABASE, in which each run makes
    /// a schema of its own and removes it
    #[arg(long, value_name = "LEDGER", default_value = "sqlite")]
    ledger: LedgerKind,
    /// Run so many servers on the one PostgreSQL ledger, each with every role, with a maildir and a payment sandbox that they share;
    /// otherwise one with a mail file and a sandbox of its own
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=16), conflicts_with_all = ["import", "tracking"])]
    processes: Option<u16>,
    /// Where the servers' data directories are made and left; otherwise beside the current directory, and removed. With --url the
    /// data directory of that server, so that its mails can be counted
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Load this server instead of starting one
    #[arg(long, value_name = "URL", conflicts_with_all = ["echo", "compare_memory", "prefill", "import", "ledger", "env"])]
    url: Option<String>,
    /// Run a bare JSON echo beside it with the same client, and print the ratio
    #[arg(long)]
    echo: bool,
    /// Run the same on a ledger in memory, which shows what durability costs
    #[arg(long)]
    compare_memory: bool,
    /// Store this many finished orders first. They are archived in the background, also while the load runs, unless that role is
    /// left out: --env ORDERMILL_ROLES=api,payments,inventory,notifications,sweeper
    #[arg(long, value_name = "N", default_value_t = 0)]
    prefill: u64,
    /// Measure importing and fulfilling this file of orders instead, packed or plain
    #[arg(long, value_name = "FILE")]
    import: Option<PathBuf>,
    /// The products for --import; otherwise products.ndjson.gz beside its file
    #[arg(long, value_name = "FILE", requires = "import")]
    import_products: Option<PathBuf>,
    /// Measure reports of parcels instead of orders, in batches over many parcels that walk from the warehouse to their door
    #[arg(long, conflicts_with_all = ["rate", "echo", "compare_memory", "prefill", "import"])]
    tracking: bool,
    /// Reports in each batch of --tracking
    #[arg(long, value_name = "N", default_value_t = 100, requires = "tracking", value_parser = batch)]
    batch: usize,
    /// How often to measure; the run in the middle is shown, with the slowest and the fastest
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// An option of the server as environment, such as ORDERMILL_ARCHIVE__SHARE_PERCENT=1; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Serve the echo (for the benchmark itself)
    #[arg(long, hide = true, value_name = "ADDRESS")]
    echo_server: Option<SocketAddr>,
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

/// Measures, and prints the figures.
pub fn run(args: Args, global: &Global) -> Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        if let Some(address) = args.echo_server {
            return echo::serve(address).await.map(|()| Exit::Ok);
        }
        args.check()?;
        let mut signals = Signals::install()?;
        let measure = async {
            if args.tracking {
                tracking::run(&args, global).await
            } else if args.import.is_some() {
                run_import(&args, global).await
            } else {
                run_load(&args, global).await
            }
        };
        // Dropping the measurement ends its servers and removes their data.
        tokio::select! {
            outcome = measure => outcome,
            signal = signals.next() => bail!("ended by {signal}"),
        }
    });
    // What still keeps time for a measurement that was ended is not waited for.
    runtime.shutdown_background();
    outcome
}

/// One line on what comes next. That nobody sees it is no reason to stop.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

impl Args {
    /// Refuses what goes together on no ledger, or not on this one.
    fn check(&self) -> Result<(), Usage> {
        let is_postgres = matches!(self.ledger, LedgerKind::Postgres(_));
        let refuse = |what: &str| Err(Usage(what.to_owned()));
        if self.processes.is_some() && !is_postgres {
            return refuse("--processes: only a ledger on PostgreSQL is shared; name one with --ledger");
        }
        if is_postgres && (self.prefill > 0 || self.tracking) {
            return refuse("--prefill and --tracking measure a ledger in a file; leave --ledger out");
        }
        Ok(())
    }

    fn plan(&self) -> Result<Plan> {
        let environment = self.env.iter().map(|setting| {
            let (name, value) =
                setting.split_once('=').ok_or_else(|| Usage(format!("--env {setting}: must be NAME=VALUE")))?;
            Ok((name.to_owned(), value.to_owned()))
        });
        // Whatever is slow is to show in the figures, not in a log that grows beside them.
        let log_level = ("ORDERMILL_LOG__LEVEL".to_owned(), "warn".to_owned());
        let environment = std::iter::once(Ok(log_level)).chain(environment).collect::<Result<_, Usage>>()?;
        Ok(Plan {
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
    fn variants(&self) -> Vec<Variant> {
        let own = self.ledger.variant();
        let memory = (self.compare_memory && own != Variant::Memory).then_some(Variant::Memory);
        let echo = self.echo.then_some(Variant::Echo);
        std::iter::once(own).chain(memory).chain(echo).collect()
    }
}

async fn run_load(args: &Args, global: &Global) -> Result<Exit> {
    let mut plan = args.plan()?;
    let runs = match &args.url {
        Some(url) => run_running(args, &plan, &Target::from_url(url)?).await?,
        None => run_own(args, &mut plan, global).await?,
    };
    let all: Vec<Series> = [Variant::Sqlite, Variant::Postgres, Variant::Running, Variant::Memory, Variant::Echo]
        .into_iter()
        .filter_map(|variant| Series::of(&runs, variant))
        .collect();
    if global.json {
        output::json(&summary(args, &all, &runs))?;
    } else {
        print::series(&all)?;
        print_ratios(&all)?;
    }
    let is_whole = runs.iter().all(|run| run.unmailed.unwrap_or(0) == 0 && run.broken == 0);
    Ok(if is_whole { Exit::Ok } else { Exit::Failure })
}

/// Loads a server that somebody else has started.
async fn run_running(args: &Args, plan: &Plan, target: &Target) -> Result<Vec<Figures>> {
    shop::stock_up(target, plan.goods).await?;
    let mails = args.data.as_ref().map(|data| Store::File(data.join("mail.mbox")));
    if mails.is_none() {
        say("mails are not counted: name the server's data directory with --data for that");
    }
    let mut runs = Vec::new();
    for number in 1..=args.runs {
        say(&format!("run {number} of {}", args.runs));
        let (figures, _) =
            measure::orders(plan, Variant::Running, std::slice::from_ref(target), mails.as_ref()).await?;
        say(&print::run_line(&figures));
        runs.push(figures);
    }
    Ok(runs)
}

/// Starts servers and loads them, one kind after the other in each round, so that whatever else the machine does meets all alike.
async fn run_own(args: &Args, plan: &mut Plan, global: &Global) -> Result<Vec<Figures>> {
    let scratch = Scratch::new(args.data.as_deref())?;
    let mut stored = None;
    if args.prefill > 0 {
        say(&format!("storing {} orders first", output::count(args.prefill)));
        let data = scratch.directory("stored")?;
        let environment = plan.environment_of(Variant::Sqlite);
        let server = Server::start(Program::Serve { data: &data.path, environment: &environment }).await?;
        shop::stock_up(&server.target, plan.goods).await?;
        shop::prefill(&server.target, plan.goods, args.prefill, global.json).await?;
        server.stop().await?;
        plan.stored_before = args.prefill;
        stored = Some(data);
    }
    let mut runs: Vec<Figures> = Vec::new();
    for number in 1..=args.runs {
        say(&format!("run {number} of {}", args.runs));
        for variant in args.variants() {
            let figures = match (variant, &stored) {
                (Variant::Sqlite, Some(stored)) => {
                    let (figures, placed) = measure::own(plan, variant, &stored.path).await?;
                    plan.stored_before += placed;
                    figures
                }
                _ => {
                    let fresh = scratch.directory(&format!("run-{number}-{}", variant.as_str()))?;
                    match variant {
                        Variant::Echo => measure::echo(plan, &fresh.path).await?,
                        Variant::Postgres => args.ledger.measure(plan, args.processes, &fresh.path).await?,
                        _ => measure::own(plan, variant, &fresh.path).await?.0,
                    }
                }
            };
            say(&print::run_line(&figures));
            runs.push(figures);
        }
    }
    Ok(runs)
}

async fn run_import(args: &Args, global: &Global) -> Result<Exit> {
    let orders = args.import.as_ref().context("--import names the file")?;
    let beside = || orders.with_file_name("products.ndjson.gz");
    let products = args.import_products.clone().unwrap_or_else(beside);
    let plan = args.plan()?;
    let variant = args.variants()[0];
    let scratch = Scratch::new(args.data.as_deref())?;
    let mut all = Vec::new();
    for number in 1..=args.runs {
        say(&format!("run {number} of {}", args.runs));
        let data = scratch.directory(&format!("import-{number}"))?;
        let environment = plan.environment_of(variant);
        let import = args.ledger.import(orders, &products, &data.path, environment).await?;
        say(&format!("  {:.2} s until the last order was mailed", import.fulfilled_seconds));
        all.push(import);
    }
    all.sort_by(|a, b| a.fulfilled_seconds.total_cmp(&b.fulfilled_seconds));
    let median = &all[(all.len() - 1) / 2];
    if global.json {
        output::json(&json!({ "ledger": variant, "import": median, "all_runs": all }))?;
    } else {
        print::imported(median)?;
    }
    Ok(if all.iter().all(|import| import.unmailed == 0) { Exit::Ok } else { Exit::Failure })
}

fn find(all: &[Series], variant: Variant) -> Option<&Figures> {
    all.iter().map(|series| &series.median).find(|figures| figures.variant == variant)
}

/// How the first stands against the echo, and against the ledger in memory.
fn ratios(all: &[Series]) -> (Option<f64>, Option<f64>) {
    let Some(own) = all.first().map(|series| series.median.rate()) else {
        return (None, None);
    };
    let against = |variant| find(all, variant).map(|other| own / other.rate().max(f64::MIN_POSITIVE));
    let memory = against(Variant::Memory).filter(|_| all[0].median.variant != Variant::Memory);
    (against(Variant::Echo), memory)
}

fn print_ratios(all: &[Series]) -> std::io::Result<()> {
    let (echo, memory) = ratios(all);
    if let Some(ratio) = echo {
        output::line(format_args!("{:.1} % of the bare JSON echo", ratio * 100.0))?;
    }
    if let Some(ratio) = memory {
        output::line(format_args!("{:.1} % of the same server with its ledger in memory", ratio * 100.0))?;
    }
    Ok(())
}

fn summary(args: &Args, all: &[Series], runs: &[Figures]) -> serde_json::Value {
    let (ratio, memory_ratio) = ratios(all);
    let mut summary = json!({
        "connections": args.connections,
        "rate": args.rate,
        "duration_seconds": args.duration,
        "warm_up_seconds": args.warm_up,
        "lines": args.lines,
        "products": args.products,
        "hot_product_percent": args.hot_product,
        "processes": args.processes,
        "prefill": args.prefill,
        "runs": args.runs,
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "echo_per_second": find(all, Variant::Echo).map(Figures::rate),
        "ratio": ratio,
        "memory_per_second": find(all, Variant::Memory).map(Figures::rate),
        "memory_ratio": memory_ratio,
        "all_runs": runs,
    });
    if let (Some(fields), Ok(serde_json::Value::Object(own))) =
        (summary.as_object_mut(), serde_json::to_value(all.first()))
    {
        fields.extend(own);
    }
    summary
}
