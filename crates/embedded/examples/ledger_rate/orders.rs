//! Orders, from placed to archived: `direct` gives the inputs straight to `submit`; `roles` has four roles take them from the bus
//! and settle what they did.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ordermill_embedded::sqlite::{Options, SqliteLedger};
use ordermill_ports::clock::SystemClock;
use ordermill_ports::{Ledger, Source};

use crate::AnyError;
use crate::meter::{self, Meter};
use crate::shop::{self, CALLERS, Shop};

const ORDERS: usize = 200_000;
/// Orders brought to rest before open ones are measured: they fill what is of a fixed size, such as the caches of SQLite, the feed
/// in memory and the orders kept after they came to rest.
const SETTLED_ORDERS: usize = 40_000;
const OPEN_ORDERS: usize = 200_000;
const OPEN_AT_ONCE: usize = 500;

async fn open(path: &Path, orders: usize) -> Result<Arc<Shop<SqliteLedger>>, AnyError> {
    Shop::open(SqliteLedger::open(Options::new(path, Arc::new(SystemClock)))?, orders).await
}

/// What an open order takes in memory.
async fn open_orders(path: &Path, orders: usize) -> Result<(), AnyError> {
    let mut options = Options::new(path, Arc::new(SystemClock));
    options.undecided_max = orders;
    drop(SqliteLedger::open(options.clone())?);
    let empty = meter::resident_kb();
    let shop = Shop::open(SqliteLedger::open(options)?, SETTLED_ORDERS).await?;
    shop::direct(&shop, CALLERS).await?;
    let begun = meter::resident_kb();
    for _ in 0..orders / OPEN_AT_ONCE {
        let placing = (0..OPEN_AT_ONCE).map(|_| shop.placing()).collect::<Result<_, _>>()?;
        for answer in shop.ledger.submit(Source::Import, placing).await {
            answer?;
        }
    }
    let bytes = (meter::resident_kb() - begun) * 1024.0 / orders as f64;
    println!("an empty ledger: {:.0} MiB of memory in all; {bytes:.0} bytes per open order", empty / 1024.0);
    Ok(())
}

async fn direct(path: &Path, orders: usize) -> Result<(), AnyError> {
    let shop = open(path, orders).await?;
    let meter = Meter::start();
    shop::direct(&shop, CALLERS * 6).await?;
    meter.report("direct", "order", orders);
    shop.ledger.close().await;
    Ok(())
}

async fn roles(path: &Path, orders: usize) -> Result<(), AnyError> {
    let shop = open(path, orders).await?;
    let meter = Meter::start();
    shop::roles(&shop, orders).await?;
    meter.report("roles", "order", orders);
    shop.ledger.close().await;
    Ok(())
}

/// Everything about orders.
pub async fn run(dir: &Path, orders: Option<usize>) -> Result<(), AnyError> {
    let orders = orders.unwrap_or(ORDERS);
    let path = dir.join("orders.db");
    open_orders(&dir.join("open.db"), OPEN_ORDERS).await?;
    roles(&path, orders).await?;
    let bytes = std::fs::metadata(&path)?.len();
    println!("  {:.0} bytes per order in the database", bytes as f64 / orders as f64);
    direct(&path, orders).await?;
    let began = Instant::now();
    let ledger = SqliteLedger::open(Options::new(&path, Arc::new(SystemClock)))?;
    println!("opening with {} orders and keys: {:.0} ms", 2 * orders, began.elapsed().as_secs_f64() * 1e3);
    ledger.close().await;
    Ok(())
}
