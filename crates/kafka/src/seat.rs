//! What one role has in this process of what the broker carries.
//!
//! Architecture invariant: nothing here is the truth. Lost, the broker delivers it again from the committed offsets.

mod held;
mod name;
mod offsets;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::OnceLock;
use std::thread::Thread;

use ordermill_core::Timestamp;
use ordermill_ports::bus::Delivery;
use parking_lot::Mutex;
use tokio::sync::Notify;

use held::Holding;
pub(crate) use held::{Alarm, Held};
use name::{Name, Recent};
use offsets::Part;

/// A partition of a topic: which of the role's topics, and which partition.
pub(crate) type Place = (usize, i32);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Not handed out yet.
    Waiting,
    /// With a receiver.
    Handed,
    /// Given back, and handed out again next.
    Back,
}

/// A message for the role that is not dealt with.
#[derive(Debug)]
struct Entry {
    delivery: Delivery,
    place: Place,
    offset: i64,
    stage: Stage,
    /// Whether its settlement is on its way into the ledger.
    is_settling: bool,
}

/// A delivery that the ledger's own bus handed out.
#[derive(Debug, Clone, Copy)]
struct FromLedger {
    tries: u32,
    is_settling: bool,
}

/// Whose word a settlement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// On a delivery that came by the broker.
    Broker,
    /// On one that the ledger's bus handed out.
    Ledger,
    /// On nothing that is handed out here: it is settled already, or is another's by now.
    Void,
}

/// Bounds on what a process takes in ahead of its role. What is beyond them stays in the client's queues, and then with the broker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Messages that wait: with so many, no more are read.
    pub(crate) waiting_max: usize,
    /// Messages in all, those with a receiver among them, and those that hold their offsets back.
    pub(crate) all_max: usize,
    /// Bytes of messages that are to be put aside: with so many, no more are read.
    pub(crate) aside_bytes_max: usize,
    /// Room that has to come back before a reader that found none is woken.
    pub(crate) room_min: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            // Two of the largest batches that a role takes: while it works on one, the next is here, and the reader fills up what was
            // taken within a millisecond. Whatever comes from a partition that was idle stands behind no more than this.
            waiting_max: 2 * 1024,
            // A delivery that takes long holds back no other until so many are with the role: some 200 bytes each.
            all_max: 32 * 1024,
            // Sixteen of the largest messages that a broker takes, unless told otherwise.
            aside_bytes_max: 16 * 1024 * 1024,
            // An eighth of what waits: the reader is woken once for so many messages, and the role has the rest to do meanwhile.
            room_min: 256,
        }
    }
}

/// One role's deliveries.
#[derive(Debug, Default)]
pub(crate) struct State {
    bounds: Bounds,
    parts: HashMap<Place, Part>,
    entries: BTreeMap<Name, Entry>,
    waiting: VecDeque<Name>,
    back: VecDeque<Name>,
    recent: Recent,
    from_ledger: HashMap<Name, FromLedger>,
    held: Holding,
    is_assigned: bool,
    /// Whether the reader found no room, and is to be woken.
    wants_room: bool,
    /// The history that the ledger tells.
    history: u64,
    /// How many partitions the topics have, where the client knows.
    sizes: HashMap<usize, usize>,
    /// Messages that the broker deleted before they were read, and nobody was told of yet.
    lost: u64,
}

/// One role in this process.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    pub(crate) state: Mutex<State>,
    /// Rung when there is something new for the role.
    pub(crate) bell: Notify,
    /// The thread that reads for the role.
    reader: OnceLock<Thread>,
}

impl Seat {
    /// The calling thread reads for the role from now on. There is one in the life of a seat.
    pub(crate) fn read_by_this_thread(&self) {
        self.reader.get_or_init(std::thread::current);
    }

    /// Wakes the reader: there is room again, or it is to end.
    pub(crate) fn wake_reader(&self) {
        if let Some(reader) = self.reader.get() {
            reader.unpark();
        }
    }

    /// Hands out what there is, and has the reader fill up what that leaves.
    pub(crate) fn hand_out(&self, max: usize) -> Vec<Delivery> {
        let mut state = self.state.lock();
        let deliveries = state.hand_out(max);
        let has_room = state.has_room_again();
        drop(state);
        if has_room {
            self.wake_reader();
        }
        deliveries
    }

