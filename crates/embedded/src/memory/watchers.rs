//! Who waits for a change of what.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// One bell per order, or parcel, that anybody watches.
pub(super) struct Watchers<I>(Mutex<BTreeMap<I, Watched>>);

impl<I> Default for Watchers<I> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

#[derive(Default)]
struct Watched {
    bell: Arc<Notify>,
    watchers: usize,
}

/// One who watches, until dropped.
pub(super) struct Watcher<'a, I: Ord> {
    all: &'a Watchers<I>,
    id: I,
    /// Rung at each change of what is watched.
    pub(super) bell: Arc<Notify>,
}

impl<I: Ord + Clone> Watchers<I> {
    /// Starts to watch.
    pub(super) fn watch(&self, id: I) -> Watcher<'_, I> {
        let mut watched = self.0.lock();
        let entry = watched.entry(id.clone()).or_default();
        entry.watchers += 1;
        Watcher { all: self, id, bell: Arc::clone(&entry.bell) }
    }

    /// Tells who watches one of these to look.
    pub(super) fn wake(&self, changed: &[I]) {
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

impl<I: Ord> Drop for Watcher<'_, I> {
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
