//! How many orders may be under way, and what becomes of those beyond.

use std::time::Duration;

use ordermill_ports::ledger::Source;

use super::door::Door;

/// How long a new order waits for room.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(1);

/// When it is worth trying again after that.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Admits new orders by the count of undecided ones.
pub(super) struct Admission {
    undecided_max: u64,
    live: Door,
    import: Door,
}

impl Admission {
    pub(super) fn new(undecided_max: usize) -> Self {
        Self { undecided_max: undecided_max as u64, live: Door::default(), import: Door::default() }
    }

    /// The door for this source; `None` for results, which are never refused.
    pub(super) const fn door(&self, source: Source) -> Option<&Door> {
        match source {
            Source::Results => None,
            Source::Live => Some(&self.live),
            Source::Import => Some(&self.import),
        }
    }

    /// Whether one more order from this source may come in. An import leaves a quarter to callers that wait.
    pub(super) const fn has_room(&self, source: Source, undecided: u64) -> bool {
        match source {
            Source::Results => true,
            Source::Live => undecided < self.undecided_max,
            Source::Import => undecided < self.undecided_max - self.undecided_max / 4,
        }
    }

    /// Lets the first at each door look again, where there is room for it.
    pub(super) fn open(&self, undecided: u64) {
        for (source, door) in [(Source::Live, &self.live), (Source::Import, &self.import)] {
            if !door.is_free() && self.has_room(source, undecided) {
                door.knock();
            }
        }
    }

    /// Lets everybody look again, as the ledger is closing.
    pub(super) fn knock_everywhere(&self) {
        self.live.knock();
        self.import.knock();
    }
}
