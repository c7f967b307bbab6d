//! The ledger that the configuration names, with its queries and its bus.

use std::sync::Arc;

use anyhow::Result;
use ordermill_config as config;
use ordermill_config::Config;
use ordermill_embedded::{memory, sqlite};
use ordermill_ports::{Bus, Clock, Ledger, Queries};

/// A ledger in its three parts.
pub(super) type Store = (Arc<dyn Ledger>, Arc<dyn Queries>, Arc<dyn Bus>);

/// Opens it.
pub(super) async fn open(config: &Config, clock: &Arc<dyn Clock>) -> Result<Store> {
    // Every ledger is its own bus; the other kinds are not in this build.
    let config::Bus::Ledger = config.bus;
    let (policy, undecided_max) = (config.process.policy(), config.intake.undecided_max);
    Ok(match &config.ledger {
        config::Ledger::Sqlite(path) => {
            let options = sqlite::Options { policy, undecided_max, ..sqlite::Options::new(path, Arc::clone(clock)) };
            in_parts(sqlite::SqliteLedger::open(options)?)
        }
        config::Ledger::Memory => in_parts(memory::MemoryLedger::new(policy, Arc::clone(clock), undecided_max)),
        #[cfg(feature = "postgres")]
        config::Ledger::Postgres(url) => in_parts(super::postgres::open(config, url, clock).await?),
    })
}

fn in_parts<L: Ledger + Queries + Bus + 'static>(ledger: Arc<L>) -> Store {
    (Arc::clone(&ledger) as _, Arc::clone(&ledger) as _, ledger)
}
