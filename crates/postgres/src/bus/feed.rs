//! The newest events in memory, so that roles read nothing from the database as long as they keep up.

use std::collections::VecDeque;

use ordermill_core::Timestamp;
use ordermill_core::event::{EventType, Subject};
use parking_lot::RwLock;

use crate::codec::{int, kind_code, subject_bytes, subject_of, version_int};

/// Events kept: seconds under full load, in about 8 MiB when full.
pub(crate) const EVENTS_MAX: usize = 64 * 1024;

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum About {
    /// This.
    Subject(Subject),
    /// What only a newer program can read: its columns `subject_kind` and `subject`.
    Opaque(i16, Box<[u8]>),
}

impl About {
    /// Reads the columns `subject_kind` and `subject`.
    pub(crate) fn read(kind: i16, bytes: &[u8]) -> Self {
        subject_of(kind, bytes).map_or_else(|_| Self::Opaque(kind, bytes.into()), Self::Subject)
    }

    /// The subject, where this program can read it.
    pub(crate) const fn subject(&self) -> Option<&Subject> {
        match self {
            Self::Subject(subject) => Some(subject),
            Self::Opaque(..) => None,
        }
    }

    /// The columns `subject_kind` and `subject`.
    fn columns(&self) -> (i16, Box<[u8]>) {
        match self {
            Self::Subject(subject) => (kind_code(subject.kind()), subject_bytes(subject).into()),
            Self::Opaque(kind, bytes) => (*kind, bytes.clone()),
        }
    }
}

impl From<Subject> for About {
    fn from(subject: Subject) -> Self {
        Self::Subject(subject)
    }
}

/// What a role needs of an event.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// What it is about.
    pub(crate) about: About,
    /// Its version within the subject.
    pub(crate) version: u32,
    /// Its type; `None` for one that only a newer program knows.
    pub(crate) kind: Option<EventType>,
    /// When it was decided.
    pub(crate) at: Timestamp,
    /// The subject's partition.
    pub(crate) partition: u8,
}

/// The newest event that a process knows of: for a statement that asks a server whether it has it as well.
#[derive(Debug)]
pub(crate) struct Newest {
    /// Its position; 0 = none is known.
    pub(crate) position: u64,
    /// Which event it is: kind of subject, subject, version. `None` where that was not read.
    event: Option<(i16, Box<[u8]>, i32)>,
}

impl Newest {
    /// Whether the server has it, in a statement whose first parameters are [`Self::params`]. Where it has another event there, or none,
    /// commits are lost that this process knows of, and a cursor of its would go past others.
    pub(crate) const IS_THERE: &str = "($1::bigint = 0 OR EXISTS (SELECT FROM events AS newest WHERE newest.position = $1
        AND ($2::smallint IS NULL OR (newest.subject_kind, newest.subject, newest.version) = ($2, $3::bytea, $4::integer))))";

    /// The values for it: position, kind, subject, version.
    pub(crate) fn params(&self) -> (i64, Option<i16>, Option<&[u8]>, Option<i32>) {
        let event = self.event.as_ref();
        (
            int(self.position),
            event.map(|(kind, ..)| *kind),
            event.map(|(_, subject, _)| &**subject),
            event.map(|(.., version)| *version),
        )
    }
}

#[derive(Debug)]
struct Ring {
    /// Position of the first entry; positions have no gaps.
    first: u64,
    entries: VecDeque<Entry>,
    /// Whether another event was found at a position that is known.
    is_past: bool,
}

impl Ring {
    const fn behind(last: u64) -> Self {
        Self { first: last + 1, entries: VecDeque::new(), is_past: false }
    }

    /// Whether this is the event that is known at this position, as far as that goes back.
    fn agrees(&self, position: u64, entry: &Entry) -> bool {
        let index = position.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        let known = index.and_then(|index| self.entries.get(index));
        known.is_none_or(|known| (&known.about, known.version) == (&entry.about, entry.version))
    }

    fn last(&self) -> u64 {
        self.first + self.entries.len() as u64 - 1
    }
}

/// The newest events that this process knows of.
#[derive(Debug)]
pub(crate) struct Feed(RwLock<Ring>);

impl Default for Feed {
    fn default() -> Self {
        Self(RwLock::new(Ring::behind(0)))
    }
}

impl Feed {
    /// The newest position that this process knows of; 0 = none yet.
    pub(crate) fn last(&self) -> u64 {
        self.0.read().last()
    }

    /// The newest event that this process knows of.
    pub(crate) fn newest(&self) -> Newest {
        let ring = self.0.read();
        let event = ring.entries.back().map(|entry| {
            let (kind, subject) = entry.about.columns();
            (kind, subject, version_int(entry.version))
        });
        Newest { position: ring.last(), event }
    }