    /// The settlement is in the ledger: one delivery less.
    pub(crate) fn settled(&self, delivery: &Delivery, claim: Claim) {
        let mut state = self.state.lock();
        state.settled(delivery, claim);
        let has_room = state.has_room_again();
        drop(state);
        if has_room {
            self.wake_reader();
        }
    }

    /// A message that nobody can read is where it can be looked at.
    pub(crate) fn put_aside(&self, place: Place, offset: i64) {
        let mut state = self.state.lock();
        state.settle_offset(place, offset);
        let has_room = state.has_room_again();
        drop(state);
        if has_room {
            self.wake_reader();
        }
    }
}

impl State {
    /// These partitions are this process's from now on.
    pub(crate) fn assign(&mut self, places: impl IntoIterator<Item = Place>) {
        for place in places {
            self.parts.insert(place, Part::default());
        }
        self.is_assigned = true;
    }

    /// These partitions are another's: what was handed out of them and is not settled comes to whoever has them now.
    pub(crate) fn revoke(&mut self, places: &[Place]) {
        for place in places {
            self.parts.remove(place);
            self.held.release_all(*place);
        }
        let Self { parts, entries, waiting, back, .. } = self;
        entries.retain(|_, entry| parts.contains_key(&entry.place));
        waiting.retain(|name| entries.contains_key(name));
        back.retain(|name| entries.contains_key(name));
        // The next assignment, also one of nothing, is under way.
        self.is_assigned = !self.parts.is_empty();
    }

    /// Nothing is this process's: its consumer is gone.
    pub(crate) fn revoke_all(&mut self) {
        let all: Vec<Place> = self.parts.keys().copied().collect();
        self.revoke(&all);
    }

    /// Takes in a delivery. `false` when it is a duplicate: it is dropped.
    pub(crate) fn take(&mut self, place: Place, offset: i64, delivery: Delivery) -> bool {
        let name = Name::of(&delivery);
        self.pass(place, offset);
        if self.recent.contains(name) || self.entries.contains_key(&name) {
            return false;
        }
        let Some(part) = self.parts.get_mut(&place) else { return false };
        part.unsettled.insert(offset);
        self.entries.insert(name, Entry { delivery, place, offset, stage: Stage::Waiting, is_settling: false });
        self.waiting.push_back(name);
        true
    }

