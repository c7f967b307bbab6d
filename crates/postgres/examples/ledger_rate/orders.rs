//! Orders, from placed to archived: `direct` gives the inputs straight to `submit`; `roles` has four roles take them from the bus
//! and settle what they did.

use ordermill_ports::Ledger;
use ordermill_postgres::{Options, PgLedger};

use crate::AnyError;
use crate::meter::Meter;
use crate::shop::{self, CALLERS, Shop};

async fn direct(options: &Options, orders: usize) -> Result<(), AnyError> {
    let shop = Shop::open(PgLedger::open(options.clone()).await?, orders).await?;
    let meter = Meter::start(&options.server).await?;
    shop::direct(&shop, CALLERS * 6).await?;
    meter.report("direct", orders).await?;
    shop.ledger.close().await;
    Ok(())
}

async fn roles(options: &Options, orders: usize) -> Result<(), AnyError> {
    let shop = Shop::open(PgLedger::open(options.clone()).await?, orders).await?;
    let meter = Meter::start(&options.server).await?;
    shop::roles(&shop, orders).await?;
    meter.report("roles", orders).await?;
    shop.ledger.close().await;
    Ok(())
}

/// Everything about orders.
pub async fn run(options: &Options, orders: usize) -> Result<(), AnyError> {
    // Whatever is set aside for a first time is set aside before.
    roles(options, orders / 10).await?;
    roles(options, orders).await?;
    direct(options, orders).await
}
