//! The ledger in a PostgreSQL database.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use ordermill_config::{Bus, Config};
use ordermill_embedded::secrets::LocalSecrets;
use ordermill_ports::Clock;
use ordermill_postgres::{Disagreement, OpenError, Options, PgLedger, Snapshot};

use crate::exit::BadOption;

/// Opens it, and brings its schema up to date.
pub(super) async fn open(config: &Config, url: &str, clock: &Arc<dyn Clock>) -> Result<Arc<PgLedger>> {
    let options = options(config, url, Arc::clone(clock))?;
    let place = options.place();
    let ledger = PgLedger::open(options).await.map_err(|error| explain(&error, &place))?;
    ledger.declare(super::setup::setups(config)?).await.map_err(|error| disagrees(&error, &place))?;
    Ok(ledger)
}

/// Takes one moment of it, for the auditor. Blocks until it is taken.
pub fn snapshot(config: &Config, url: &str, clock: Arc<dyn Clock>) -> Result<Snapshot> {
    let options = options(config, url, clock)?;
    Snapshot::open(&options).map_err(|error| explain(&error, &options.place()))
}

/// How the configuration has it opened.
///
/// # Errors
/// The URL cannot be understood.
pub fn options(config: &Config, url: &str, clock: Arc<dyn Clock>) -> Result<Options, BadOption> {
    let settings = &config.postgres;
    let options = Options::from_url(url, clock).map_err(|error| BadOption::new("ledger", error))?;
    Ok(Options {
        secrets: Some(Arc::new(LocalSecrets::new(&config.data))),
        policy: config.process.policy(),
        undecided_max: config.intake.undecided_max,
        connections: settings.connections,
        committers: settings.committers,
        answer_max: settings.answer_max.std(),
        lease: settings.lease.std(),
        poll: settings.poll.std(),
        listen: settings.listen,
        is_relayed: config.bus != Bus::Ledger,
        ..options
    })
}

/// Says which ledger could not be opened, and what to do about it.
fn explain(error: &OpenError, place: &str) -> anyhow::Error {
    let advice = error.advice().map_or_else(String::new, |advice| format!("; {advice}"));
    anyhow!("{place}: {error}{advice}")
}

/// Says that another process is of another mind, and what to do about it.
fn disagrees(error: &Disagreement, place: &str) -> anyhow::Error {
    let advice = match error {
        Disagreement::Books { .. } => {
            "; name places that every process gets to in payments, mail and objects, the same in all of them"
        }
        Disagreement::Bus { .. } => "; stop all processes, and start them again with the same bus",
        Disagreement::Store(_) => "",
    };
    anyhow!("{place}: {error}{advice}")
}