    /// Hands out what was given back, then what is new.
    pub(crate) fn hand_out(&mut self, max: usize) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        while deliveries.len() < max {
            let Some(name) = self.back.pop_front().or_else(|| self.waiting.pop_front()) else { break };
            if let Some(entry) = self.entries.get_mut(&name).filter(|entry| entry.stage != Stage::Handed) {
                entry.stage = Stage::Handed;
                deliveries.push(entry.delivery.clone());
            }
        }
        deliveries
    }

    /// The ledger's bus handed these out.
    pub(crate) fn handed_by_ledger(&mut self, deliveries: &[Delivery]) {
        let handed =
            |delivery: &Delivery| (Name::of(delivery), FromLedger { tries: delivery.tries, is_settling: false });
        self.from_ledger.extend(deliveries.iter().map(handed));
    }

    /// Puts a delivery back. `false` when it is the ledger's to put it back, too: where both handed it out, nobody knows whose it was.
    pub(crate) fn give_back(&mut self, delivery: &Delivery) -> bool {
        let name = Name::of(delivery);
        let is_out = |from: &FromLedger| from.tries == delivery.tries && !from.is_settling;
        let is_ledgers = self.from_ledger.get(&name).is_some_and(is_out);
        match self.entries.get_mut(&name) {
            Some(entry) if delivery.tries == 0 => {
                if entry.stage == Stage::Handed {
                    entry.stage = Stage::Back;
                    self.back.push_back(name);
                }
                !is_ledgers
            }
            _ => false,
        }
    }

    /// Puts back everything that is handed out.
    pub(crate) fn reclaim(&mut self) {
        for (name, entry) in self.entries.iter_mut().filter(|(_, entry)| entry.stage == Stage::Handed) {
            entry.stage = Stage::Back;
            self.back.push_back(*name);
        }
    }

    /// Begins to settle a delivery: whose word it is. Each is settled once at a time.
    pub(crate) fn claim(&mut self, delivery: &Delivery) -> Claim {
        let name = Name::of(delivery);
        // Both can have it, as a duplicate may come by the broker while it is redriven: then the role has a word on each.
        if let Some(from) = self.from_ledger.get_mut(&name)
            && from.tries == delivery.tries
            && !std::mem::replace(&mut from.is_settling, true)
        {
            return Claim::Ledger;
        }
        let is_out = |entry: &&mut Entry| entry.stage != Stage::Waiting && delivery.tries == 0;
        if let Some(entry) = self.entries.get_mut(&name).filter(is_out)
            && !std::mem::replace(&mut entry.is_settling, true)
        {
            return Claim::Broker;
        }
        Claim::Void
    }

    /// The settlement is in the ledger.
    pub(crate) fn settled(&mut self, delivery: &Delivery, claim: Claim) {
        let name = Name::of(delivery);
        match claim {
            Claim::Void => {}
            Claim::Ledger => {
                if self.from_ledger.get(&name).is_some_and(|from| from.tries == delivery.tries && from.is_settling) {
                    self.from_ledger.remove(&name);
                }
            }
            Claim::Broker => {
                // Gone where the partition was revoked meanwhile; then it comes again elsewhere, and changes nothing.
                if let Some(entry) = self.entries.remove(&name) {
                    self.settle_offset(entry.place, entry.offset);
                }
                self.recent.add(name);
            }
        }
    }

    /// The settlement is not in the ledger.
    pub(crate) fn not_settled(&mut self, delivery: &Delivery, claim: Claim) {
        let name = Name::of(delivery);
        match claim {
            Claim::Void => {}
            Claim::Ledger => {
                if let Some(from) = self.from_ledger.get_mut(&name).filter(|from| from.tries == delivery.tries) {
                    from.is_settling = false;
                }
            }
            Claim::Broker => {
                if let Some(entry) = self.entries.get_mut(&name) {
                    entry.is_settling = false;
                }
            }
        }
    }

    /// Whether this event has reached the role in this process, or has been settled by it not long ago.
    pub(crate) fn knows(&self, position: u64) -> bool {
        self.recent.has(position) || self.entries.range(Name::all_at(position)).next().is_some()
    }

    /// The ledger tells this history. `true` when it is another than before: then what was settled may not be so any more, and when it
    /// comes again it is no duplicate.
    pub(crate) fn is_another_history(&mut self, history: u64) -> bool {
        let is_another = std::mem::replace(&mut self.history, history) != history;
        if is_another {
            self.recent = Recent::default();
        }
        is_another
    }

    fn free(&self) -> usize {
        let Bounds { waiting_max, all_max, aside_bytes_max, .. } = self.bounds;
        if self.held.aside_bytes() >= aside_bytes_max {
            return 0;
        }
        let all = self.entries.len() + self.held.count();
        waiting_max.saturating_sub(self.waiting.len()).min(all_max.saturating_sub(all))
    }

    /// How many deliveries may be taken in. The reader that is told none is woken when there is room again.
    pub(crate) fn room(&mut self) -> usize {
        let free = self.free();
        self.wants_room = free == 0;
        free
    }

    /// Whether the reader is to be woken, once.
    fn has_room_again(&mut self) -> bool {
        let is_due = self.wants_room && self.free() >= self.bounds.room_min;
        self.wants_room &= !is_due;
        is_due
    }

    /// Messages of this process's partitions that are not dealt with, and when the oldest event among them was decided. Of those that
    /// were not read yet the time is not known.
    pub(crate) fn backlog(&self) -> (u64, Option<Timestamp>) {
        let unread = |part: &Part| part.next.map_or(0, |next| u64::try_from(part.end - next).unwrap_or(0));
        let unread: u64 = self.parts.values().map(unread).sum();
        // Events are decided in the order of their positions, but for the difference between the clocks of two processes. This is asked
        // for often, with thousands of entries, while everybody else waits.
        let oldest = self.entries.first_key_value().map(|(_, entry)| entry.delivery.at);
        (self.entries.len() as u64 + unread, oldest)
    }
}

#[cfg(test)]
mod tests;
