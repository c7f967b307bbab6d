//! Parcels in memory: where each is stored, and those that were reported last.
//!
//! Architecture invariant: only the writer puts anything in, after its commit. What is found here is what is committed.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use ordermill_core::id::ParcelId;
use ordermill_core::parcel::{Parcel, ParcelStatus};
use parking_lot::RwLock;

use super::keys::KeyIndex;
use super::trail::Trail;

const SHARDS: usize = 16;

/// Parcels under way kept in each half of each shard: 65,536 in all, in about 30 MiB.
const UNDER_WAY_HALF: usize = 2_048;

/// Parcels handed over kept in each half of each shard. Their carriers have little more to say.
const DELIVERED_HALF: usize = 256;

/// A parcel with the places of its events.
#[derive(Debug, Clone)]
pub(super) struct HeldParcel {
    pub(super) parcel: Arc<Parcel>,
    pub(super) trail: Trail,
}

/// Parcels used last, in two generations: when the younger is full, the older is forgotten.
#[derive(Debug, Default)]
struct Recent {
    young: HashMap<ParcelId, HeldParcel>,
    old: HashMap<ParcelId, HeldParcel>,
}

impl Recent {
    fn get(&self, id: &ParcelId) -> Option<&HeldParcel> {
        self.young.get(id).or_else(|| self.old.get(id))
    }

    fn remove(&mut self, id: &ParcelId) {
        if self.young.remove(id).is_none() {
            self.old.remove(id);
        }
    }

    fn put(&mut self, held: HeldParcel, half: usize) {
        let id = held.parcel.id.clone();
        self.old.remove(&id);
        if self.young.len() >= half && !self.young.contains_key(&id) {
            // The room of the forgotten ones is used again.
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(id, held);
    }
}

#[derive(Debug, Default)]
struct Shard {
    under_way: Recent,
    delivered: Recent,
}

/// Parcels in memory, shared by the writer and all readers.
#[derive(Debug)]
pub(super) struct Parcels {
    shards: [RwLock<Shard>; SHARDS],
    hasher: RandomState,
    /// Leads from what the carrier calls a parcel to the rows that may be it.
    rows: RwLock<KeyIndex>,
}

impl Default for Parcels {
    fn default() -> Self {
        Self { shards: Default::default(), hasher: RandomState::new(), rows: RwLock::new(KeyIndex::with_capacity(0)) }
    }
}

impl Parcels {
    /// Begins with the rows of all that are stored.
    pub(super) fn begin(&self, rows: KeyIndex) {
        *self.rows.write() = rows;
    }

    fn shard(&self, id: &ParcelId) -> &RwLock<Shard> {
        &self.shards[self.hasher.hash_one(id.as_str()) as usize % SHARDS]
    }

    /// The parcel, where it is in memory.
    pub(super) fn get(&self, id: &ParcelId) -> Option<HeldParcel> {
        let shard = self.shard(id).read();
        shard.under_way.get(id).or_else(|| shard.delivered.get(id)).cloned()
    }

    /// The rows that may be the parcel's: mostly one, or none when it was never seen.
    pub(super) fn rows(&self, id: &ParcelId) -> Vec<i64> {
        self.rows.read().rows(id.as_str()).collect()
    }

    /// Takes committed parcels in; those that are new are in the rows they bring along. The writer alone does this.
    pub(super) fn put(&self, parcels: impl Iterator<Item = (HeldParcel, Option<i64>)>) {
        let mut rows = self.rows.write();
        for (held, new_row) in parcels {
            if let Some(row) = new_row {
                rows.insert(held.parcel.id.as_str(), row);
            }
            let mut shard = self.shard(&held.parcel.id).write();
            if held.parcel.status == ParcelStatus::Delivered {
                shard.under_way.remove(&held.parcel.id);
                shard.delivered.put(held, DELIVERED_HALF);
            } else {
                shard.under_way.put(held, UNDER_WAY_HALF);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ordermill_core::Timestamp;
    use ordermill_core::event::{Event, Report};

    use super::*;

    fn parcel(number: usize, status: ParcelStatus) -> HeldParcel {
        let report = Report { status, seen_at: Timestamp::UNIX_EPOCH, correlation_id: None };
        let id = ParcelId::new(&format!("parcel-{number}")).expect("a plain id");
        let parcel = Parcel::begin(id, &Event::TrackingMoved(report), Timestamp::UNIX_EPOCH).expect("its first event");
        HeldParcel { parcel: Arc::new(parcel), trail: Trail::default() }
    }

    #[test]
    fn those_under_way_stay_longest_and_all_are_found_on_disk() {
        let parcels = Parcels::default();
        let row = |number: usize| i64::try_from(number).ok();
        let count = 4 * SHARDS * UNDER_WAY_HALF;
        let first = parcel(0, ParcelStatus::PickedUp).parcel.id.clone();
        parcels.put(std::iter::once((parcel(0, ParcelStatus::PickedUp), Some(1))));
        parcels.put((1..=count).map(|number| (parcel(number, ParcelStatus::Delivered), row(number + 1))));
        assert!(parcels.get(&first).is_some(), "what is delivered takes no room of those under way");
        parcels.put(std::iter::once((parcel(0, ParcelStatus::Delivered), None)));
        assert_eq!(parcels.get(&first).map(|held| held.parcel.status), Some(ParcelStatus::Delivered));
        let under_way = count + 1..=2 * count;
        parcels.put(under_way.map(|number| (parcel(number, ParcelStatus::PickedUp), row(number + 1))));
        let held = |range: std::ops::RangeInclusive<usize>| {
            range.filter(|number| parcels.get(&parcel(*number, ParcelStatus::PickedUp).parcel.id).is_some()).count()
        };
        assert!(held(0..=count) <= 2 * SHARDS * DELIVERED_HALF);
        assert!((SHARDS * UNDER_WAY_HALF..=2 * SHARDS * UNDER_WAY_HALF).contains(&held(count + 1..=2 * count)));
        for number in [0, 1, count, 2 * count] {
            let id = parcel(number, ParcelStatus::PickedUp).parcel.id.clone();
            assert!(parcels.rows(&id).contains(&row(number + 1).expect("small")), "{number}");
        }
    }
}
