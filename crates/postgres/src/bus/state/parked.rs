//! Parked deliveries in memory: of each partition those that are due first. The table has them all.
//!
//! Architecture invariant: of a partition's rows, those that come before its mark are in memory or handed out. Those behind it are read when their time
//! comes, so that memory does not grow with their number.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Instant;

use jiff::Unit;
use ordermill_core::Timestamp;
use ordermill_ports::bus::Delivery;

use super::{Handed, Lease, State};

/// When a parked delivery is due, and its position: the order in which they come.
pub(in crate::bus) type Key = (Timestamp, u64);

/// Parked deliveries of one partition in memory.
const HELD_MAX: usize = 512;

/// Rows of one partition that are read at a time, as soon as there are fewer in memory.
pub(in crate::bus) const PAGE: usize = HELD_MAX / 2;

/// Before every delivery, also one that was put off by a clock without a battery.
const BEGINNING: Key = (Timestamp::constant(-62_135_596_800, 0), 0);

/// What is known of a partition's parked deliveries.
#[derive(Debug)]
pub(super) struct Shelf {
    held: BTreeMap<Key, Delivery>,
    /// When each of them is due.
    due: BTreeMap<u64, Timestamp>,
    /// The mark: rows from here on are in the table alone. `None` = there are no more.
    mark: Option<Key>,
    /// The first that was parked behind the mark since reading began: its row may have come too late to be read.
    late: Option<Key>,
    /// Rows of events that the feed has still to pass: they are not handed out by it as well.
    ahead: HashSet<u64>,
    /// Whether it was read at all. Before, it is not known what has a row.
    pub(super) is_read: bool,
}

impl Shelf {
    /// Of a partition that was just taken.
    pub(super) fn unread() -> Self {
        let (held, due, ahead) = (BTreeMap::new(), BTreeMap::new(), HashSet::new());
        Self { held, due, mark: Some(BEGINNING), late: None, ahead, is_read: false }
    }

    /// The feed passes an event of the partition: whether it has a row, and is handed out by that.
    pub(super) fn passes(&mut self, position: u64) -> bool {
        self.ahead.remove(&position)
    }

    /// When there is something to do: a delivery is due, or rows are to be read.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let first = self.held.keys().next().into_iter().chain(&self.mark);
        first.map(|(due, _)| *due).min()
    }

    fn runs_low(&self, now: Timestamp) -> bool {
        !self.is_read || (self.held.len() < PAGE && self.mark.is_some_and(|(due, _)| due <= now))
    }

    fn put(&mut self, key: Key, delivery: Delivery) {
        if self.mark.is_some_and(|mark| key >= mark) {
            self.late = Some(self.late.map_or(key, |late| late.min(key)));
            return;
        }
        self.due.insert(key.1, key.0);
        self.held.insert(key, delivery);
        if self.held.len() > HELD_MAX
            && let Some((last, _)) = self.held.pop_last()
        {
            self.due.remove(&last.1);
            self.mark = Some(last);
        }
    }

    fn take(&mut self, key: Key) -> Option<Delivery> {
        self.due.remove(&key.1);
        self.held.remove(&key)
    }
}

/// Where a partition's parked deliveries are to be read on.
#[derive(Debug)]
pub(in crate::bus) struct Want {
    pub(in crate::bus) partition: u8,
    token: i64,
    /// From here on.
    pub(in crate::bus) from: Key,
    /// Where the partition was just taken, and the feed is to be passed: behind which position it is to be found out what has a row.
    pub(in crate::bus) ahead_of: Option<u64>,
}

/// A row that was read.
#[derive(Debug)]
pub(in crate::bus) struct Row {
    pub(in crate::bus) partition: u8,
    pub(in crate::bus) key: Key,
    /// `None` for an event that this program cannot read, or that is not there.
    pub(in crate::bus) delivery: Option<Delivery>,
}

impl State {
    /// Takes in that a delivery is parked, and has a row: into memory, where it is among those that are due first. Nothing happens where it is
    /// known already. Whether its partition is leased here.
    pub(in crate::bus) fn park(&mut self, partition: u8, delivery: Delivery, due: Timestamp) -> bool {
        let position = delivery.position.0;
        let Some(lease) = self.leases[usize::from(partition)].as_mut() else { return false };
        if !self.handed.contains_key(&position) && !lease.shelf.due.contains_key(&position) {
            if self.kinds != 0 && position > lease.head {
                lease.shelf.ahead.insert(position);
            }
            // As it is stored.
            lease.shelf.put((due.round(Unit::Microsecond).unwrap_or(due), position), delivery);
        }
        true
    }

    /// Whether rows are to be read, before more of what is parked can be handed out.
    pub(in crate::bus) fn runs_low(&self, now: Timestamp, instant: Instant) -> bool {
        self.leases.iter().flatten().any(|lease| lease.is_held(instant) && lease.shelf.runs_low(now))
    }

