//! Wakes those who wait for one order or one parcel to change.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

type Waiters<K> = HashMap<K, (Arc<Notify>, usize)>;

/// Waiters by what they wait for.
#[derive(Debug)]
pub(super) struct Watchers<K: Eq + Hash> {
    waiting: AtomicUsize,
    by_id: Mutex<Waiters<K>>,
}

/// One waiter; dropped, it waits no more.
#[derive(Debug)]
pub(super) struct Watcher<'a, K: Eq + Hash> {
    watchers: &'a Watchers<K>,
    id: K,
    pub(super) changed: Arc<Notify>,
}

impl<K: Eq + Hash> Default for Watchers<K> {
    fn default() -> Self {
        Self { waiting: AtomicUsize::new(0), by_id: Mutex::default() }
    }
}

impl<K: Eq + Hash + Clone> Watchers<K> {
    /// Begins to watch, whether or not there is anything of this id.
    pub(super) fn watch(&self, id: K) -> Watcher<'_, K> {
        let mut by_id = self.by_id.lock();
        let (changed, count) = by_id.entry(id.clone()).or_default();
        *count += 1;
        let changed = Arc::clone(changed);
        // Counted under the lock, and before the watcher looks at the thing: the writer either sees the count, or has published
        // what the watcher is about to see.
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Watcher { watchers: self, id, changed }
    }

    /// These have changed.
    pub(super) fn wake<'k>(&self, ids: impl Iterator<Item = &'k K>)
    where
        K: 'k,
    {
        if self.waiting.load(Ordering::SeqCst) == 0 {
            return;
        }
        let by_id = self.by_id.lock();
        for (changed, _) in ids.filter_map(|id| by_id.get(id)) {
            changed.notify_waiters();
        }
    }
}

impl<K: Eq + Hash> Drop for Watcher<'_, K> {
    fn drop(&mut self) {
        let mut by_id = self.watchers.by_id.lock();
        self.watchers.waiting.fetch_sub(1, Ordering::SeqCst);
        if let Some((_, count)) = by_id.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                by_id.remove(&self.id);
            }
        }
    }
}
