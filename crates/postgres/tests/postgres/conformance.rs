//! The adapter against the suites of its ports.

use std::sync::Arc;

use async_trait::async_trait;
use ordermill_ports::Clock;
use ordermill_ports::audit::LedgerSnapshot;
use ordermill_ports::conformance::{Audited, Backend, Harness, Settings};
use ordermill_postgres::{Options, PgLedger, Snapshot};

use crate::support::Database;

/// The options of a database.
fn options(database: &Database, clock: Arc<dyn Clock>) -> Options {
    Options::from_url(&database.url(), clock).expect("a sound URL")
}

impl Audited for Database {
    fn snapshot(&self) -> Box<dyn LedgerSnapshot> {
        let clock = Arc::new(ordermill_ports::clock::SystemClock);
        Box::new(Snapshot::open(&options(self, clock)).expect("the auditor can read along"))
    }
}

#[async_trait]
impl Harness for Database {
    async fn open(&self, settings: &Settings) -> Backend {
        let mut options = options(self, Arc::clone(&settings.clock) as Arc<dyn Clock>);
        options.policy = settings.policy.clone();
        options.undecided_max = settings.undecided_max;
        Backend::of(&PgLedger::open(options).await.expect("the ledger opens"))
    }
}

ordermill_ports::ledger_suite!(crate::support::Database::new());
ordermill_ports::durable_suite!(crate::support::Database::new());
ordermill_ports::snapshot_suite!(crate::support::Database::new());
