//! Dead letters by channel: each with the event that was delivered.

use std::collections::BTreeMap;

use ordermill_core::channel::{self, Channel};
use ordermill_core::limits::PAGE_ENTRIES_MAX;
use ordermill_ports::bus::{BusError, DeadLetter, each_dead_letter};
use ordermill_ports::queries::{Committed, QueryError};
use ordermill_ports::{Bus, Position};
use serde::{Serialize, Serializer};

use crate::channels::messages::{AsMessage, MessageView};
use crate::feed::{Dressed, SCAN_EVENTS_MAX};
use crate::state::State;

/// What was found.
pub(crate) struct Found {
    /// The dead letters that fit, oldest first.
    pub letters: Vec<DeadLetter>,
    /// Everything up to this number was looked at.
    pub next: u64,
    /// Whether there are no more.
    pub is_at_end: bool,
}

fn is_on(letter: &DeadLetter, channel: &Channel) -> bool {
    channel.delivers(letter.delivery.role, letter.delivery.kind)
}

/// How many there are of each channel, among the first that one request looks at.
pub(super) async fn counts(bus: &dyn Bus) -> Result<BTreeMap<&'static str, usize>, BusError> {
    let mut counts = BTreeMap::new();
    let count = |letter: &DeadLetter| {
        for channel in channel::TABLE.iter().filter(|channel| is_on(letter, channel)) {
            *counts.entry(channel.name).or_insert(0) += 1;
        }
    };
    each_dead_letter(bus, SCAN_EVENTS_MAX, count).await?;
    Ok(counts)
}

/// The first of a channel behind a number, at most `limit`.
pub(super) async fn forward(bus: &dyn Bus, channel: &Channel, after: u64, limit: usize) -> Result<Found, BusError> {
    find(bus, |letter| is_on(letter, channel), after, limit).await
}

/// The first that fit behind a number, at most `limit`.
pub(crate) async fn find(
    bus: &dyn Bus,
    fits: impl Fn(&DeadLetter) -> bool,
    after: u64,
    limit: usize,
) -> Result<Found, BusError> {
    let mut found = Found { letters: Vec::new(), next: after, is_at_end: false };
    let mut looked_at = 0;
    while found.letters.len() < limit && looked_at < SCAN_EVENTS_MAX {
        let batch = bus.dead_letters(Some(found.next), PAGE_ENTRIES_MAX).await?;
        if batch.is_empty() {
            found.is_at_end = true;
            break;
        }
        looked_at += batch.len();
        for letter in batch {
            if found.letters.len() == limit {
                break;
            }
            found.next = letter.id;
            if fits(&letter) {
                found.letters.push(letter);
            }
        }
    }
    Ok(found)
}

/// The newest, oldest first, at most `limit`.
pub(super) async fn newest(bus: &dyn Bus, channel: &Channel, limit: usize) -> Result<Found, BusError> {
    let mut found = forward(bus, channel, 0, SCAN_EVENTS_MAX).await?;
    let surplus = found.letters.len().saturating_sub(limit);
    found.letters.drain(..surplus);
    Ok(found)
}

/// The events of dead letters. One that cannot be read is left out here, with its letter: `/v1/dead-letters` shows that.
pub(super) async fn events(
    state: &State,
    letters: Vec<DeadLetter>,
) -> Result<(Vec<Committed>, Vec<DeadLetter>), QueryError> {
    let (mut events, mut shown) = (Vec::with_capacity(letters.len()), Vec::with_capacity(letters.len()));
    for letter in letters {
        if let Some(committed) = event(state, &letter).await? {
            events.push(committed);
            shown.push(letter);
        }
    }
    Ok((events, shown))
}

/// The event that was delivered; `None` when it cannot be read.
pub(crate) async fn event(state: &State, letter: &DeadLetter) -> Result<Option<Committed>, QueryError> {
    let position = letter.delivery.position;
    match state.app.queries.feed(Position(position.0.saturating_sub(1)), 1).await {
        Ok(found) => Ok(found.into_iter().find(|committed| committed.position == position)),
        Err(QueryError::Unreadable(reason)) => {
            tracing::warn!(dead_letter_id = letter.id, %reason, "event of a dead letter cannot be read");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Dead letters as messages.
pub(super) struct Messages<'a> {
    dressed: Dressed<'a, AsMessage>,
    letters: &'a [DeadLetter],
}

impl<'a> Messages<'a> {
    /// Fetches what belongs to them; each event stands at the place of its letter.
    pub async fn new(state: &'a State, events: &'a [Committed], letters: &'a [DeadLetter]) -> Result<Self, QueryError> {
        Ok(Self { dressed: Dressed::new(state, events).await?, letters })
    }

    /// Each with its dead letter.
    pub fn each(&self) -> impl Iterator<Item = (&DeadLetter, MessageView<'_>)> {
        let with_letter = |((_, shown), letter)| {
            let shown: MessageView<'_> = shown;
            let letter: &DeadLetter = letter;
            (letter, shown.given_up(letter))
        };
        self.dressed.each().zip(self.letters).map(with_letter)
    }
}

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.each().map(|(_, message)| message))
    }
}
