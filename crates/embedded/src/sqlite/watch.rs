//! Wakes those who wait for one order to change.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ordermill_core::id::OrderId;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Waiters by order.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    waiting: AtomicUsize,
    by_order: Mutex<HashMap<OrderId, (Arc<Notify>, usize)>>,
}

/// One waiter; dropped, it waits no more.
#[derive(Debug)]
pub(super) struct Watcher<'a> {
    watchers: &'a Watchers,
    id: OrderId,
    pub(super) changed: Arc<Notify>,
}

impl Watchers {
    /// Begins to watch an order, whether or not it exists.
    pub(super) fn watch(&self, id: OrderId) -> Watcher<'_> {
        let mut by_order = self.by_order.lock();
        let (changed, count) = by_order.entry(id).or_default();
        *count += 1;
        let changed = Arc::clone(changed);
        // Counted under the lock, and before the watcher looks at the order: the writer either sees the count, or has published
        // what the watcher is about to see.
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Watcher { watchers: self, id, changed }
    }

    /// These orders have changed.
    pub(super) fn wake(&self, ids: impl Iterator<Item = OrderId>) {
        if self.waiting.load(Ordering::SeqCst) == 0 {
            return;
        }
        let by_order = self.by_order.lock();
        for (changed, _) in ids.filter_map(|id| by_order.get(&id)) {
            changed.notify_waiters();
        }
    }
}

impl Drop for Watcher<'_> {
    fn drop(&mut self) {
        let mut by_order = self.watchers.by_order.lock();
        self.watchers.waiting.fetch_sub(1, Ordering::SeqCst);
        if let Some((_, count)) = by_order.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                by_order.remove(&self.id);
            }
        }
    }
}
