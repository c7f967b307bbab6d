//! Runs the same single-line order on another engine and on Ordermill, in turns, on free loopback ports, and prints the ratio: Restate
//! beside the embedded ledger, DBOS beside the ledger on the same PostgreSQL.
//!
//! `peers` compares; `peers handler --listen ADDR` is the Restate side of the order, which `peers` starts by itself.

mod dbos;
mod handler;
mod load;
mod ordermill;
mod postgres;
mod process;
mod report;
mod restate;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};

use crate::report::Report;

/// Compares Ordermill with Restate, or with DBOS, on the same order.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the order as a Restate handler.
    Handler {
        /// Where.
        #[arg(long)]
        listen: SocketAddr,
    },
}

/// What to run, and for how long.
#[derive(Debug, clap::Args)]
struct Options {
    /// The program `ordermill`, built for release; for `ordermill-postgres` with the feature `postgres`.
    #[arg(long, default_value = "target/release/ordermill")]
    ordermill: PathBuf,
    /// The program `restate-server`. Fetched with npm when it is not named.
    #[arg(long)]
    restate_server: Option<PathBuf>,
    /// Connections, one run for each.
    #[arg(long, value_delimiter = ',', default_value = "1,16,256,512")]
    connections: Vec<usize>,
    /// Seconds that are measured in each run.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Seconds of load before that, in each run.
    #[arg(long, default_value_t = 5)]
    warm_up: u64,
    /// Runs of each engine at each number of connections.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Processes of DBOS, which the connections are shared out among: one of Python keeps one core busy at most.
    #[arg(long, default_value_t = 2)]
    dbos_processes: usize,
    /// A setting of PostgreSQL beside its defaults, such as `shared_buffers=1GB`; may be repeated.
    #[arg(long)]
    postgres: Vec<String>,
    /// Which engines.
    #[arg(long, value_delimiter = ',', default_value = "restate,ordermill")]
    engines: Vec<Engine>,
    /// Print the figures as JSON too, on the last line.
    #[arg(long)]
    json: bool,
}

/// One of those that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Engine {
    Restate,
    Ordermill,
    Dbos,
    OrdermillPostgres,
}

/// Lengths of one run.
#[derive(Debug, Clone, Copy)]
struct Times {
    warm_up: Duration,
    measured: Duration,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Command::Handler { listen }) => handler::serve(listen).await,
        None => tokio::select! {
            // Children are killed as their handles are dropped, so an interrupt leaves nothing behind.
            result = compare(&arguments.options) => result,
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        },
    }
}

async fn compare(options: &Options) -> Result<()> {
    let times = Times { warm_up: Duration::from_secs(options.warm_up), measured: Duration::from_secs(options.seconds) };
    let server = match &options.restate_server {
        _ if !options.engines.contains(&Engine::Restate) => PathBuf::new(),
        Some(path) => path.clone(),
        None => restate::fetch_server().await?,
    };
    let python = match options.engines.contains(&Engine::Dbos) {
        true => dbos::fetch().await?,
        false => PathBuf::new(),
    };
    let mut report = Report::default();
    for round in 0..options.rounds {
        for &connections in &options.connections {
            let mut engines = options.engines.clone();
            // What drifts with time hits both alike when they change places.
            if round % 2 == 1 {
                engines.reverse();
            }
            for engine in engines {
                let run = match engine {
                    Engine::Restate => restate::run(&server, connections, times).await?,
                    Engine::Ordermill => ordermill::run(&options.ordermill, connections, times).await?,
                    Engine::Dbos => {
                        let server = postgres::start(&options.postgres).await?;
                        dbos::run(&python, &server, connections, options.dbos_processes, times).await?
                    }
                    Engine::OrdermillPostgres => {
                        let server = postgres::start(&options.postgres).await?;
                        ordermill::run_on_postgres(&options.ordermill, &server, connections, times).await?
                    }
                };
                eprintln!("round {}: {engine:?} at {connections}: {run}", round + 1);
                report.add(engine, connections, run);
            }
        }
    }
    print!("{report}");
    if options.json {
        println!("{}", serde_json::to_string(&report)?);
    }
    Ok(())
}
