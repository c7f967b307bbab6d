//! Which topics have an event that others of its topics do not have: they are not sent it again.
//!
//! Memory alone, and bounded: what is forgotten is published twice, and readers know an event by its position.

use std::collections::HashMap;

use ordermill_core::event::Subject;
use ordermill_ports::Position;
use ordermill_ports::queries::Committed;
use parking_lot::Mutex;

/// Events remembered, at least.
const EVENTS: usize = 64 * 1024;

/// An event. A server that has lost commits gives their positions to others, so the position alone does not name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Name {
    position: Position,
    version: u32,
    subject: Subject,
}

impl Name {
    pub(super) fn of(event: &Committed) -> Self {
        let (version, subject) = (event.recorded.version, event.recorded.subject.clone());
        Self { position: event.position, version, subject }
    }
}

type Topics = Vec<&'static str>;

/// What is remembered, in two generations: the older one is forgotten when the newer one is full.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<(HashMap<Name, Topics>, HashMap<Name, Topics>)>);

impl Told {
    /// The channels that have the event.
    pub(super) fn of(&self, name: &Name) -> Topics {
        let (newer, older) = &*self.0.lock();
        newer.get(name).or_else(|| older.get(name)).cloned().unwrap_or_default()
    }

    /// This channel has it.
    pub(super) fn add(&self, name: &Name, channel: &'static str) {
        let (newer, older) = &mut *self.0.lock();
        if !newer.contains_key(name) {
            if newer.len() >= EVENTS {
                *older = std::mem::take(newer);
            }
            let known = older.remove(name).unwrap_or_default();
            newer.insert(name.clone(), known);
        }
        if let Some(channels) = newer.get_mut(name)
            && !channels.contains(&channel)
        {
            channels.push(channel);
        }
    }

    /// All of them have it.
    pub(super) fn forget(&self, name: &Name) {
        let (newer, older) = &mut *self.0.lock();
        newer.remove(name);
        older.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(position: u64, product: &str) -> Name {
        let subject = Subject::Product(product.parse().expect("a plain id"));
        Name { position: Position(position), version: 1, subject }
    }

    #[test]
    fn what_is_told_is_known_until_all_is_and_of_that_event_alone() {
        let told = Told::default();
        told.add(&name(1, "a"), "order_queue");
        told.add(&name(1, "a"), "order_queue");
        assert_eq!(told.of(&name(1, "a")), ["order_queue"]);
        assert!(told.of(&name(1, "b")).is_empty(), "another event in its place");
        told.forget(&name(1, "a"));
        assert!(told.of(&name(1, "a")).is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let told = Told::default();
        for position in 0..5 * EVENTS as u64 {
            told.add(&name(position, "a"), "order_queue");
        }
        let (newer, older) = &*told.0.lock();
        assert!(newer.len() + older.len() <= 2 * EVENTS);
        assert!(newer.contains_key(&name(5 * EVENTS as u64 - 1, "a")));
    }
}
