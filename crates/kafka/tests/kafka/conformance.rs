//! The event path against the suites of the ledger, its queries and its bus, unchanged.
//!
//! The suites of snapshots and of moving are not run here: both read and write the ledger's tables by themselves and know of no bus, so
//! that they would try the same code on the same rows as in the backend's own tests. What a broker could change about them is who settles a
//! delivery, and with it where a cursor stands that an export takes along; `moving` and `event_path` of the black-box tests show that.

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
