//! The ledger that the configuration names, with its queries and its bus.

use std::sync::Arc;

use anyhow::Result;
use ordermill_config as config;
use ordermill_config::Config;
use ordermill_core::process::Role;
use ordermill_embedded::{memory, sqlite};
use ordermill_ports::{Bus, Clock, Ledger, Publisher, Queries};

use crate::exit::BadOption;

/// A ledger in its parts.
pub(super) struct Store {
    pub(super) ledger: Arc<dyn Ledger>,
    /// What roles read by.
    pub(super) queries: Arc<dyn Queries>,
    /// What callers read by: however many they are, they take nothing from the roles.
    pub(super) callers: Arc<dyn Queries>,
    pub(super) bus: Arc<dyn Bus>,
    /// The broker that carries its events, where one does.
    pub(super) publisher: Option<Arc<dyn Publisher>>,
    /// The time that it goes by.
    pub(super) clock: Arc<dyn Clock>,
}

/// Opens it.
pub(super) async fn open(config: &Config, clock: &Arc<dyn Clock>) -> Result<Store> {
    check(config)?;
    let roles = &config.roles.0;
    // Whoever runs all roles has not asked for this one.
    if config.bus == config::Bus::Ledger && roles.contains(&Role::Relay) && roles.len() < Role::ALL.len() {
        tracing::warn!(
            "the relay has nothing to do here: with bus = \"ledger\" the roles read the ledger themselves; name the broker in bus, as in \
             the other processes, or leave the role out"
        );
    }
    let (policy, undecided_max) = (config.process.policy(), config.intake.undecided_max);
    Ok(match &config.ledger {
        config::Ledger::Sqlite(path) => {
            let options = sqlite::Options { policy, undecided_max, ..sqlite::Options::new(path, Arc::clone(clock)) };
            in_parts(sqlite::SqliteLedger::open(options)?, clock)
        }
        config::Ledger::Memory => in_parts(memory::MemoryLedger::new(policy, Arc::clone(clock), undecided_max), clock),
        #[cfg(feature = "postgres")]
        config::Ledger::Postgres(url) => {
            let ledger = super::postgres::open(config, url, clock).await?;
            match &config.bus {
                config::Bus::Ledger => {
                    let clock = ledger.clock();
                    Store { callers: ledger.for_callers(), ..in_parts(ledger, &clock) }
                }
                #[cfg(feature = "kafka")]
                config::Bus::Kafka(broker) => super::kafka::open(config, broker, ledger).await?,
            }
        }
    })
}

/// Refuses a bus that is not for this ledger, what is wrong with its URL, and a process that would do nothing for want of a broker.
///
/// # Errors
/// The option that is wrong.
pub(super) fn check(config: &Config) -> Result<(), BadOption> {
    match (&config.bus, &config.ledger) {
        (config::Bus::Ledger, _) if config.roles.0 == [Role::Relay] => {
            let reason = "a relay alone has nothing to do with bus = \"ledger\", as the roles read the ledger themselves; name the \
                          broker in bus, as in the other processes, or do not start this one";
            Err(BadOption::new("roles", reason))
        }
        // Every ledger is its own bus.
        (config::Bus::Ledger, _) => Ok(()),
        #[cfg(feature = "kafka")]
        (config::Bus::Kafka(broker), config::Ledger::Postgres(_)) => super::kafka::options(config, broker).map(drop),
        #[cfg(feature = "kafka")]
        (config::Bus::Kafka(_), _) => {
            let reason =
                "a broker carries the events of a ledger that several processes share; set ledger = \"postgres://…\"";
            Err(BadOption::new("bus", reason))
        }
    }
}

fn in_parts<L: Ledger + Queries + Bus + 'static>(ledger: Arc<L>, clock: &Arc<dyn Clock>) -> Store {
    Store {
        ledger: Arc::clone(&ledger) as _,
        queries: Arc::clone(&ledger) as _,
        callers: Arc::clone(&ledger) as _,
        bus: ledger,
        publisher: None,
        clock: Arc::clone(clock),
    }
}
