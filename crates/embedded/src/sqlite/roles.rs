//! What is handed out to each role, and how far each role has come.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};

use ordermill_core::Timestamp;
use ordermill_core::process::Role;
use ordermill_ports::bus::Delivery;
use ordermill_ports::queries::Position;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::codec::bit;
use super::feed::{Entry, Feed};

/// A delivery that was handed out and is not settled.
#[derive(Debug, Clone)]
pub(super) struct Handed {
    /// As it was handed out.
    pub(super) delivery: Delivery,
    /// Whether the table `parked` has a row for it, so that the cursor may be past it.
    pub(super) stored: bool,
    /// Whether it was given back and waits to be handed out again.
    back: bool,
}

/// One role's deliveries.
#[derive(Debug)]
pub(super) struct State {
    role: Role,
    /// The event types the role reacts to.
    interests: u64,
    /// Every event up to here was handed out, or is of no interest.
    head: u64,
    /// The cursor in the database.
    pub(super) committed: u64,
    handed: BTreeMap<u64, Handed>,
    given_back: VecDeque<u64>,
    due: BinaryHeap<Reverse<(Timestamp, u64)>>,
    parked: HashMap<u64, Delivery>,
    /// Where the room is odd: whether what is new has the larger half of it, the next time.
    is_new_favoured: bool,
    /// Whether deliveries came again while memory did not reach back to what is new: the database is to be read before more of them do.
    is_database_next: bool,
}

/// What there is for a role.
#[derive(Debug)]
pub(super) enum Next {
    /// These.
    Deliveries(Vec<Delivery>),
    /// The feed in memory does not reach back to this position: the database has to be read.
    Behind(u64),
    /// Nothing now; at this time a parked delivery is due, if at any.
    Nothing(Option<Timestamp>),
}

impl State {
    /// Continues behind a stored cursor.
    pub(super) fn new(role: Role, cursor: u64) -> Self {
        Self {
            role,
            interests: role.reacts_to().into_iter().map(bit).fold(0, |all, one| all | one),
            head: cursor,
            committed: cursor,
            handed: BTreeMap::new(),
            given_back: VecDeque::new(),
            due: BinaryHeap::new(),
            parked: HashMap::new(),
            is_new_favoured: false,
            is_database_next: false,
        }
    }

    /// Parks a delivery that the table `parked` has a row for.
    pub(super) fn park(&mut self, delivery: Delivery, due: Timestamp) {
        self.due.push(Reverse((due, delivery.position.0)));
        self.parked.insert(delivery.position.0, delivery);
    }

    /// The next deliveries. What comes again (given back, then due) and what is new have half of the room each, and more where the
    /// other has less to give: neither waits for the end of the other, which may never come.
    pub(super) fn next(&mut self, feed: &Feed, max: usize, now: Timestamp) -> Next {
        if std::mem::take(&mut self.is_database_next) && !feed.scan(self.head, |_, _| false) {
            return Next::Behind(self.head);
        }
        let mut deliveries = Vec::new();
        let half = max / 2 + usize::from(max % 2 == 1 && !self.is_new_favoured);
        self.hand_out_again(half, now, &mut deliveries);
        let may_be_more = deliveries.len() == half;
        let in_reach = self.read_feed(feed, max, &mut deliveries);
        if may_be_more {
            self.hand_out_again(max, now, &mut deliveries);
        }
        if deliveries.len() == max {
            self.is_new_favoured = !self.is_new_favoured;
        }
        if !deliveries.is_empty() {
            self.is_database_next = !in_reach;
            Next::Deliveries(deliveries)
        } else if in_reach {
            Next::Nothing(self.due.peek().map(|Reverse((due, _))| *due))
        } else {
            Next::Behind(self.head)
        }
    }

    /// What was given back, then what is due again.
    fn hand_out_again(&mut self, max: usize, now: Timestamp, deliveries: &mut Vec<Delivery>) {
        while deliveries.len() < max
            && let Some(position) = self.given_back.pop_front()
        {
            if let Some(handed) = self.handed.get_mut(&position).filter(|handed| handed.back) {
                handed.back = false;
                deliveries.push(handed.delivery.clone());
            }
        }
        while deliveries.len() < max
            && let Some(Reverse((due, position))) = self.due.peek().copied()
            && due <= now
        {
            self.due.pop();
            if let Some(delivery) = self.parked.remove(&position) {
                self.handed.insert(position, Handed { delivery: delivery.clone(), stored: true, back: false });
                deliveries.push(delivery);
            }
        }
    }

    fn read_feed(&mut self, feed: &Feed, max: usize, deliveries: &mut Vec<Delivery>) -> bool {
        let (role, interests, mut head) = (self.role, self.interests, self.head);
        let handed = &mut self.handed;
        let in_reach = feed.scan(head, |position, entry| {
            if interests & bit(entry.kind) != 0 {
                if deliveries.len() >= max {
                    return false;
                }
                let delivery = delivery(role, position, entry, 0);
                handed.insert(position, Handed { delivery: delivery.clone(), stored: false, back: false });
                deliveries.push(delivery);
            }
            head = position;
            true
        });
        self.head = head;
        in_reach
    }

    /// Takes in what the database has behind `from`: events up to `end`. Nothing happens when the role has moved on meanwhile.
    pub(super) fn catch_up(&mut self, from: u64, events: Vec<(u64, Entry)>, end: u64, max: usize) -> Vec<Delivery> {
        if self.head != from {
            return Vec::new();
        }
        let mut deliveries = Vec::new();
        for (position, entry) in events {
            if self.interests & bit(entry.kind) == 0 {
                continue;
            }
            if deliveries.len() >= max {
                return deliveries;
            }
            let delivery = delivery(self.role, position, &entry, 0);
            self.handed.insert(position, Handed { delivery: delivery.clone(), stored: false, back: false });
            deliveries.push(delivery);
            self.head = position;
        }
        self.head = self.head.max(end);
        deliveries
    }

