//! What one role has of the bus in this process: the partitions it leases, and what was handed out of them.
//!
//! Architecture invariant: nothing here is the truth. Lost, it is read again from the leases, the parked deliveries and the feed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use ordermill_core::Timestamp;
use ordermill_core::event::EventType;
use ordermill_core::process::Role;
use ordermill_ports::bus::Delivery;
use ordermill_ports::queries::Position;

use super::feed::{Entry, Feed};
use crate::codec::PARTITIONS;

mod handed;
mod parked;

pub(super) use parked::{PAGE, Row, Want};

/// A leased partition.
#[derive(Debug)]
pub(super) struct Lease {
    /// Counts the owners; names this lease.
    pub(super) token: i64,
    /// Every event of the partition up to here was handed out, or is of no interest.
    head: u64,
    /// The cursor in the database.
    pub(super) committed: u64,
    /// The lease holds at least until then; afterwards nothing is handed out before it is renewed.
    pub(super) holds_until: Instant,
    /// Since when the partition is being given up: nothing more is handed out of it.
    pub(super) leaving: Option<Instant>,
    /// Events that only a newer program can read. They hold the cursor back, so that it finds them.
    strange: BTreeSet<u64>,
    shelf: parked::Shelf,
}

impl Lease {
    /// Whether the partition may be handed out of.
    fn is_held(&self, now: Instant) -> bool {
        self.leaving.is_none() && now < self.holds_until
    }
}

/// A delivery that was handed out and is not settled.
#[derive(Debug)]
pub(super) struct Handed {
    pub(super) delivery: Delivery,
    pub(super) partition: u8,
    /// Whether the table `parked` has a row for it, so that the cursor may be past it.
    pub(super) stored: bool,
    /// Whether it was given back and waits to be handed out again.
    back: bool,
    /// Whether its settlement is on its way into the database.
    pub(super) settling: bool,
    /// Whether it may have a row in `parked` or `dead_letters` that nobody knows of: a commit that was to write one had no answer.
    pub(super) in_doubt: bool,
}

/// One role's deliveries.
#[derive(Debug)]
pub(super) struct State {
    pub(super) role: Role,
    /// The event types that are handed out to the role, one bit each.
    kinds: u64,
    pub(super) leases: [Option<Lease>; PARTITIONS as usize],
    handed: BTreeMap<u64, Handed>,
    given_back: VecDeque<u64>,
    /// Where the room is odd: whether what is new has the larger half of it, the next time.
    is_new_favoured: bool,
    /// Whether deliveries came again while memory did not reach back to what is new: the database is to be read before more of them do.
    is_database_next: bool,
    /// What was settled since a page of rows is read: what it says of that is out of date. `None` while none is.
    paging: Option<BTreeSet<u64>>,
    /// Likewise since rows of others are looked for.
    looking: Option<BTreeSet<u64>>,
}

/// What there is for a role.
#[derive(Debug)]
pub(super) enum Next {
    /// These.
    Deliveries(Vec<Delivery>),
    /// The feed in memory does not reach back to where the role is: the database has to be read.
    Behind(Gap),
    /// Nothing now; at this time a parked delivery is due, if at any.
    Nothing(Option<Timestamp>),
}

/// What a role that is behind has to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gap {
    /// Behind this position.
    pub(super) from: u64,
    /// Of these partitions, one bit each.
    pub(super) partitions: u16,
}

impl State {
    pub(super) fn new(role: Role, kinds: u64) -> Self {
        Self {
            role,
            kinds,
            leases: Default::default(),
            handed: BTreeMap::new(),
            given_back: VecDeque::new(),
            is_new_favoured: false,
            is_database_next: false,
            paging: None,
            looking: None,
        }
    }

    /// Begins to deal with a partition, behind its cursor.
    pub(super) fn take(&mut self, partition: u8, token: i64, cursor: u64, holds_until: Instant) {
        self.lose(partition);
        self.leases[usize::from(partition)] = Some(Lease {
            token,
            head: cursor,
            committed: cursor,
            holds_until,
            leaving: None,
            strange: BTreeSet::new(),
            shelf: parked::Shelf::unread(),
        });
    }

    /// Has no more to do with a partition. What was handed out of it and is not settled comes again to whoever leases it.
    pub(super) fn lose(&mut self, partition: u8) {
        if self.leases[usize::from(partition)].take().is_some() {
            self.handed.retain(|_, handed| handed.partition != partition);
        }
    }

    /// The partitions that may be handed out of, one bit each.
    fn open(&self, now: Instant) -> u16 {
        // Before it is read what has a row, nothing is handed out.
        let is_open = |lease: &Lease| lease.is_held(now) && lease.shelf.is_read;
        let open = self.leases.iter().enumerate().filter(|(_, lease)| lease.as_ref().is_some_and(is_open));
        open.fold(0, |all, (partition, _)| all | 1 << partition)
    }

    /// The next deliveries. What comes again (given back, then due) and what is new have half of the room each, and more where the
    /// other has less to give: neither waits for the end of the other, which may never come.
    pub(super) fn next(&mut self, feed: &Feed, max: usize, now: Timestamp, instant: Instant) -> Next {
        let open = self.open(instant);
        let from = self.low(open);
        if std::mem::take(&mut self.is_database_next)
            && let Some(from) = from
            && !feed.scan(from, |_, _| false)
        {
            return Next::Behind(Gap { from, partitions: open });
        }
        let mut deliveries = Vec::new();
        let half = max / 2 + usize::from(max % 2 == 1 && !self.is_new_favoured);
        self.hand_out_again(open, half, now, &mut deliveries);
        let may_be_more = deliveries.len() == half;
        let in_reach = from.is_none_or(|from| self.hand_out_new(open, from, feed, max, &mut deliveries));
        if may_be_more {
            self.hand_out_again(open, max, now, &mut deliveries);
        }
        if deliveries.len() == max {
            self.is_new_favoured = !self.is_new_favoured;
        }
        match from {
            _ if !deliveries.is_empty() => {
                self.is_database_next = !in_reach;
                Next::Deliveries(deliveries)
            }
            Some(from) if !in_reach => Next::Behind(Gap { from, partitions: open }),
            _ => Next::Nothing(self.next_due(open, now)),
        }
    }

