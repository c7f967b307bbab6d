//! What only the writer knows.

use ordermill_core::Timestamp;

use super::super::keys::KeyIndex;
use super::super::memory::KnownIds;
use super::customers::Customers;
use super::write_back::Unwritten;

/// The writer's own state, as committed.
#[derive(Debug)]
pub(in super::super) struct Memory {
    /// Position of the last event.
    pub(in super::super) position: u64,
    /// When the last commit was decided; time never goes back in the ledger.
    pub(in super::super) now: Timestamp,
    pub(in super::super) known: KnownIds,
    pub(in super::super) keys: KeyIndex,
    /// The last row of the table `idempotency`.
    pub(in super::super) key_row: i64,
    /// The last slot of the table `stock`.
    pub(in super::super) stock_slot: i64,
    pub(in super::super) sweep: KeySweep,
    pub(in super::super) customers: Customers,
    pub(in super::super) unwritten: Unwritten,
}

/// How far the deletion of expired keys has come.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct KeySweep {
    /// Rows up to here were looked at since the sweep began at the first row.
    pub(in super::super) row: i64,
    /// When to go on.
    pub(in super::super) next: Timestamp,
}
