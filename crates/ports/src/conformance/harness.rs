//! How a suite gets the adapter it is to test.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ordermill_core::policy::Policy;

use crate::audit::LedgerSnapshot;
use crate::conformance::ManualClock;
use crate::{Bus, Ledger, Queries};

/// What a ledger is opened with.
#[derive(Clone)]
pub struct Settings {
    /// The times of the order process.
    pub policy: Policy,
    /// The only clock the ledger may look at for what it stores.
    pub clock: Arc<ManualClock>,
    /// New orders are admitted while fewer than this are undecided.
    pub undecided_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { policy: Policy::default(), clock: Arc::default(), undecided_max: 100_000 }
    }
}

/// A ledger with its reads and its bus.
#[derive(Clone)]
pub struct Backend {
    /// Where inputs go.
    pub ledger: Arc<dyn Ledger>,
    /// What was committed.
    pub queries: Arc<dyn Queries>,
    /// The way to the roles.
    pub bus: Arc<dyn Bus>,
}

impl Backend {
    /// One adapter that is all three.
    #[must_use]
    pub fn of<A: Ledger + Queries + Bus + 'static>(adapter: &Arc<A>) -> Self {
        let (ledger, queries, bus) = (Arc::clone(adapter) as _, Arc::clone(adapter) as _, Arc::clone(adapter) as _);
        Self { ledger, queries, bus }
    }
}

/// One place for a backend: empty when it is made, and for one test only.
#[async_trait]
pub trait Harness: Send + Sync {
    /// Opens the backend in this place. A suite opens it again only when it closed and dropped the one before; a durable
    /// backend then finds what it had committed.
    async fn open(&self, settings: &Settings) -> Backend;

    /// How long a suite waits for what has to come, also on a busy machine.
    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }
}

/// A place whose backend the auditor can read.
pub trait Audited: Harness {
    /// The backend that is open in this place, as it is now.
    fn snapshot(&self) -> Box<dyn LedgerSnapshot>;
}

/// No case takes longer, also on a busy machine: a hang is a failure.
const CASE_TIME_MAX: Duration = Duration::from_secs(600);

/// Runs one case on a runtime of its own.
///
/// # Panics
/// When the case fails, or does not end.
pub fn run<H>(harness: H, case: impl AsyncFnOnce(&H)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    let runtime = runtime.expect("the machine has room for four threads");
    let in_time = runtime.block_on(async { tokio::time::timeout(CASE_TIME_MAX, case(&harness)).await });
    assert!(in_time.is_ok(), "the case did not end within {} s", CASE_TIME_MAX.as_secs());
}