    /// Begins to read rows: of each partition that runs low. Until the end of it, it is kept in mind what is settled meanwhile.
    pub(in crate::bus) fn begin_paging(&mut self, now: Timestamp, instant: Instant) -> Vec<Want> {
        self.paging = Some(BTreeSet::new());
        // A role that a broker feeds is handed nothing by the feed.
        let is_fed = self.kinds != 0;
        let leases =
            self.leases.iter_mut().zip(0..).filter_map(|(lease, partition)| Some((lease.as_mut()?, partition)));
        let low = leases.filter(|(lease, _)| lease.is_held(instant) && lease.shelf.runs_low(now));
        let want = |(lease, partition): (&mut Lease, u8)| {
            let shelf = &mut lease.shelf;
            shelf.late = None;
            let ahead_of = (is_fed && !shelf.is_read).then_some(lease.head);
            Some(Want { partition, token: lease.token, from: shelf.mark?, ahead_of })
        };
        low.filter_map(want).collect()
    }

    /// Takes in the rows of each partition, in their order, and which positions have a row.
    pub(in crate::bus) fn end_paging(&mut self, wants: &[Want], rows: Vec<Row>, ahead: &[(u8, u64)]) {
        let settled = self.paging.take().unwrap_or_default();
        let handed = &self.handed;
        let mut pages: BTreeMap<u8, Vec<Row>> = BTreeMap::new();
        for row in rows {
            pages.entry(row.partition).or_default().push(row);
        }
        for want in wants {
            let lease = self.leases[usize::from(want.partition)].as_mut();
            // Where more was parked than there is room for, the mark is another by now, and rows before it were passed over.
            let is_it = |lease: &&mut Lease| lease.token == want.token && lease.shelf.mark == Some(want.from);
            let Some(Lease { shelf, head, .. }) = lease.filter(is_it) else { continue };
            let page = pages.remove(&want.partition).unwrap_or_default();
            let last = page.last().filter(|_| page.len() == PAGE).map(|row| (row.key.0, row.key.1 + 1));
            shelf.mark = last.into_iter().chain(shelf.late).min();
            for Row { key, delivery, .. } in page {
                let is_known =
                    handed.contains_key(&key.1) || settled.contains(&key.1) || shelf.due.contains_key(&key.1);
                if let Some(delivery) = delivery.filter(|_| !is_known && shelf.mark.is_none_or(|mark| key < mark)) {
                    shelf.put(key, delivery);
                }
            }
            if want.ahead_of.is_some() {
                let mine = ahead.iter().filter(|(partition, position)| *partition == want.partition && position > head);
                shelf.ahead.extend(mine.map(|(_, position)| *position));
            }
            shelf.is_read = true;
        }
    }

    /// The rows could not be read.
    pub(in crate::bus) fn give_up_paging(&mut self) {
        self.paging = None;
    }

    /// Begins to look for rows of others, likewise.
    pub(in crate::bus) fn begin_looking(&mut self) {
        self.looking = Some(BTreeSet::new());
    }

    /// What was settled since. What was read of that is out of date.
    pub(in crate::bus) fn end_looking(&mut self) -> BTreeSet<u64> {
        self.looking.take().unwrap_or_default()
    }

    /// Hands out what is due, in that order over all partitions, up to where rows are to be read first.
    pub(super) fn hand_out_due(&mut self, open: u16, max: usize, now: Timestamp, deliveries: &mut Vec<Delivery>) {
        while deliveries.len() < max {
            let open = self.leases.iter().zip(0_u8..).filter(|(_, partition)| open & 1 << partition != 0);
            let shelves = open.filter_map(|(lease, partition)| Some((&lease.as_ref()?.shelf, partition)));
            let (mut first, mut mark) = (None, None);
            for (shelf, partition) in shelves {
                first = first.into_iter().chain(shelf.held.keys().next().map(|key| (*key, partition))).min();
                mark = mark.into_iter().chain(shelf.mark).min();
            }
            let Some((key, partition)) = first.filter(|(key, _)| key.0 <= now && mark.is_none_or(|mark| *key < mark))
            else {
                return;
            };
            let Some(delivery) = self.leases[usize::from(partition)].as_mut().and_then(|lease| lease.shelf.take(key))
            else {
                return;
            };
            deliveries.push(delivery.clone());
            self.handed.insert(
                key.1,
                Handed { delivery, partition, stored: true, back: false, settling: false, in_doubt: false },
            );
        }
    }

    /// When a parked delivery is due or rows are to be read, of the partitions that are open; some time, where that is only so of others, or has
    /// begun already.
    pub(super) fn next_due(&self, open: u16, now: Timestamp) -> Option<Timestamp> {
        let leases = self.leases.iter().zip(0_u8..);
        let due = leases.filter_map(|(lease, partition)| {
            let due = lease.as_ref()?.shelf.next_due()?;
            let is_ahead = due > now && open & 1 << partition != 0;
            Some(if is_ahead { due } else { Timestamp::MAX })
        });
        due.min()
    }
}

#[cfg(test)]
mod tests;
