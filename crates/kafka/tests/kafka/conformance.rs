//! The event path against the suites of the ledger, its queries and its bus, unchanged.

use async_trait::async_trait;
use ordermill_ports::conformance::{Backend, Harness, Settings};

use crate::support::Place;
use crate::support::process::Patient;

#[async_trait]
impl Harness for Place {
    async fn open(&self, settings: &Settings) -> Backend {
        Patient::open(self, settings).await
    }
}

ordermill_ports::ledger_suite!(crate::support::Place::new());
ordermill_ports::durable_suite!(crate::support::Place::new());
