//! What the parts of one ledger share.

use std::sync::Arc;

use ordermill_core::Timestamp;
use ordermill_core::policy::Policy;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::admission::Admission;
use crate::cache::Orders;
use crate::clock::ServerClock;
use crate::connect::Pool;
use crate::health::Health;
use crate::lanes::Lanes;
use crate::meters::Meters;
use crate::options::Options;
use crate::setup::Setup;
use crate::{bus, notify};

/// Shared by the callers and the tasks of one ledger. Nothing in it matters beyond the process: the database decides.
pub(crate) struct Shared {
    pub(crate) schema: String,
    pub(crate) policy: Policy,
    pub(crate) clock: Arc<ServerClock>,
    pub(crate) pool: Pool,
    pub(crate) lanes: Lanes,
    pub(crate) admission: Admission,
    pub(crate) health: Health,
    pub(crate) meters: Meters,
    pub(crate) orders: Orders,
    pub(crate) bus: Arc<bus::Bus>,
    pub(crate) notify: notify::State,
    /// What this process says of how it runs its roles.
    pub(crate) setups: Mutex<Vec<Setup>>,
    closing: watch::Sender<bool>,
}

impl Shared {
    pub(crate) fn new(options: &Options, pool: Pool) -> Self {
        Self {
            schema: options.schema.clone(),
            policy: options.policy.clone(),
            clock: Arc::new(ServerClock::new(Arc::clone(&options.clock))),
            pool,
            lanes: Lanes::default(),
            admission: Admission::new(options.undecided_max),
            health: Health::default(),
            meters: Meters::default(),
            orders: Orders::default(),
            bus: Arc::new(bus::Bus::new(options)),
            notify: notify::State::new(options),
            setups: Mutex::default(),
            closing: watch::Sender::new(false),
        }
    }

    /// Now, in whole microseconds: what is stored comes back equal.
    pub(crate) fn now(&self) -> Timestamp {
        let now = ordermill_ports::Clock::now(&*self.clock);
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }

    /// Whether the ledger takes nothing more.
    pub(crate) fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Takes nothing more from now on.
    pub(crate) fn begin_end(&self) {
        self.closing.send_replace(true);
    }

    /// Returns when the ledger is closing: what every background task ends by.
    pub(crate) async fn closing(&self) {
        // Fails only when the sender is gone, which lives as long as `self`.
        let _ = self.closing.subscribe().wait_for(|closing| *closing).await;
    }
}
