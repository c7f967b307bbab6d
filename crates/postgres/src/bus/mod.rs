//! The bus within the ledger: leases, deliveries, settlements.

pub(crate) mod settle;

use std::sync::Arc;

use crate::options::Options;
use crate::shared::Shared;

/// What this process holds of the bus.
pub(crate) struct State {}

impl State {
    pub(crate) fn new(_options: &Options) -> Self {
        Self {}
    }
}

/// Renews and takes leases until the ledger closes. Started once, when the ledger is open.
pub(crate) async fn run(shared: Arc<Shared>) {
    shared.closing().await;
}