    fn hand_out_again(&mut self, open: u16, max: usize, now: Timestamp, deliveries: &mut Vec<Delivery>) {
        self.hand_out_back(open, max, deliveries);
        self.hand_out_due(open, max, now, deliveries);
    }

    fn hand_out_back(&mut self, open: u16, max: usize, deliveries: &mut Vec<Delivery>) {
        for _ in 0..self.given_back.len() {
            if deliveries.len() == max {
                return;
            }
            let Some(position) = self.given_back.pop_front() else { return };
            match self.handed.get_mut(&position).filter(|handed| handed.back) {
                Some(handed) if open & 1 << handed.partition != 0 => {
                    handed.back = false;
                    deliveries.push(handed.delivery.clone());
                }
                Some(_) => self.given_back.push_back(position),
                None => {}
            }
        }
    }

    /// How far back one has to read for the partitions that are open.
    fn low(&self, open: u16) -> Option<u64> {
        if self.kinds == 0 {
            return None;
        }
        let leases = self.leases.iter().enumerate().filter(|(partition, _)| open & 1 << partition != 0);
        leases.filter_map(|(_, lease)| Some(lease.as_ref()?.head)).min()
    }

    fn hand_out_new(&mut self, open: u16, from: u64, feed: &Feed, max: usize, deliveries: &mut Vec<Delivery>) -> bool {
        let mut end = from;
        let in_reach = feed.scan(from, |position, entry| {
            let goes_on = self.pass(open, position, entry, max, deliveries);
            if goes_on {
                end = position;
            }
            goes_on
        });
        self.passed(open, from, end);
        in_reach
    }

    /// Hands out an event, if it is of interest and was not handed out before. `false` when there is no room for it.
    fn pass(&mut self, open: u16, position: u64, entry: &Entry, max: usize, deliveries: &mut Vec<Delivery>) -> bool {
        let Some(lease) = self.leases[usize::from(entry.partition)].as_mut() else { return true };
        if open & 1 << entry.partition == 0 || position <= lease.head {
            return true;
        }
        if entry.kind.is_some_and(|kind| self.kinds & bit(kind) == 0) {
            return true;
        }
        let Some(delivery) = delivery(self.role, position, entry, 0) else {
            lease.strange.insert(position);
            return true;
        };
        if deliveries.len() >= max {
            return false;
        }
        let handed = Handed {
            delivery: delivery.clone(),
            partition: entry.partition,
            stored: false,
            back: false,
            settling: false,
            in_doubt: false,
        };
        // It has a row where it was put off or was parked for holding the cursor back, and is to be handed out by that.
        if !lease.shelf.passes(position) && !self.handed.contains_key(&position) {
            self.handed.insert(position, handed);
            deliveries.push(delivery);
        }
        true
    }

    /// Everything behind `from` up to `end` was looked at for these partitions.
    fn passed(&mut self, partitions: u16, from: u64, end: u64) {
        for (partition, lease) in self.leases.iter_mut().enumerate() {
            if let Some(lease) = lease
                && partitions & 1 << partition != 0
                && lease.head >= from
            {
                lease.head = lease.head.max(end);
            }
        }
    }

    /// Takes in what the database has in a gap: the events of interest up to `end`.
    pub(super) fn catch_up(&mut self, gap: Gap, events: &[(u64, Entry)], end: u64, max: usize) -> Vec<Delivery> {
        // A partition that was lost and came back meanwhile may begin before the gap: then the gap is not all it has to read.
        let is_in = |(_, lease): &(usize, &Option<Lease>)| lease.as_ref().is_some_and(|lease| lease.head >= gap.from);
        let still =
            self.leases.iter().enumerate().filter(is_in).fold(0, |all, (partition, _)| all | 1_u16 << partition);
        let open = gap.partitions & still & self.open(Instant::now());
        let mut deliveries = Vec::new();
        for (position, entry) in events {
            if !self.pass(open, *position, entry, max, &mut deliveries) {
                self.passed(open, gap.from, position - 1);
                return deliveries;
            }
        }
        self.passed(open, gap.from, end);
        deliveries
    }

    /// Passes over events of no interest, so that the cursor of a role with nothing to do does not stay behind.
    pub(super) fn pass_over(&mut self, feed: &Feed) {
        let held = self.leases.iter().enumerate().filter(|(_, lease)| lease.is_some());
        let held = held.fold(0, |all, (partition, _)| all | 1_u16 << partition);
        if let Some(from) = self.low(held) {
            // With no room for anything, it ends at the first that would be handed out.
            self.hand_out_new(held, from, feed, 0, &mut Vec::new());
        }
    }
}

/// The bit of an event type.
pub(super) const fn bit(kind: EventType) -> u64 {
    1 << kind as u64
}

/// An event on its way to a role; `None` for one that only a newer program can read.
pub(super) fn delivery(role: Role, position: u64, entry: &Entry, tries: u32) -> Option<Delivery> {
    let (subject, kind) = (entry.about.subject()?.clone(), entry.kind?);
    Some(Delivery { role, position: Position(position), subject, version: entry.version, kind, at: entry.at, tries })
}

#[cfg(test)]
mod tests;
