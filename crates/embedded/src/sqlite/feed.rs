//! The newest events in memory, so that roles read nothing from the database as long as they keep up.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use ordermill_core::Timestamp;
use ordermill_core::event::{EventType, Subject};
use parking_lot::RwLock;
use tokio::sync::Notify;

/// Events kept: two seconds under full load. About 4 MiB when full.
const EVENTS_MAX: usize = 64 * 1024;

/// What a role needs of an event.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) subject: Subject,
    pub(super) version: u32,
    pub(super) kind: EventType,
    pub(super) at: Timestamp,
}

#[derive(Debug)]
struct Ring {
    /// Position of the first entry; positions have no gaps.
    first: u64,
    entries: VecDeque<Entry>,
}

/// The newest committed events.
#[derive(Debug)]
pub(super) struct Feed {
    ring: RwLock<Ring>,
    last: AtomicU64,
    /// Rung when events were added.
    pub(super) grown: Notify,
}

impl Feed {
    /// A feed whose last event was committed at this position; 0 = there is none yet.
    pub(super) fn new(last: u64) -> Self {
        let ring = Ring { first: last + 1, entries: VecDeque::new() };
        Self { ring: RwLock::new(ring), last: AtomicU64::new(last), grown: Notify::new() }
    }

    /// The position of the last committed event.
    pub(super) fn last(&self) -> u64 {
        self.last.load(Ordering::Acquire)
    }

    /// Adds the events of one commit.
    pub(super) fn append(&self, events: impl IntoIterator<Item = Entry>) {
        let mut ring = self.ring.write();
        let before = self.last();
        ring.entries.extend(events);
        let surplus = ring.entries.len().saturating_sub(EVENTS_MAX);
        ring.entries.drain(..surplus);
        ring.first += surplus as u64;
        let last = ring.first + ring.entries.len() as u64 - 1;
        self.last.store(last, Ordering::Release);
        drop(ring);
        if last > before {
            self.grown.notify_waiters();
        }
    }

    /// Shows the events behind a position, oldest first, until `visit` says `false`. `false` when the feed no longer reaches
    /// back so far; then nothing was shown.
    pub(super) fn scan(&self, after: u64, mut visit: impl FnMut(u64, &Entry) -> bool) -> bool {
        let ring = self.ring.read();
        if after + 1 < ring.first {
            return false;
        }
        let skip = usize::try_from(after + 1 - ring.first).unwrap_or(usize::MAX);
        if skip < ring.entries.len() {
            for (entry, position) in ring.entries.range(skip..).zip(after + 1..) {
                if !visit(position, entry) {
                    break;
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(version: u32) -> Entry {
        let subject = Subject::Product(ordermill_core::id::ProductId::new("p").expect("a plain id"));
        Entry { subject, version, kind: EventType::StockSet, at: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn positions_follow_the_events_and_old_ones_are_forgotten() {
        let feed = Feed::new(10);
        assert!(feed.scan(10, |_, _| panic!("there is nothing")));
        assert!(!feed.scan(9, |_, _| true));
        let count = EVENTS_MAX as u64 + 5;
        feed.append((11..11 + count).map(|position| entry(u32::try_from(position).expect("small"))));
        assert_eq!(feed.last(), 10 + count);
        assert!(!feed.scan(14, |_, _| true));
        let mut seen = Vec::new();
        assert!(feed.scan(15, |position, entry| {
            seen.push((position, u64::from(entry.version)));
            seen.len() < 3
        }));
        assert_eq!(seen, [(16, 16), (17, 17), (18, 18)]);
        assert!(feed.scan(10 + count, |_, _| panic!("behind the end is nothing")));
    }
}
