//! The adapter against the suites of its ports.

use std::sync::Arc;

use async_trait::async_trait;
use ordermill_ports::audit::LedgerSnapshot;
use ordermill_ports::clock::SystemClock;
use ordermill_ports::conformance::{Audited, Backend, Harness, Movable, Settings};
use ordermill_ports::moving::{LedgerReader, LedgerWriter, MoveError};
use ordermill_ports::{Clock, Ledger};
use ordermill_postgres::{Options, PgLedger, Reader, Snapshot, Writer};

use crate::support::Database;

/// The options of a database.
fn options(database: &Database, clock: Arc<dyn Clock>) -> Options {
    Options::from_url(&database.url(), clock).expect("a sound URL")
}

impl Audited for Database {
    fn snapshot(&self) -> Box<dyn LedgerSnapshot> {
        Box::new(Snapshot::open(&options(self, Arc::new(SystemClock))).expect("the auditor can read along"))
    }
}

fn settled(database: &Database, settings: &Settings) -> Options {
    let mut options = options(database, Arc::clone(&settings.clock) as Arc<dyn Clock>);
    options.policy = settings.policy.clone();
    options.undecided_max = settings.undecided_max;
    options
}

#[async_trait]
impl Harness for Database {
    async fn open(&self, settings: &Settings) -> Backend {
        Backend::of(&PgLedger::open(settled(self, settings)).await.expect("the ledger opens"))
    }
}

#[async_trait]
impl Movable for Database {
    fn another(&self) -> Box<dyn Movable> {
        Box::new(Self::new())
    }

    fn reader(&self) -> Result<Box<dyn LedgerReader>, MoveError> {
        Ok(Box::new(Reader::open(&options(self, Arc::new(SystemClock)))?))
    }

    fn writer(&self) -> Result<Box<dyn LedgerWriter>, MoveError> {
        Ok(Box::new(Writer::open(options(self, Arc::new(SystemClock)))?))
    }

    async fn try_open(&self, settings: &Settings) -> Result<(), String> {
        let ledger = PgLedger::open(settled(self, settings)).await.map_err(|error| error.to_string())?;
        ledger.close().await;
        Ok(())
    }
}

ordermill_ports::ledger_suite!(crate::support::Database::new());
ordermill_ports::durable_suite!(crate::support::Database::new());
ordermill_ports::snapshot_suite!(crate::support::Database::new());
ordermill_ports::moving_suite!(crate::support::Database::new());
