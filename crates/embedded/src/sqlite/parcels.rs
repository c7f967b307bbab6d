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

/// A parcel whose row is behind its events.
#[derive(Debug, Clone)]
pub(super) struct UnwrittenParcel {
    pub(super) held: HeldParcel,
    /// What its row says; `None` while it has none.
    pub(super) stored: Option<ParcelStatus>,
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
    /// Those whose rows are behind their events: what is here counts before the others, and is never forgotten.
    unwritten: HashMap<ParcelId, UnwrittenParcel>,
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
        self.with_stored(id).map(|(held, _)| held)
    }

    /// The same with what its row says.
    pub(super) fn with_stored(&self, id: &ParcelId) -> Option<(HeldParcel, Option<ParcelStatus>)> {
        let shard = self.shard(id).read();
        if let Some(UnwrittenParcel { held, stored }) = shard.unwritten.get(id) {
            return Some((held.clone(), *stored));
        }
        let held = shard.under_way.get(id).or_else(|| shard.delivered.get(id))?;
        Some((held.clone(), Some(held.parcel.status)))
    }

    /// The parcel, where its row is behind its events.
    pub(super) fn unwritten(&self, id: &ParcelId) -> Option<UnwrittenParcel> {
        self.shard(id).read().unwritten.get(id).cloned()
    }

    /// Every parcel whose row is behind its events and lies before this one, by row.
    pub(super) fn all_unwritten(&self, before: u64) -> HashMap<u64, Arc<Parcel>> {
        let mut all = HashMap::new();
        for shard in &self.shards {
            let shard = shard.read();
            let unwritten = shard.unwritten.values().map(|one| (one.held.trail.first(), &one.held.parcel));
            let listed = unwritten.filter(|(first, _)| *first < before);
            all.extend(listed.map(|(first, parcel)| (first, Arc::clone(parcel))));
        }
        all
    }

    /// The rows that may be the parcel's: mostly one, or none when it was never seen.
    pub(super) fn rows(&self, id: &ParcelId) -> Vec<i64> {
        self.rows.read().rows(id.as_str()).collect()
    }

    /// Parcels were seen for the first time, and will be in these rows. The writer alone does this and what follows.
    pub(super) fn found<'p>(&self, parcels: impl Iterator<Item = (&'p ParcelId, i64)>) {
        let mut rows = self.rows.write();
        parcels.for_each(|(id, row)| rows.insert(id.as_str(), row));
    }

    /// Takes in a committed parcel whose row is behind its events.
    pub(super) fn put(&self, parcel: UnwrittenParcel) {
        let id = parcel.held.parcel.id.clone();
        self.shard(&id).write().unwritten.insert(id, parcel);
    }

    /// The parcel's row is written: from now on it is in memory only for a while.
    pub(super) fn written(&self, id: &ParcelId) {
        let mut shard = self.shard(id).write();
        let Some(UnwrittenParcel { held, .. }) = shard.unwritten.remove(id) else { return };
        if held.parcel.status == ParcelStatus::Delivered {
            shard.under_way.remove(id);
            shard.delivered.put(held, DELIVERED_HALF);
        } else {
            shard.under_way.put(held, UNDER_WAY_HALF);
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
    fn those_under_way_stay_longest() {
        let parcels = Parcels::default();
        let put = |number: usize, status: ParcelStatus| {
            let held = parcel(number, status);
            let id = held.parcel.id.clone();
            parcels.put(UnwrittenParcel { held, stored: None });
            assert!(parcels.with_stored(&id).is_some_and(|(held, stored)| held.parcel.id == id && stored.is_none()));
            parcels.written(&id);
            assert!(parcels.unwritten(&id).is_none());
        };
        let count = 4 * SHARDS * UNDER_WAY_HALF;
        let first = parcel(0, ParcelStatus::PickedUp).parcel.id.clone();
        put(0, ParcelStatus::PickedUp);
        (1..=count).for_each(|number| put(number, ParcelStatus::Delivered));
        assert!(parcels.get(&first).is_some(), "what is delivered takes no room of those under way");
        put(0, ParcelStatus::Delivered);
        assert_eq!(parcels.get(&first).map(|held| held.parcel.status), Some(ParcelStatus::Delivered));
        (count + 1..=2 * count).for_each(|number| put(number, ParcelStatus::PickedUp));
        let held = |range: std::ops::RangeInclusive<usize>| {
            range.filter(|number| parcels.get(&parcel(*number, ParcelStatus::PickedUp).parcel.id).is_some()).count()
        };
        assert!(held(0..=count) <= 2 * SHARDS * DELIVERED_HALF);
        assert!((SHARDS * UNDER_WAY_HALF..=2 * SHARDS * UNDER_WAY_HALF).contains(&held(count + 1..=2 * count)));
    }

    #[test]
    fn what_is_not_written_is_never_forgotten() {
        let parcels = Parcels::default();
        let count = 3 * SHARDS * UNDER_WAY_HALF;
        for number in 0..count {
            parcels.put(UnwrittenParcel { held: parcel(number, ParcelStatus::Delivered), stored: None });
        }
        let ids = (0..count).map(|number| parcel(number, ParcelStatus::Delivered).parcel.id.clone());
        parcels.found(ids.zip(1..).collect::<Vec<_>>().iter().map(|(id, row)| (id, *row)));
        for number in 0..count {
            let id = &parcel(number, ParcelStatus::Delivered).parcel.id;
            assert!(parcels.unwritten(id).is_some());
            assert!(parcels.rows(id).contains(&i64::try_from(number + 1).expect("small")), "{number}");
        }
    }
}
