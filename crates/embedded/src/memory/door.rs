//! Where new orders wait for room.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Mutex, MutexGuard, Notify};
use tokio::time::{Instant, timeout_at};

/// One queue for one kind of intake. The first in it waits for room, the others for their turn, in the order they came.
#[derive(Default)]
pub(super) struct Door {
    queue: Mutex<()>,
    queued: AtomicUsize,
    room: Notify,
}

/// The right to the next room, held until its owner is through.
pub(super) struct Turn<'a> {
    _first: MutexGuard<'a, ()>,
    _place: Place<'a>,
}

/// Counts one who waits, also if the wait is cancelled.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Door {
    /// Whether nobody waits, so that room may be taken without a turn.
    pub(super) fn is_free(&self) -> bool {
        self.queued.load(Ordering::Relaxed) == 0
    }

    /// Queues until it is the caller's turn; `None` when the time is over.
    pub(super) async fn queue(&self, deadline: Instant) -> Option<Turn<'_>> {
        self.queued.fetch_add(1, Ordering::Relaxed);
        let place = Place(&self.queued);
        let first = timeout_at(deadline, self.queue.lock()).await.ok()?;
        Some(Turn { _first: first, _place: place })
    }

    /// Waits until there may be room; for the one whose turn it is. False when the time is over.
    pub(super) async fn wait_for_room(&self, deadline: Instant) -> bool {
        timeout_at(deadline, self.room.notified()).await.is_ok()
    }

    /// Tells the first in the queue to look again. Remembered when nobody waits: a look too many does no harm.
    pub(super) fn knock(&self) {
        self.room.notify_one();
    }
}
