//! Who waits for a change of which order.

use std::collections::BTreeMap;
use std::sync::Arc;

use ordermill_core::id::OrderId;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// One bell per order that anybody watches.
#[derive(Default)]
pub(super) struct Watchers(Mutex<BTreeMap<OrderId, Watched>>);

#[derive(Default)]
struct Watched {
    bell: Arc<Notify>,
    watchers: usize,
}

/// One who watches an order, until dropped.
pub(super) struct Watcher<'a> {
    all: &'a Watchers,
    id: OrderId,
    /// Rung at each change of the order.
    pub(super) bell: Arc<Notify>,
}

impl Watchers {
    /// Starts to watch an order.
    pub(super) fn watch(&self, id: OrderId) -> Watcher<'_> {
        let mut watched = self.0.lock();
        let entry = watched.entry(id).or_default();
        entry.watchers += 1;
        Watcher { all: self, id, bell: Arc::clone(&entry.bell) }
    }

    /// Tells who watches one of these orders to look.
    pub(super) fn wake(&self, changed: &[OrderId]) {
        let watched = self.0.lock();
        if watched.is_empty() {
            return;
        }
        for id in changed {
            if let Some(entry) = watched.get(id) {
                entry.bell.notify_waiters();
            }
        }
    }
}

impl Drop for Watcher<'_> {
    fn drop(&mut self) {
        let mut watched = self.all.0.lock();
        if let Some(entry) = watched.get_mut(&self.id) {
            entry.watchers -= 1;
            if entry.watchers == 0 {
                watched.remove(&self.id);
            }
        }
    }
}
