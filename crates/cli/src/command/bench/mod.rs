//! `ordermill bench`: how many orders a second are fulfilled, or reports of parcels taken, counted from outside.
//!
//! The server runs as a process of its own and is driven over HTTP; an order counts as fulfilled when its mail is in the mail
//! store. What the server says of itself is not looked at.

mod args;
mod bus;
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
mod place;
#[cfg(feature = "postgres")]
mod postgres;
mod print;
mod report;
mod scratch;
mod server;
mod shop;
mod totals;
mod tracking;
mod wire;

use std::io::Write as _;

use anyhow::{Context, Result, bail};

pub use args::Args;
use figures::{Figures, Series, Variant};
use import::Files;
use mailbox::Store;
use measure::Plan;
use report::Imports;
use scratch::Scratch;
use server::{Program, Server};
use wire::Target;

use super::Global;
use crate::exit::Exit;
use crate::output;
use crate::shutdown::Signals;

/// In the order in which they are shown.
const VARIANTS: [Variant; 6] =
    [Variant::Sqlite, Variant::PostgresKafka, Variant::Postgres, Variant::Running, Variant::Memory, Variant::Echo];

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
        // Dropping the measurement ends its servers and removes what they had, here and on other servers.
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

async fn run_load(args: &Args, global: &Global) -> Result<Exit> {
    let mut plan = args.plan()?;
    let runs = match &args.url {
        Some(url) => run_running(args, &plan, &Target::from_url(url)?).await?,
        None => run_own(args, &mut plan, global).await?,
    };
    let all: Vec<Series> = VARIANTS.into_iter().filter_map(|variant| Series::of(&runs, variant)).collect();
    if global.json {
        output::json(&report::summary(args, &all, &runs))?;
    } else {
        report::print_all(&all)?;
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
                        Variant::Postgres | Variant::PostgresKafka => {
                            args.ledger.measure(plan, variant, args.bus.as_ref(), &fresh.path).await?
                        }
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
    let files = Files { orders, products: &products };
    let (plan, variants) = (args.plan()?, args.variants());
    let scratch = Scratch::new(args.data.as_deref())?;
    let mut all = Vec::new();
    for number in 1..=args.runs {
        say(&format!("run {number} of {}", args.runs));
        for variant in &variants {
            let data = scratch.directory(&format!("import-{number}-{}", variant.as_str()))?;
            let import = args.ledger.import(files, &plan, *variant, args.bus.as_ref(), &data.path).await?;
            let (variant, seconds) = (variant.as_str(), import.fulfilled_seconds);
            say(&format!("  {variant}: {seconds:.2} s until the last order was mailed"));
            all.push(import);
        }
    }
    let imports = Imports::of(&all, &variants);
    if global.json {
        output::json(&imports.summary(args))?;
    } else {
        imports.print()?;
    }
    Ok(if all.iter().all(|import| import.unmailed == 0) { Exit::Ok } else { Exit::Failure })
}
