//! What the PostgreSQL ledger does in a second on this machine, with nothing else in the way.
//!
//! `cargo run --release -p ordermill-postgres --example ledger_rate [ORDERS] [URL] [COMMITTERS]` brings orders from placed to archived,
//! first with four roles that take them from the bus and settle what they did, then by inputs given straight to `submit`. Prints the
//! rate, the CPU time per order of this program and of the server, commits, statements and bytes of write-ahead log per order.
//!
//! Without a URL it starts a server of its own, in a temporary folder. Given one, the database must be empty or
//! hold a ledger; CPU times of the server are known where it runs on this machine, statements where it has `pg_stat_statements`.

mod meter;
mod orders;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/support/server.rs"]
mod server;
#[path = "../../../embedded/examples/ledger_rate/shop.rs"]
mod shop;

use std::sync::Arc;

use ordermill_ports::clock::SystemClock;
use ordermill_postgres::Options;

/// As in the program itself: orders are made on one thread and freed on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Orders in each of the two ways.
const ORDERS: usize = 20_000;

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), AnyError> {
    let mut arguments = std::env::args().skip(1);
    let count = arguments.next().map(|text| text.parse()).transpose()?.unwrap_or(ORDERS);
    let url = arguments.next().filter(|url| !url.is_empty());
    let committers = arguments.next().map(|text| text.parse()).transpose()?;
    let settings = [
        "shared_preload_libraries=pg_stat_statements",
        "shared_buffers=512MB",
        "max_wal_size=4GB",
        "track_io_timing=on",
    ];
    let own = url.is_none().then(|| server::Server::start(&settings));
    let url = url.or_else(|| Some(own.as_ref()?.url("postgres"))).ok_or("there is a server")?;
    let mut options = Options::from_url(&url, Arc::new(SystemClock))?;
    options.committers = committers.unwrap_or(options.committers);
    orders::run(&options, count).await
}
