//! The ledgers that are moved: read or filled as a whole, beside the server.

use anyhow::Result;
use ordermill_config::{Config, Ledger};
use ordermill_embedded::sqlite;
use ordermill_engine::moving::{Phase, Progress as Word};
use ordermill_ports::moving::{LedgerReader, LedgerWriter};
#[cfg(feature = "postgres")]
use ordermill_ports::{Clock, clock::SystemClock};
#[cfg(feature = "postgres")]
use std::sync::Arc;

#[cfg(feature = "postgres")]
use crate::assembly::postgres;
use crate::exit::Usage;
use crate::progress::Progress;

/// Reads the configured ledger.
pub fn reader(config: &Config) -> Result<Box<dyn LedgerReader>> {
    match &config.ledger {
        Ledger::Sqlite(path) => Ok(Box::new(sqlite::Reader::open(path)?)),
        Ledger::Memory => Err(in_memory().into()),
        #[cfg(feature = "postgres")]
        Ledger::Postgres(url) => {
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            Ok(Box::new(ordermill_postgres::Reader::open(&postgres::options(config, url, clock)?)?))
        }
    }
}

/// Fills the configured ledger.
pub fn writer(config: &Config) -> Result<Box<dyn LedgerWriter>> {
    match &config.ledger {
        Ledger::Sqlite(path) => Ok(Box::new(sqlite::Writer::open(path)?)),
        Ledger::Memory => Err(in_memory().into()),
        #[cfg(feature = "postgres")]
        Ledger::Postgres(url) => {
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            Ok(Box::new(ordermill_postgres::Writer::open(postgres::options(config, url, clock)?)?))
        }
    }
}

/// What to do about a ledger that holds the beginning of an export, and stays closed.
pub fn how_to_go_on(config: &Config) -> String {
    let anew = match &config.ledger {
        Ledger::Sqlite(path) => format!("remove {}", path.display()),
        Ledger::Memory => "start again".to_owned(),
        #[cfg(feature = "postgres")]
        Ledger::Postgres(_) => "drop the schema".to_owned(),
    };
    format!("the ledger stays closed: import the whole file to go on where this ended, or {anew} to begin anew")
}

fn in_memory() -> Usage {
    Usage("a ledger in memory is gone with its process; it cannot be moved".to_owned())
}

/// Shows how far the work is, phase by phase.
pub struct Watch {
    quiet: bool,
    phase: Option<(Phase, Progress)>,
}

impl Watch {
    /// Shows nothing yet, and never anything when `quiet`.
    pub const fn new(quiet: bool) -> Self {
        Self { quiet, phase: None }
    }

    /// Shows this.
    pub fn update(&mut self, word: Word) {
        if self.phase.as_ref().is_none_or(|(phase, _)| *phase != word.phase) {
            self.finish();
            self.phase = Some((word.phase, Progress::new(what(word.phase), self.quiet)));
        }
        if let Some((_, shown)) = &mut self.phase {
            shown.update(word.done, word.total.map(|total| word.done as f64 / total.max(1) as f64));
        }
    }

    /// Takes what is shown away.
    pub fn finish(&mut self) {
        if let Some((_, shown)) = self.phase.take() {
            shown.finish();
        }
    }
}

const fn what(phase: Phase) -> &'static str {
    match phase {
        Phase::Export => "lines exported",
        Phase::Check => "lines checked",
        Phase::Import => "lines imported",
        Phase::Derive => "orders, products and other rows made",
        Phase::Audit(_) => "entries audited",
    }
}
