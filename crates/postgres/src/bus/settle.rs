//! Settlements, in the commit of the inputs that they came with.

use ordermill_core::Timestamp;
use ordermill_ports::bus::Settlement;

use crate::connect::Tx;
use crate::error::StoreError;
use crate::shared::Shared;

/// What a commit's settlements change in this process once it is committed.
#[derive(Default)]
pub(crate) struct Staged {}

/// Writes what becomes of deliveries. THE SEAM: the writer calls it once per batch, in its transaction, behind the decisions and its own
/// row writes and before it locks the feed's head; so it may take locks (leases, parked, cursors) in an order of its own, but nothing
/// of it may wait for the head. An `Err` rolls the whole batch back; on a conflict the batch is decided and staged anew. It comes with a
/// slice that may be empty.
pub(crate) async fn stage(
    _shared: &Shared,
    _tx: &Tx,
    _settlements: &[Settlement],
    _now: Timestamp,
) -> Result<Staged, StoreError> {
    Ok(Staged::default())
}

/// The transaction was committed. A transaction that was not, drops its [`Staged`].
pub(crate) fn committed(_shared: &Shared, _staged: Staged) {}
