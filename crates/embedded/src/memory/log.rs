//! The feed: every event in the order of its commit.

use std::sync::Arc;

use ordermill_core::event::{EventType, Recorded};
use ordermill_core::process::Role;
use ordermill_ports::bus::Delivery;
use ordermill_ports::queries::{Committed, Position};

use super::audience::Audience;

/// Positions count from 1 without gaps; [`Position`] 0 is before everything.
#[derive(Clone, Default)]
pub(super) struct Log {
    events: Vec<Arc<Recorded>>,
    audience: Audience,
}

impl Log {
    /// Adds an event behind all others and gives its position.
    pub(super) fn push(&mut self, recorded: Recorded) -> u64 {
        self.events.push(Arc::new(recorded));
        self.end()
    }

    /// The position of the newest event; 0 when there is none.
    pub(super) fn end(&self) -> u64 {
        self.events.len() as u64
    }

    pub(super) fn get(&self, position: u64) -> Option<&Arc<Recorded>> {
        let index = usize::try_from(position.checked_sub(1)?).ok()?;
        self.events.get(index)
    }

    /// Up to `limit` events behind a position.
    pub(super) fn behind(&self, after: u64, limit: usize) -> Vec<Committed> {
        let first = usize::try_from(after).unwrap_or(usize::MAX).min(self.events.len());
        let committed = |(recorded, position): (&Arc<Recorded>, u64)| Committed {
            position: Position(position),
            recorded: Recorded::clone(recorded),
        };
        self.events[first..].iter().take(limit).zip(after.saturating_add(1)..).map(committed).collect()
    }

    /// The event as it is handed to a role; `None` when the role does not react to it, or there is no such event.
    pub(super) fn delivery(&self, role: Role, position: u64, tries: u32) -> Option<Delivery> {
        let recorded = self.get(position)?;
        let kind = recorded.event.kind();
        self.audience.contains(kind, role).then(|| Delivery {
            role,
            position: Position(position),
            subject: recorded.subject.clone(),
            version: recorded.version,
            kind,
            at: recorded.at,
            tries,
        })
    }

    /// The first event behind a position that the role reacts to.
    pub(super) fn next_for(&self, role: Role, after: u64) -> Option<u64> {
        (after.saturating_add(1)..=self.end())
            .find(|position| self.get(*position).is_some_and(|event| self.concerns(event.event.kind(), role)))
    }

    /// Whether the role reacts to events of this type.
    pub(super) fn concerns(&self, kind: EventType, role: Role) -> bool {
        self.audience.contains(kind, role)
    }
}
