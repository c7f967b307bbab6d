//! Messages that hold the offset of their partition: no role can deal with them, and they must not be lost.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Place, State};

/// A message that is held for so long is told of: one that is put aside is so within a moment.
const ALARM_AFTER: Duration = Duration::from_secs(10);

/// And again after so long.
const ALARM_AGAIN: Duration = Duration::from_secs(10 * 60);

/// Why a message holds its offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// Only a newer program can read it: that one finds it when it has the partition.
    Newer,
    /// Nobody can, and a copy of so many bytes is on its way to the dead letters.
    Aside(usize),
}

impl Held {
    const fn bytes(self) -> usize {
        match self {
            Self::Newer => 0,
            Self::Aside(bytes) => bytes,
        }
    }
}

/// What an operator is told of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Alarm {
    /// How many messages are held.
    pub(crate) count: usize,
    /// Where the one is that has been for longest.
    pub(crate) place: Place,
    pub(crate) offset: i64,
    pub(crate) held: Held,
}

/// All that are held.
#[derive(Debug, Default)]
pub(super) struct Holding {
    messages: BTreeMap<(Place, i64), (Held, Instant)>,
    /// The partitions with a message that only a newer program can read, and how many more of them came behind the first.
    newer: BTreeMap<Place, usize>,
    aside_bytes: usize,
    alarmed_at: Option<Instant>,
}

impl Holding {
    pub(super) fn add(&mut self, at: (Place, i64), held: Held) {
        self.release(at);
        self.aside_bytes += held.bytes();
        self.messages.insert(at, (held, Instant::now()));
    }

    pub(super) fn release(&mut self, at: (Place, i64)) {
        if let Some((held, _)) = self.messages.remove(&at) {
            self.aside_bytes -= held.bytes();
        }
    }

    /// Whether a message that only a newer program can read is one more of its partition. Its first one holds back all that comes behind
    /// it, and whoever reads them finds them all, so that one is enough.
    pub(super) fn is_one_more(&mut self, place: Place) -> bool {
        let found = self.newer.get_mut(&place).map(|more| *more += 1);
        if found.is_none() {
            self.newer.insert(place, 0);
        }
        found.is_some()
    }

    /// The partition is another's.
    pub(super) fn release_all(&mut self, place: Place) {
        self.newer.remove(&place);
        let of_place: Vec<_> = self.messages.range((place, i64::MIN)..=(place, i64::MAX)).map(|(at, _)| *at).collect();
        of_place.into_iter().for_each(|at| self.release(at));
    }

    pub(super) fn has(&self, place: Place, offset: i64) -> bool {
        self.messages.contains_key(&(place, offset))
    }

    pub(super) fn count(&self) -> usize {
        self.messages.len()
    }

    pub(super) const fn aside_bytes(&self) -> usize {
        self.aside_bytes
    }
}

impl State {
    /// How many messages hold their offsets, or are held back by another of their kind.
    pub(crate) fn held(&self) -> usize {
        self.held.count() + self.held.newer.values().sum::<usize>()
    }

    /// What is to be told now: a message that is held for long, once and then every few minutes as long as there is one.
    pub(crate) fn alarm(&mut self, now: Instant) -> Option<Alarm> {
        if self.held.messages.is_empty() {
            self.held.alarmed_at = None;
        }
        if self.held.alarmed_at.is_some_and(|told| now.duration_since(told) < ALARM_AGAIN) {
            return None;
        }
        let oldest = self.held.messages.iter().min_by_key(|(_, (_, since))| *since);
        let (at, (held, _)) = oldest.filter(|(_, (_, since))| now.duration_since(*since) >= ALARM_AFTER)?;
        let alarm = Alarm { count: self.held(), place: at.0, offset: at.1, held: *held };
        self.held.alarmed_at = Some(now);
        Some(alarm)
    }
}
