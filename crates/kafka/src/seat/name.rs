//! What an event is known by, and which ones were settled not long ago.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::RangeInclusive;

use ordermill_ports::bus::Delivery;

/// Settled deliveries that are remembered: a relay that was replaced publishes what it had no answer to again, so duplicates come soon.
const RECENT_MAX: usize = 64 * 1024;

/// An event. A server that has lost commits gives their positions to others, so the position alone does not name it: behind it is what the
/// event is about, and its number within that, in 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name {
    position: u64,
    about: u64,
}

impl Name {
    pub(super) fn of(delivery: &Delivery) -> Self {
        let mut about = DefaultHasher::new();
        (&delivery.subject, delivery.version).hash(&mut about);
        Self { position: delivery.position.0, about: about.finish() }
    }

    /// Whatever was at this position.
    pub(super) const fn all_at(position: u64) -> RangeInclusive<Self> {
        Self { position, about: 0 }..=Self { position, about: u64::MAX }
    }
}

/// Events that were settled, by position: the last one of each.
#[derive(Debug, Default)]
pub(super) struct Recent {
    events: HashMap<u64, u64>,
    order: VecDeque<u64>,
}

impl Recent {
    pub(super) fn add(&mut self, name: Name) {
        if self.events.insert(name.position, name.about).is_none() {
            self.order.push_back(name.position);
        }
        while self.order.len() > RECENT_MAX {
            let Some(oldest) = self.order.pop_front() else { break };
            self.events.remove(&oldest);
        }
    }

    pub(super) fn contains(&self, name: Name) -> bool {
        self.events.get(&name.position) == Some(&name.about)
    }

    /// Whether any event at this position is remembered.
    pub(super) fn has(&self, position: u64) -> bool {
        self.events.contains_key(&position)
    }
}
