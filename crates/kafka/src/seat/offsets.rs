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
    /// Where it was to go on, and nothing was there any more.
    reset_at: Option<i64>,
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

    /// How many partitions a topic has.
    pub(crate) fn has_partitions(&mut self, topic: usize, count: usize) {
        self.sizes.insert(topic, count);
    }

    /// Whether all partitions of the role's topics are this process's: of each so many at least, and as many as it is known to have.
    pub(crate) fn has_all(&self, at_least: impl Iterator<Item = usize>) -> bool {
        let size =
            |(topic, at_least): (usize, usize)| self.sizes.get(&topic).map_or(at_least, |size| at_least.max(*size));
        self.parts.len() >= at_least.enumerate().map(size).sum()
    }

    /// The messages of a partition from this offset on were deleted: up to the next one that comes.
    pub(crate) fn reset(&mut self, place: Place, offset: i64) {
        if let Some(part) = self.parts.get_mut(&place) {
            part.reset_at = Some(offset);
        }
    }

    /// How many messages were deleted, as far as nobody has asked yet.
    pub(crate) const fn take_lost(&mut self) -> u64 {
        std::mem::replace(&mut self.lost, 0)
    }

    /// A message was read.
    fn advance(&mut self, place: Place, offset: i64) {
        let Some(part) = self.parts.get_mut(&place) else { return };
        part.next = Some(offset + 1);
        // What was fetched before may come first. A topic that was made anew begins before, and has lost nothing that is known.
        if let Some(reset_at) = part.reset_at.take_if(|reset_at| offset >= *reset_at) {
            self.lost += u64::try_from(offset - reset_at).unwrap_or(0);
        }
    }

    /// Takes in a message that says nothing to the role.
    pub(crate) fn pass(&mut self, place: Place, offset: i64) {
        self.advance(place, offset);
    }

    /// Takes in a message that holds the offset until [`Self::settle_offset`].
    pub(crate) fn hold(&mut self, place: Place, offset: i64, held: Held) {
        self.advance(place, offset);
        if let Some(part) = self.parts.get_mut(&place) {
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