    /// Passes over events of no interest, so that the cursor of a role with nothing to do does not stay behind.
    pub(super) fn pass_over(&mut self, feed: &Feed) {
        let (interests, mut head) = (self.interests, self.head);
        if interests == 0 {
            self.head = feed.last();
            return;
        }
        feed.scan(head, |position, entry| {
            let passed = interests & bit(entry.kind) == 0;
            if passed {
                head = position;
            }
            passed
        });
        self.head = head;
    }

    /// Puts deliveries back to be handed out again.
    pub(super) fn give_back(&mut self, position: u64) {
        if let Some(handed) = self.handed.get_mut(&position).filter(|handed| !handed.back) {
            handed.back = true;
            self.given_back.push_back(position);
        }
    }

    /// Puts back everything that is handed out.
    pub(super) fn reclaim(&mut self) {
        for (position, handed) in self.handed.iter_mut().filter(|(_, handed)| !handed.back) {
            handed.back = true;
            self.given_back.push_back(*position);
        }
    }

    /// The delivery that is handed out at this position.
    pub(super) fn handed(&self, position: u64) -> Option<&Handed> {
        self.handed.get(&position)
    }

    /// The delivery at this position is settled.
    pub(super) fn settle(&mut self, position: u64) {
        self.handed.remove(&position);
    }

    /// The delivery at this position has a row in `parked` now.
    pub(super) fn stored(&mut self, position: u64) {
        if let Some(handed) = self.handed.get_mut(&position) {
            handed.stored = true;
        }
    }

    /// How far the cursor may go: up to the first delivery that is handed out, has no row, and for which `is_settled` says no.
    pub(super) fn watermark(&self, is_settled: impl Fn(u64) -> bool) -> u64 {
        let holds = |(position, handed): &(&u64, &Handed)| !handed.stored && !is_settled(**position);
        self.handed.iter().find(holds).map_or(self.head, |(position, _)| position - 1)
    }

    /// Deliveries up to a position that hold the cursor back, the oldest first.
    pub(super) fn laggards(&self, up_to: u64) -> impl Iterator<Item = &Handed> {
        self.handed.range(..=up_to).map(|(_, handed)| handed).filter(|handed| !handed.stored)
    }

    /// Every event up to here was handed out, or is of no interest.
    pub(super) const fn head(&self) -> u64 {
        self.head
    }

    /// How many deliveries wait for another try.
    pub(super) fn parked(&self) -> u64 {
        self.parked.len() as u64
    }

    /// When the oldest event was decided that was handed out or is parked, and is not settled.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        let handed = self.handed.values().map(|handed| handed.delivery.at).min();
        let parked = self.parked.values().map(|delivery| delivery.at).min();
        handed.into_iter().chain(parked).min()
    }

    /// The event types the role reacts to.
    pub(super) const fn interests(&self) -> u64 {
        self.interests
    }
}

/// An event on its way to a role.
pub(super) fn delivery(role: Role, position: u64, entry: &Entry, tries: u32) -> Delivery {
    Delivery {
        role,
        position: Position(position),
        subject: entry.subject.clone(),
        version: entry.version,
        kind: entry.kind,
        at: entry.at,
        tries,
    }
}

/// One role.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) role: Role,
    pub(super) state: Mutex<State>,
    /// Rung when there is something new for the role.
    pub(super) bell: Notify,
    interests: u64,
}

/// All roles.
#[derive(Debug)]
pub(super) struct Roles([Seat; Role::ALL.len()]);

impl Roles {
    /// Roles with their stored cursors.
    pub(super) fn new(cursor: impl Fn(Role) -> u64) -> Self {
        Self(Role::ALL.map(|role| {
            let state = State::new(role, cursor(role));
            Seat { role, interests: state.interests(), state: Mutex::new(state), bell: Notify::new() }
        }))
    }

    /// One role.
    pub(super) const fn seat(&self, role: Role) -> &Seat {
        &self.0[role as usize]
    }

    /// Every role.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Seat> {
        self.0.iter()
    }

    /// Events of these types were committed.
    pub(super) fn ring(&self, kinds: u64) {
        for seat in self.0.iter().filter(|seat| seat.interests & kinds != 0) {
            seat.bell.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use ordermill_core::event::{EventType, Subject};
    use ordermill_core::id::OrderId;

    use super::*;

    #[test]
    fn what_is_due_does_not_keep_the_database_from_being_read() {
        let feed = Feed::new(10);
        let mut state = State::new(Role::Payments, 0);
        let subject = Subject::Order(OrderId::from_bytes([1; 16]));
        let entry = Entry { subject, version: 1, kind: EventType::OrderPlaced, at: Timestamp::UNIX_EPOCH };
        for position in 1..=3 {
            state.park(delivery(Role::Payments, position, &entry, 1), Timestamp::UNIX_EPOCH);
        }
        for from in 0..3 {
            assert!(matches!(state.next(&feed, 1, Timestamp::UNIX_EPOCH), Next::Deliveries(_)));
            assert!(matches!(state.next(&feed, 1, Timestamp::UNIX_EPOCH), Next::Behind(at) if at == from));
            assert!(state.catch_up(from, Vec::new(), from + 1, 1).is_empty());
        }
    }
}
