//! The bus within the ledger: committed events on their way to roles, shared by any number of processes.
//!
//! ```text
//! leases (role, partition) ─► what this process may hand out ─► receive ─► role ─► submit, with its settlement
//!   ▲ renewed, taken, given up              ▲                                          │ in the committer's transaction:
//!   └ `lease::pass`                         └ feed in memory, or the event table        ▼ locks the lease, moves the cursor
//! ```
//!
//! Architecture invariant: at most one process settles a delivery. Whoever lost a lease finds that out when the lease's row is locked,
//! in the transaction of the settlement itself; no clock decides it.

mod again;
mod dead_letters;
mod feed;
mod foreign;
mod lag;
pub(crate) mod lease;
pub(crate) mod parked;
mod port;
mod read;
pub(crate) mod settle;
mod state;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ordermill_core::channel;
use ordermill_core::event::EventType;
use ordermill_core::process::Role;
use parking_lot::Mutex;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::codec::PARTITIONS;
use crate::options::Options;

pub(crate) use again::publish_again;
pub(crate) use feed::{EVENTS_MAX, Entry, Feed, Newest};
pub(crate) use lease::close;
pub(crate) use read::{headers_behind, reload};

/// One role in this process.
#[derive(Debug)]
pub(crate) struct Seat {
    state: Mutex<state::State>,
    /// The event types that are handed out to the role from here, one bit each.
    kinds: u64,
    /// Whether the role gets its new events from a broker, and from here what is parked or redriven.
    is_fed_elsewhere: bool,
    /// Rung when there is something new for the role.
    bell: Notify,
    /// Rung when parked deliveries are to be read.
    reader: Notify,
    /// How many were parked in all processes together, and when they were counted.
    counted: Mutex<Option<(Instant, u64)>>,
    /// Whether anybody in this process has asked for the role's deliveries, so that it leases its share of them.
    is_run: AtomicBool,
    /// Whether it has none to do any more, and its leases are to be given up.
    is_left: AtomicBool,
}

/// What this process holds of the bus.
#[derive(Debug)]
pub(crate) struct Bus {
    /// Names this process among the owners of leases; new with each opening.
    pub(crate) process: Uuid,
    /// How long a lease holds.
    pub(crate) lease: Duration,
    /// The newest events.
    pub(crate) feed: Feed,
    seats: [Seat; Role::ALL.len()],
    /// How often the server has lost commits that this process knew of.
    pub(crate) history: AtomicU64,
}

/// The event types that reach a role from here, one bit each.
fn kinds(role: Role, is_relayed: bool) -> u64 {
    let kinds = match (is_relayed, role) {
        (true, Role::Relay) => channel::relayed(),
        (true, _) => Vec::new(),
        (false, _) => role.reacts_to(),
    };
    kinds.into_iter().map(state::bit).fold(0, |all, one| all | one)
}

impl Bus {
    pub(crate) fn new(options: &Options) -> Self {
        let seat = |role| {
            let kinds = kinds(role, options.is_relayed);
            Seat {
                state: Mutex::new(state::State::new(role, kinds)),
                kinds,
                is_fed_elsewhere: options.is_relayed && !role.reacts_to().is_empty(),
                bell: Notify::new(),
                reader: Notify::new(),
                counted: Mutex::default(),
                is_run: AtomicBool::new(false),
                is_left: AtomicBool::new(false),
            }
        };
        let (process, seats, history) = (Uuid::now_v7(), Role::ALL.map(seat), AtomicU64::default());
        Self { process, lease: options.lease, feed: Feed::default(), seats, history }
    }

    fn seat(&self, role: Role) -> &Seat {
        &self.seats[role as usize]
    }

    /// The roles that this process runs.
    fn roles(&self) -> Vec<Role> {
        Role::ALL.into_iter().filter(|role| self.seat(*role).is_run.load(Ordering::Acquire)).collect()
    }

    /// The roles that this process ran, and whose share is to go to others.
    fn left(&self) -> Vec<Role> {
        let is_left = |seat: &Seat| seat.is_left.load(Ordering::Acquire) && !seat.is_run.load(Ordering::Acquire);
        Role::ALL.into_iter().filter(|role| is_left(self.seat(*role))).collect()
    }

    /// The server has lost commits that this process knows of: what it holds in memory is of another history. Leases are taken anew when they
    /// are over, with the cursors that the server has.
    pub(crate) fn start_over(&self, head: u64) {
        // First, so that whoever is handed an event of the new history knows of it.
        self.history.fetch_add(1, Ordering::AcqRel);
        for seat in &self.seats {
            let mut state = seat.state.lock();
            (0..PARTITIONS).for_each(|partition| state.lose(partition));
        }
        self.feed.rewind(head);
    }

    /// A lease is another's by now.
    fn fenced(&self, role: Role, partition: u8, token: i64) {
        let mut state = self.seat(role).state.lock();
        if state.leases[usize::from(partition)].as_ref().is_some_and(|lease| lease.token == token) {
            state.lose(partition);
            drop(state);
            tracing::warn!(role = role.as_str(), partition, token, "a lease was lost; what it was to settle is void");
        }
    }

    /// Events of these types were committed.
    pub(crate) fn ring(&self, kinds: impl Iterator<Item = EventType>) {
        let kinds = kinds.map(state::bit).fold(0, |all, one| all | one);
        for seat in self.seats.iter().filter(|seat| seat.kinds & kinds != 0) {
            seat.bell.notify_waiters();
        }
    }

    /// Something may be new for every role.
    pub(crate) fn ring_all(&self) {
        for seat in &self.seats {
            seat.bell.notify_waiters();
        }
    }
}
