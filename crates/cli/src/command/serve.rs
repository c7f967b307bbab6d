//! `ordermill serve`

use std::sync::Arc;

use anyhow::Result;
use ordermill_config::{Config, Flag};

use super::ConfigArgs;
use crate::assembly::{self, Server, init_telemetry};
use crate::exit::{self, Exit};
use crate::output;
use crate::shutdown::Signals;

/// Arguments of `serve`.
#[derive(clap::Args)]
#[command(after_help = "\
Everything the server keeps lies in the data directory: the ledger, the mails, the archive and the books of the payment sandbox. \
Options are set in a file, in the environment or with --set; `ordermill config default` explains each.

  ordermill serve --data shop --listen 127.0.0.1:8080
  ordermill serve --data shop --set process.reservation_ttl=5m --set log.level=debug

Several processes share a ledger on PostgreSQL, each with the roles it is given and a data directory of its own:

  ordermill serve --data one --role api --listen 127.0.0.1:8080
  ordermill serve --data two --role payments,inventory --role sweeper --listen 127.0.0.1:9090

SIGTERM or Ctrl-C lets requests and work under way come to their end; a second one ends the server at once. Neither loses an \
order: whatever was answered is on disk.")]
pub struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Where to listen; port 0 takes a free one and prints it. Without the role api, for health and metrics alone
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// The roles to run, with commas between them: api, payments, inventory, notifications, tracking, archive, records, sweeper, relay; may
    /// be repeated
    #[arg(long = "role", value_name = "ROLES")]
    roles: Vec<String>,
}

/// Serves until a signal.
pub fn run(args: Args) -> Result<Exit> {
    let flag = |key: &str, value: Option<String>, written: &str| value.map(|value| Flag::new(key, value, written));
    let roles = (!args.roles.is_empty()).then(|| args.roles.join(","));
    let flags = [flag("http.listen", args.listen, "--listen"), flag("roles", roles, "--role")];
    let effective = args.config.load(flags.into_iter().flatten().collect())?;
    assembly::check(&effective)?;
    let config = effective.config;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(&config))
}

async fn serve(config: &Config) -> Result<Exit> {
    let mut signals = Signals::install()?;
    let telemetry = init_telemetry(&config.log)?;
    let mut server = Server::start(config, Arc::new(move || telemetry.render_metrics())).await?;
    let data = config.data.display();
    match server.address {
        Some(address) if server.has_api => output::line(format_args!("ready on http://{address} data in {data}"))?,
        Some(address) => output::line(format_args!("ready on http://{address} (health and metrics), data in {data}"))?,
        None => output::line(format_args!("ready without an interface, data in {data}"))?,
    }
    let failure = tokio::select! {
        signal = signals.next() => {
            tracing::info!(signal, "stopping");
            None
        }
        error = server.failed() => {
            tracing::error!(error = exit::words(&error), "stopping");
            Some(error)
        }
    };
    signals.end_at_next();
    server.stop().await;
    match failure {
        None => {
            tracing::info!("stopped");
            Ok(Exit::Ok)
        }
        Some(error) => Err(error),
    }
}
