//! The ledger, its queries and its bus in memory: the plain reference that the durable adapters are held against, and what shows
//! the benchmark the price of durability.
//!
//! Everything lies behind one lock: an input is decided and applied at once, so there is nothing to merge, to undo or to recover.
//! Nothing is ever forgotten (orders, events, keys), so memory grows with every order; nothing survives the process.

mod admission;
mod audience;
mod bus;
mod deliveries;
mod door;
mod facts;
mod kept;
mod ledger;
mod log;
mod queries;
mod snapshot;
mod state;
mod tally;
mod watchers;

use std::sync::Arc;

use ordermill_core::Timestamp;
use ordermill_core::id::{OrderId, ParcelId};
use ordermill_core::policy::Policy;
use ordermill_core::process::Role;
use ordermill_ports::clock::Clock;
use parking_lot::Mutex;
use tokio::sync::Notify;

pub use snapshot::Snapshot;

use admission::Admission;
use state::{News, State};
use watchers::Watchers;

/// A ledger in memory. Implements [`Ledger`](ordermill_ports::Ledger), [`Queries`](ordermill_ports::Queries) and
/// [`Bus`](ordermill_ports::Bus).
pub struct MemoryLedger {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    admission: Admission,
    order_watchers: Watchers<OrderId>,
    parcel_watchers: Watchers<ParcelId>,
    /// Rung when the feed has grown.
    grown: Notify,
    /// One bell per role: rung when there is something new for it.
    bells: [Notify; Role::ALL.len()],
}

impl MemoryLedger {
    /// An empty ledger. New orders are admitted while fewer than `undecided_max` are undecided.
    #[must_use]
    pub fn new(policy: Policy, clock: Arc<dyn Clock>, undecided_max: usize) -> Arc<Self> {
        Arc::new(Self {
            clock,
            state: Mutex::new(State::new(policy)),
            admission: Admission::new(undecided_max),
            order_watchers: Watchers::default(),
            parcel_watchers: Watchers::default(),
            grown: Notify::new(),
            bells: Role::ALL.map(|_| Notify::new()),
        })
    }

    /// The ledger as it is at this moment, for the auditor.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(&self.state.lock())
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn ring(&self, role: Role) {
        self.bells[role as usize].notify_one();
    }

    /// Wakes whoever waits for what has just been applied.
    fn spread(&self, news: &News) {
        for role in Role::ALL.into_iter().filter(|role| news.roles[*role as usize]) {
            self.ring(role);
        }
        self.order_watchers.wake(&news.orders);
        self.parcel_watchers.wake(&news.parcels);
        if news.has_events {
            self.grown.notify_waiters();
        }
    }
}