    /// Forgets everything, and goes on behind this position: what is before is read from the database.
    pub(crate) fn jump(&self, last: u64) {
        let mut ring = self.0.write();
        if ring.last() < last {
            *ring = Ring::behind(last);
        }
    }

    /// Forgets everything as well, also where what is known lies behind this position.
    pub(crate) fn rewind(&self, last: u64) {
        *self.0.write() = Ring::behind(last);
    }

    /// Whether another event was found at a position that is known: the server has lost commits, and goes on from before them.
    pub(crate) fn is_past(&self) -> bool {
        self.0.read().is_past
    }

    /// Adds events, the first of them at this position; those that are there already are passed over. `false` when there are events
    /// between, which have to be read first, or others in their place; then nothing was added.
    pub(crate) fn append(&self, first: u64, events: impl ExactSizeIterator<Item = Entry>) -> bool {
        let mut ring = self.0.write();
        let next = ring.last() + 1;
        let mut events = events.peekable();
        ring.is_past |= events.peek().is_some_and(|entry| !ring.agrees(first, entry));
        if first > next || ring.is_past {
            return false;
        }
        let known = usize::try_from(next - first).unwrap_or(usize::MAX);
        ring.entries.extend(events.skip(known));
        let surplus = ring.entries.len().saturating_sub(EVENTS_MAX);
        ring.entries.drain(..surplus);
        ring.first += surplus as u64;
        true
    }

    /// Shows the events behind a position, oldest first, until `visit` says `false`. `false` when the feed no longer reaches back so
    /// far; then nothing was shown.
    pub(crate) fn scan(&self, after: u64, mut visit: impl FnMut(u64, &Entry) -> bool) -> bool {
        let ring = self.0.read();
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

    fn entries(versions: std::ops::Range<u32>) -> impl ExactSizeIterator<Item = Entry> {
        versions.map(|version| {
            let subject = Subject::Product(ordermill_core::id::ProductId::new("p").expect("a plain id"));
            let kind = Some(EventType::StockSet);
            Entry { about: subject.into(), version, kind, at: Timestamp::UNIX_EPOCH, partition: 0 }
        })
    }

    fn positions(feed: &Feed, after: u64) -> Vec<(u64, u32)> {
        let mut seen = Vec::new();
        assert!(feed.scan(after, |position, entry| {
            seen.push((position, entry.version));
            seen.len() < 3
        }));
        seen
    }

    #[test]
    fn events_are_added_once_and_never_with_a_gap() {
        let feed = Feed::default();
        assert!(feed.last() == 0 && positions(&feed, 0).is_empty());
        assert!(feed.append(1, entries(1..3)));
        assert!(!feed.append(4, entries(4..5)), "what is at 3 has to be read first");
        assert!(feed.append(2, entries(2..5)), "read from the database, what is there already too");
        assert!(feed.append(1, entries(1..2)), "known altogether");
        assert_eq!(feed.last(), 4);
        assert_eq!(positions(&feed, 1), [(2, 2), (3, 3), (4, 4)]);
        assert!(positions(&feed, 4).is_empty());
    }

    #[test]
    fn old_events_are_forgotten() {
        let feed = Feed::default();
        feed.jump(10);
        assert!(!feed.scan(9, |_, _| true));
        let count = u32::try_from(EVENTS_MAX).expect("small") + 5;
        assert!(feed.append(11, entries(11..11 + count)));
        assert_eq!(feed.last(), 10 + u64::from(count));
        assert!(!feed.scan(14, |_, _| true));
        assert_eq!(positions(&feed, 15), [(16, 16), (17, 17), (18, 18)]);
        feed.jump(5);
        assert_eq!(feed.last(), 10 + u64::from(count), "it never goes back");
        let newest = feed.last();
        assert!(feed.append(newest, entries(10 + count..12 + count)) && !feed.is_past());
        assert!(!feed.append(newest, entries(7..8)) && feed.is_past(), "another event at a known position");
        feed.rewind(5);
        assert!(!feed.is_past());
        // One that cannot be read is known by what it is as well.
        let strange = |id: &[u8]| Entry { about: About::read(6, id), ..entries(1..2).next().expect("one") };
        assert!(feed.append(6, std::iter::once(strange(b"new"))) && feed.append(6, std::iter::once(strange(b"new"))));
        assert_eq!(feed.newest().params(), (6, Some(6), Some(&b"new"[..]), Some(1)));
        assert!(!feed.append(6, std::iter::once(strange(b"old"))) && feed.is_past());
        feed.rewind(5);
        assert!(feed.last() == 5 && feed.append(6, entries(1..2)), "unless the server has");
    }
}
