//! What one role was given, and what became of it.

use std::collections::{BTreeMap, BTreeSet};

use ordermill_core::Timestamp;
use ordermill_core::process::Role;
use ordermill_ports::bus::{Delivery, Lag, Settle, Settlement};

use super::log::Log;

/// The deliveries of one role. Behind `read` lies what the role was never given; before it, everything that is not in `held` is
/// dealt with.
#[derive(Clone)]
pub(super) struct Deliveries {
    role: Role,
    read: u64,
    held: BTreeMap<u64, Held>,
    /// Those of `held` that are not handed out, by the time they may be.
    waiting: BTreeSet<(Timestamp, u64)>,
    /// Where the room is odd: whether what is new has the larger half of it, the next time.
    is_new_favoured: bool,
}

/// A delivery that is not settled for good.
#[derive(Clone)]
struct Held {
    tries: u32,
    /// Was set aside for another try, so that it holds nothing back.
    set_aside: bool,
    whereabouts: Whereabouts,
}

/// Where a delivery is that is not settled for good.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whereabouts {
    /// With a receiver.
    Out,
    /// Back from a receiver; its word still counts until another has it.
    Back,
    /// Parked for another try.
    Parked,
}

/// What is given back is due at once, whatever the clock says.
const AT_ONCE: Timestamp = Timestamp::MIN;

impl Deliveries {
    pub(super) const fn new(role: Role) -> Self {
        Self { role, read: 0, held: BTreeMap::new(), waiting: BTreeSet::new(), is_new_favoured: false }
    }

    /// Hands out up to `max` deliveries. What is due again and what is new have half of them each, and more where the other has less
    /// to give: neither waits for the end of the other, which may never come.
    pub(super) fn hand_out(&mut self, log: &Log, max: usize, now: Timestamp) -> Vec<Delivery> {
        let mut batch = Vec::new();
        let half = max / 2 + usize::from(max % 2 == 1 && !self.is_new_favoured);
        self.hand_out_due(log, half, now, &mut batch);
        self.hand_out_new(log, max, &mut batch);
        self.hand_out_due(log, max, now, &mut batch);
        if batch.len() == max {
            self.is_new_favoured = !self.is_new_favoured;
        }
        batch
    }

    fn hand_out_due(&mut self, log: &Log, max: usize, now: Timestamp, batch: &mut Vec<Delivery>) {
        while batch.len() < max
            && let Some(&(due, position)) = self.waiting.first()
            && due <= now
        {
            self.waiting.pop_first();
            if let Some(held) = self.held.get_mut(&position) {
                held.whereabouts = Whereabouts::Out;
                batch.extend(log.delivery(self.role, position, held.tries));
            }
        }
    }

    fn hand_out_new(&mut self, log: &Log, max: usize, batch: &mut Vec<Delivery>) {
        while batch.len() < max && self.read < log.end() {
            self.read += 1;
            if let Some(delivery) = log.delivery(self.role, self.read, 0) {
                self.held.insert(self.read, Held { tries: 0, set_aside: false, whereabouts: Whereabouts::Out });
                batch.push(delivery);
            }
        }
    }

    /// When the next waiting delivery is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.waiting.first().map(|(due, _)| *due)
    }

    /// Takes the role's word on a delivery. Only the word on the present try counts, and only until there is one: a settlement that
    /// comes twice, or of an earlier try, changes nothing. Returns whether the delivery is to be kept as a dead letter.
    pub(super) fn settle(&mut self, settlement: &Settlement) -> bool {
        let position = settlement.delivery.position.0;
        let Some(held) = self.held.get_mut(&position) else {
            return false;
        };
        if held.whereabouts == Whereabouts::Parked || held.tries != settlement.delivery.tries {
            return false;
        }
        if held.whereabouts == Whereabouts::Back {
            self.waiting.remove(&(AT_ONCE, position));
        }
        match settlement.how {
            Settle::Retry { due, .. } => {
                let tries = held.tries.saturating_add(1);
                *held = Held { tries, set_aside: true, whereabouts: Whereabouts::Parked };
                self.waiting.insert((due, position));
                false
            }
            Settle::Ack => {
                self.held.remove(&position);
                false
            }
            Settle::DeadLetter { .. } => {
                self.held.remove(&position);
                true
            }
        }
    }

    /// Takes back a delivery that was handed out and cannot be settled.
    pub(super) fn give_back(&mut self, delivery: &Delivery) {
        let position = delivery.position.0;
        if let Some(held) = self.held.get_mut(&position)
            && held.whereabouts == Whereabouts::Out
            && held.tries == delivery.tries
        {
            held.whereabouts = Whereabouts::Back;
            self.waiting.insert((AT_ONCE, position));
        }
    }

    /// Takes back everything that is handed out.
    pub(super) fn reclaim(&mut self) {
        for (position, held) in self.held.iter_mut().filter(|(_, held)| held.whereabouts == Whereabouts::Out) {
            held.whereabouts = Whereabouts::Back;
            self.waiting.insert((AT_ONCE, *position));
        }
    }

    /// Puts a dead letter back among the parked, with no tries counted.
    pub(super) fn revive(&mut self, position: u64) {
        self.held.insert(position, Held { tries: 0, set_aside: true, whereabouts: Whereabouts::Parked });
        self.waiting.insert((AT_ONCE, position));
    }

    /// How far the role is behind. Events it does not react to do not hold the cursor back.
    pub(super) fn lag(&self, log: &Log) -> Lag {
        let unread = log.next_for(self.role, self.read);
        let unsettled = self.held.iter().find(|(_, held)| !held.set_aside).map(|(position, _)| *position);
        let cursor = unsettled.or(unread).map_or(log.end(), |position| position - 1);
        let oldest = self.held.keys().next().copied().into_iter().chain(unread).min();
        Lag {
            events: log.end() - cursor,
            parked: self.held.values().filter(|held| held.whereabouts == Whereabouts::Parked).count() as u64,
            oldest: oldest.and_then(|position| log.get(position)).map(|recorded| recorded.at),
        }
    }
}
