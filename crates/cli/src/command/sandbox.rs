//! `ordermill sandbox`

use std::sync::Arc;

use anyhow::{Context, Result};
use ordermill_config::{Config, Flag};
use ordermill_embedded::sandbox::service;
use ordermill_ports::clock::SystemClock;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::ConfigArgs;
use crate::assembly::{init_telemetry, payments};
use crate::exit::Exit;
use crate::output;
use crate::shutdown::Signals;

/// Arguments of `sandbox`.
#[derive(clap::Args)]
#[command(after_help = "\
A payment provider for tests, with no real money and with books of its own: sandbox.journal in the data directory. A server has one in \
itself; where several processes share a ledger, they share this one.

  ordermill sandbox --data sandbox --listen 127.0.0.1:9090
  ORDERMILL_PAYMENTS=sandbox:http://127.0.0.1:9090 ordermill serve --data shop

GET /healthz answers 200 while it can do its work. SIGTERM or Ctrl-C lets calls under way come to their end; a second one ends it at \
once. Neither loses a payment: whatever was answered is in the journal.")]
pub struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Where to listen; port 0 takes a free one and prints it
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

/// Serves until a signal.
pub fn run(args: Args) -> Result<Exit> {
    let listen = args.listen.map(|value| Flag::new("sandbox.listen", value, "--listen"));
    let config = args.config.load(listen.into_iter().collect())?.config;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(&config))
}

async fn serve(config: &Config) -> Result<Exit> {
    let mut signals = Signals::install()?;
    let _telemetry = init_telemetry(&config.log)?;
    let address = config.sandbox.listen.0;
    // The port first: a second one on the same port must not touch the journal.
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let sandbox = Arc::new(payments::sandbox(config, Arc::new(SystemClock))?);
    let (address, journal) = (listener.local_addr()?, config.sandbox.journal.display());
    let (stop, stopped) = oneshot::channel::<()>();
    let mut served = tokio::spawn(service::serve(listener, sandbox, async {
        // Sent, or dropped with this function: both mean the end.
        let _ = stopped.await;
    }));
    output::line(format_args!("ready on http://{address} journal in {journal}"))?;
    let ended = tokio::select! {
        ended = &mut served => ended,
        signal = signals.next() => {
            tracing::info!(signal, "stopping");
            signals.end_at_next();
            // It has ended already when nobody listens.
            let _ = stop.send(());
            let ended = served.await;
            tracing::info!("stopped");
            ended
        }
    };
    ended.context("the sandbox ended with a defect")?.context("the sandbox failed")?;
    Ok(Exit::Ok)
}
