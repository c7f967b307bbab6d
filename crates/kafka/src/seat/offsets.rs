//! How far a role has come in each partition, and what of it the broker knows.

use std::collections::{BTreeSet, HashSet};

use super::{Held, Place, State};

/// A partition that is assigned to this process.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// The offset behind the last message that was read; `None` before the first.
    pub(super) next: Option<i64>,
    /// Messages that were read and are not dealt with.
    pub(super) unsettled: BTreeSet<i64>,
    /// The offset that the broker was last told.
    committed: Option<i64>,
    /// Where the partition ended when the client last said so.
    pub(super) end: i64,
    /// Whether everything that it held at some moment since the assignment was read.
    is_end_reached: bool,
}

impl Part {
    /// Everything before this offset is dealt with.
    pub(super) fn watermark(&self) -> Option<i64> {
        self.unsettled.first().copied().or(self.next)
    }
}

impl State {
    /// Whether a partition is this process's.
    pub(crate) fn has(&self, place: Place) -> bool {
        self.parts.contains_key(&place)
    }

    /// The partitions that are this process's.
    pub(crate) fn places(&self) -> HashSet<Place> {
        self.parts.keys().copied().collect()
    }

    /// How many partitions are.
    pub(crate) fn assigned(&self) -> usize {
        self.parts.len()
    }

    /// The end of a partition was reached.
    pub(crate) fn end_reached(&mut self, place: Place) {
        if let Some(part) = self.parts.get_mut(&place) {
            part.is_end_reached = true;
        }
    }

    /// Whether the group has said which partitions are this process's, and all that they held was read.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.is_assigned && self.parts.values().all(|part| part.is_end_reached)
    }

    /// Takes in a message that says nothing to the role.
    pub(crate) fn pass(&mut self, place: Place, offset: i64) {
        if let Some(part) = self.parts.get_mut(&place) {
            part.next = Some(offset + 1);
        }
    }

    /// Takes in a message that holds the offset until [`Self::settle_offset`].
    pub(crate) fn hold(&mut self, place: Place, offset: i64, held: Held) {
        if let Some(part) = self.parts.get_mut(&place) {
            part.next = Some(offset + 1);
            if held == Held::Newer && self.held.is_one_more(place) {
                return;
            }
            part.unsettled.insert(offset);
            self.held.add((place, offset), held);
        }
    }

    /// Whether a message that was taken in holds its offset.
    pub(crate) fn holds(&self, place: Place, offset: i64) -> bool {
        self.held.has(place, offset)
    }

    /// The message at this offset is dealt with.
    pub(crate) fn settle_offset(&mut self, place: Place, offset: i64) {
        if let Some(part) = self.parts.get_mut(&place) {
            part.unsettled.remove(&offset);
        }
        self.held.release((place, offset));
    }

    /// Offsets that the broker is to be told: those that have moved, of all partitions or of these.
    pub(crate) fn offsets(&self, only: Option<&[Place]>) -> Vec<(Place, i64)> {
        let of_interest = |place: &Place| only.is_none_or(|only| only.contains(place));
        let moved = |(place, part): (&Place, &Part)| {
            let watermark = part.watermark()?;
            (part.committed != Some(watermark)).then_some((*place, watermark))
        };
        self.parts.iter().filter(|(place, _)| of_interest(place)).filter_map(moved).collect()
    }

    /// The broker is told these offsets.
    pub(crate) fn told(&mut self, offsets: &[(Place, i64)]) {
        for (place, offset) in offsets {
            if let Some(part) = self.parts.get_mut(place) {
                part.committed = Some(*offset);
            }
        }
    }

    /// The broker did not take offsets: they are told again.
    pub(crate) fn not_told(&mut self) {
        for part in self.parts.values_mut() {
            part.committed = None;
        }
    }

    /// The client says where a partition ends.
    pub(crate) fn end(&mut self, place: Place, end: i64) {
        if let Some(part) = self.parts.get_mut(&place) {
            part.end = end;
        }
    }
}
