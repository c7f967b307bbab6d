//! From messages to what the seat has of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ordermill_ports::bus::Delivery;
use rdkafka::message::{BorrowedMessage, Message as _, OwnedMessage};

use super::Shared;
use crate::message::{self, Decoded, Poison};
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
    Unreadable {
        message: OwnedMessage,
        reason: String,
    },
}

impl Shared {
    /// What a message is to the role.
    pub(super) fn read(&self, message: &BorrowedMessage<'_>) -> Read {
        let what = match message::decode(message, self.role, |kind| self.kinds.contains(&kind)) {
            Ok(Decoded::Delivery(delivery)) => What::Delivery(delivery),
            Ok(Decoded::Other) => What::Other,
            Ok(Decoded::Newer) => What::Newer,
            Err(error) => What::Unreadable { message: message.detach(), reason: error.to_string() },
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
        for Read { offset, what } in messages {
            match what {
                What::Delivery(delivery) => match state.take(place, offset, delivery) {
                    true => new += 1,
                    false => duplicates += 1,
                },
                What::Other => state.pass(place, offset),
                // Its offset is held back until a newer program has the partition: that one finds it.
                What::Newer => state.hold(place, offset, Held::Newer),
                What::Unreadable { message, reason } => {
                    let bytes = message.payload().map_or(0, <[u8]>::len) + message.key().map_or(0, <[u8]>::len);
                    state.hold(place, offset, Held::Aside(bytes));
                    unreadable.push((message, reason));
                }
            }
        }
        if is_end_reached {
            state.end_reached(place);
        }
        drop(state);
        if new > 0 {
            self.seat.bell.notify_waiters();
        }
        self.duplicates.increment(duplicates);
        for (message, reason) in unreadable {
            self.set_aside(place, message, reason);
        }
        new
    }

    /// Copies a message that cannot be read to the dead letters of its topic, and then is done with it. Nothing waits for that but its own
    /// offset.
    fn set_aside(self: &Arc<Self>, place: Place, message: OwnedMessage, reason: String) {
        let (topic, offset) = (&self.topics[place.0], message.offset());
        tracing::error!(
            role = self.role.as_str(),
            topic = topic.name,
            partition = place.1,
            offset,
            reason,
            "a message cannot be read, and is put aside"
        );
        self.poisoned.increment(1);
        let found = Poison { topic: &topic.name, partition: place.1, offset, role: self.role, reason };
        let headers = message::poison_headers(&message, &found);
        let shared = Arc::clone(self);
        self.runtime.spawn(async move {
            let dead_letters = &shared.topics[place.0].dead_letters;
            // Whoever has the partition next finds the message there.
            while !shared.stop.load(Ordering::Acquire) && shared.seat.state.lock().holds(place, offset) {
                let (key, value) = (message.key(), message.payload());
                match shared.publisher.set_aside(dead_letters, key, value, headers.clone()).await {
                    Ok(()) => return shared.seat.put_aside(place, offset),
                    Err(error) if shared.context.may_tell("aside") => {
                        tracing::warn!(role = shared.role.as_str(), %error, "an unreadable message is not put aside yet");
                    }
                    Err(_) => {}
                }
                tokio::time::sleep(ASIDE_PAUSE).await;
            }
        });
    }
}
