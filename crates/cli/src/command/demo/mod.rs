//! `ordermill demo`

mod report;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ordermill_client::Client;
use ordermill_config::{Config, Listen};
use ordermill_core::process::Role;

use super::Global;
use crate::assembly::{Server, init_telemetry};
use crate::exit::Exit;
use crate::import::{Input, Kind, await_outcomes, import};
use crate::output;
use crate::shutdown::Signals;
use report::Report;

/// The slice of a real year that the demonstration drives through; `examples/demo/make.py` cuts it.
const ORDERS: &[u8] = include_bytes!("../../../../../examples/demo/orders.ndjson.gz");
const PRODUCTS: &[u8] = include_bytes!("../../../../../examples/demo/products.ndjson.gz");

/// Where it serves on, so that the other commands find it without --url.
const PORT: u16 = 7070;

/// How flaky the payment provider is: shares of calls that fail, and whose answer is lost.
const FAIL_RATE: f64 = 0.05;
const LOSE_ANSWER_RATE: f64 = 0.05;

/// How long it waits for orders to be decided, and for mails and archive behind them. What is not done then is shown as it is.
const DECIDE_PATIENCE: Duration = Duration::from_secs(20);
const SETTLE_PATIENCE: Duration = Duration::from_secs(5);

/// Arguments of `demo`.
#[derive(clap::Args)]
#[command(after_help = "\
The orders are the first 500 of a real year of a supermarket. Some cards are declined, some products are short, two addresses \
bounce, and the payment provider fails in one call of ten, half of them after it has taken the money. Nothing leaves this machine.")]
pub struct Args {
    /// End when everything is shown, instead of serving on
    #[arg(long)]
    exit: bool,
    /// Where everything is kept, instead of a new directory for temporary files
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Shows it.
pub fn run(args: Args, global: &Global) -> Result<Exit> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(demonstrate(args, global))
}

async fn demonstrate(args: Args, global: &Global) -> Result<Exit> {
    let data = args
        .data
        .unwrap_or_else(|| std::env::temp_dir().join(format!("ordermill-demo-{}", uuid::Uuid::now_v7().simple())));
    let mut config = configure(data);
    let telemetry = init_telemetry(&config.log)?;
    if args.exit || !is_free(config.http.listen.0).await {
        config.http.listen.0.set_port(0);
    }
    let server = Server::start(&config, Arc::new(move || telemetry.render_metrics())).await?;
    let address = server.address.context("the demonstration runs every role")?;
    let client = Client::new(&format!("http://{address}"))?;
    let began = Instant::now();
    if !global.json {
        output::line(format_args!("ordermill demo on {} in {}", client.base(), config.data.display()))?;
    }
    let ids = fill(&client, &config, global).await?;
    let outcomes = await_outcomes(&client, &ids, global.json, Some(DECIDE_PATIENCE)).await?;
    settle(&server).await?;
    let report = Report::gather(&server, &client, &config, &ids, outcomes, began.elapsed(), !args.exit).await?;
    report.print(global)?;
    if args.exit {
        server.stop().await;
        return Ok(Exit::Ok);
    }
    serve_on(server, global).await
}

/// The defaults, with a flaky provider and less patience: somebody is watching. No file and no environment: it is the same
/// everywhere.
fn configure(data: PathBuf) -> Config {
    let mut config = Config::with_defaults(&data);
    config.http.listen = Listen(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT));
    config.sandbox.fail_before_rate = FAIL_RATE;
    config.sandbox.lose_answer_rate = LOSE_ANSWER_RATE;
    // What goes wrong on purpose is shown at the end; it need not be logged as well.
    config.log.level = "error".to_owned();
    config
}

async fn is_free(address: SocketAddr) -> bool {
    tokio::net::TcpListener::bind(address).await.is_ok()
}

/// Fills the catalogue and places the orders; gives their ids.
async fn fill(client: &Client, config: &Config, global: &Global) -> Result<Vec<String>> {
    let refused = |name: &str| config.data.join(name);
    import(client, Kind::Products, &Input::Embedded(PRODUCTS), refused("refused-products.ndjson"), false, global.json)
        .await?;
    let orders =
        import(client, Kind::Orders, &Input::Embedded(ORDERS), refused("refused-orders.ndjson"), true, global.json)
            .await?;
    Ok(orders.tally.order_ids.unwrap_or_default())
}

/// Waits until mails are sent, undoings are done and the archive is written.
async fn settle(server: &Server) -> Result<()> {
    let began = Instant::now();
    loop {
        let mut is_behind = false;
        for role in [Role::Payments, Role::Notifications, Role::Archive] {
            let lag = server.parts.bus.lag(role).await?;
            is_behind |= lag.events + lag.parked > 0;
        }
        if !is_behind || began.elapsed() > SETTLE_PATIENCE {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn serve_on(mut server: Server, global: &Global) -> Result<Exit> {
    let mut signals = Signals::install()?;
    if !global.json {
        output::line("Serving on until Ctrl-C.")?;
    }
    let failure = tokio::select! {
        _ = signals.next() => None,
        error = server.failed() => Some(error),
    };
    signals.end_at_next();
    server.stop().await;
    failure.map_or(Ok(Exit::Ok), Err)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::MultiGzDecoder;
    use ordermill_core::input::Admission;
    use ordermill_core::intake::{OrderDraft, ProductDraft};
    use ordermill_ports::clock::{Random, SystemRandom};

    use super::*;

    fn lines(packed: &[u8]) -> Vec<String> {
        let mut text = String::new();
        MultiGzDecoder::new(packed).read_to_string(&mut text).expect("it is packed text");
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_slice_is_sound() {
        let products = lines(PRODUCTS);
        for line in &products {
            let draft: ProductDraft = serde_json::from_str(line).expect("a product");
            draft.check(None, None).expect("a product that is taken");
        }
        let orders = lines(ORDERS);
        assert_eq!(orders.len(), 500);
        for line in &orders {
            let draft: OrderDraft = serde_json::from_str(line).expect("an order");
            assert!(draft.order_ref.is_some());
            // An unknown payment would be followed up for minutes.
            assert_ne!(draft.payment_method.as_deref(), Some("unknown"));
            let id = SystemRandom::default().order_id(ordermill_core::Timestamp::now());
            draft.check(id, Admission::Refuse).expect("an order that is taken");
        }
    }
}
