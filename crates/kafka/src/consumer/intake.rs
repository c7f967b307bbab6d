//! From messages to what the seat has of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ordermill_ports::bus::Delivery;
use rdkafka::message::{BorrowedMessage, Message as _};

use super::Shared;
use crate::message::{self, Decoded, Letter, Poison};
use crate::seat::{Held, Place};

/// Waits between tries to put an unreadable message aside.
const ASIDE_PAUSE: Duration = Duration::from_secs(1);

/// A message, and what it is to the role.
pub(super) struct Read {
    pub(super) offset: i64,
    pub(super) what: What,
}

pub(super) enum What {
    Delivery(Delivery),
    /// Nothing.
    Other,
    /// Only a newer program can say.
    Newer,
    Unreadable(Box<Letter>),
}

impl Shared {
    /// What a message is to the role.
    pub(super) fn read(&self, message: &BorrowedMessage<'_>) -> Read {
        let what = match message::decode(message, self.role, |kind| self.kinds.contains(&kind)) {
            Ok(Decoded::Delivery(delivery)) => What::Delivery(delivery),
            Ok(Decoded::Other) => What::Other,
            Ok(Decoded::Newer) => What::Newer,
            Err(error) => {
                let (topic, partition, offset) = (message.topic().to_owned(), message.partition(), message.offset());
                let found = Poison { topic, partition, offset, role: self.role, reason: error.to_string() };
                What::Unreadable(Box::new(Letter::new(message, found)))
            }
        };
        Read { offset: message.offset(), what }
    }

    /// Takes messages of a partition in, in their order. How many of them are new to the role.
    pub(super) fn take_in(self: &Arc<Self>, place: Place, messages: Vec<Read>, is_end_reached: bool) -> usize {
        let (mut new, mut duplicates, mut unreadable) = (0, 0, Vec::new());
        let mut state = self.seat.state.lock();
        if !state.has(place) {
            // Of a partition that was revoked a moment ago.
            return 0;
        }
        self.follow_history(&mut state);
        for Read { offset, what } in messages {
            match what {
                What::Delivery(delivery) => match state.take(place, offset, delivery) {
                    true => new += 1,
                    false => duplicates += 1,
                },
                What::Other => state.pass(place, offset),
                // Its offset is held back until a newer program has the partition: that one finds it.
                What::Newer => state.hold(place, offset, Held::Newer),
                What::Unreadable(letter) => {
                    state.hold(place, offset, Held::Aside(letter.bytes));
                    unreadable.push(*letter);
                }
            }
        }
        if is_end_reached {
            state.end_reached(place);
        }
        let lost = state.take_lost();
        drop(state);
        self.lost.increment(lost);
        if new > 0 {
            self.seat.bell.notify_waiters();
        }
        self.duplicates.increment(duplicates);
        for letter in unreadable {
            self.set_aside(place, letter);
        }
        new
    }

    /// Copies a message that cannot be read to the dead letters of its topic, and then is done with it. Nothing waits for that but its own
    /// offset.
    fn set_aside(self: &Arc<Self>, place: Place, mut letter: Letter) {
        let Poison { topic, partition, offset, role, reason } = letter.found.clone();
        let role = role.as_str();
        if let Some(kept_back) = self.complaints[place.0].pass() {
            let messages = kept_back + 1;
            tracing::error!(
                role,
                topic,
                partition,
                offset,
                reason,
                messages,
                "a message cannot be read, and is put aside"
            );
        }
        self.poisoned.increment(1);
        let shared = Arc::clone(self);
        self.runtime.spawn(async move {
            let dead_letters = &shared.topics[place.0].dead_letters;
            // Whoever has the partition next finds the message there.
            while !shared.stop.load(Ordering::Acquire) && shared.seat.state.lock().holds(place, offset) {
                match shared.publisher.set_aside(dead_letters, &letter).await {
                    Ok(()) => return shared.seat.put_aside(place, offset),
                    Err(error) if error.is_for_good && !letter.is_note => {
                        letter = letter.into_note();
                        continue;
                    }
                    Err(error) if error.is_for_good => {
                        tracing::error!(role, topic, partition, offset, %error, "an unreadable message is left on its topic alone");
                        return shared.seat.put_aside(place, offset);
                    }
                    Err(error) if shared.context.may_tell("aside") => {
                        tracing::warn!(role, %error, "an unreadable message is not put aside yet");
                    }
                    Err(_) => {}
                }
                tokio::time::sleep(ASIDE_PAUSE).await;
            }
        });
    }
}
