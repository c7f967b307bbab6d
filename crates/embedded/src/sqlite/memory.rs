//! The orders held in memory: all open ones, and the closed ones changed last.
//!
//! Architecture invariant: only the writer puts anything in, after its commit. What is found here is what is committed, so the
//! writer decides on it without reading the database, and readers need no SQL.

use std::sync::Arc;

use ordermill_core::id::OrderId;
use ordermill_core::order::Order;
use parking_lot::RwLock;

use super::hash::{IdMap, IdSet};
use super::trail::Trail;

const SHARDS: usize = 16;

/// Closed orders kept in each half of each shard. In all this is 16,384 orders, about as many MiB.
const RECENT_HALF: usize = 512;

/// An order with the places of its events.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) order: Arc<Order>,
    pub(super) trail: Trail,
}

#[derive(Debug, Default)]
struct Shard {
    open: IdMap<Held>,
    /// Two generations: when the younger is full, the older is forgotten.
    young: IdMap<Held>,
    old: IdMap<Held>,
}

/// Orders in memory, shared by the writer and all readers.
#[derive(Debug, Default)]
pub(super) struct Orders {
    shards: [RwLock<Shard>; SHARDS],
}

impl Orders {
    fn shard(&self, id: OrderId) -> &RwLock<Shard> {
        // The last bits of a version 7 UUID are random.
        &self.shards[usize::from(id.as_bytes()[15]) % SHARDS]
    }

    /// The order, where it is in memory.
    pub(super) fn get(&self, id: OrderId) -> Option<Held> {
        let shard = self.shard(id).read();
        shard.open.get(&id).or_else(|| shard.young.get(&id)).or_else(|| shard.old.get(&id)).cloned()
    }

    /// The same without the places of its events.
    pub(super) fn order(&self, id: OrderId) -> Option<Arc<Order>> {
        let shard = self.shard(id).read();
        let held = shard.open.get(&id).or_else(|| shard.young.get(&id)).or_else(|| shard.old.get(&id))?;
        Some(Arc::clone(&held.order))
    }

    /// Looks at an open order in place.
    pub(super) fn with_open<T>(&self, id: OrderId, look: impl FnOnce(&Order) -> T) -> Option<T> {
        self.shard(id).read().open.get(&id).map(|held| look(&held.order))
    }

    /// Looks at every open order; at those of one part at a time, so that the writer is not held up for long.
    pub(super) fn each_open(&self, mut look: impl FnMut(&Order)) {
        for shard in &self.shards {
            shard.read().open.values().for_each(|held| look(&held.order));
        }
    }

    /// Takes a committed order in. The writer alone does this.
    pub(super) fn put(&self, held: Held) {
        let id = held.order.id;
        let mut shard = self.shard(id).write();
        // An order is in one of the three maps at the most.
        if held.order.is_open() {
            if shard.open.insert(id, held).is_none() && shard.young.remove(&id).is_none() {
                shard.old.remove(&id);
            }
            return;
        }
        if shard.open.remove(&id).is_none() {
            shard.old.remove(&id);
        }
        if shard.young.len() >= RECENT_HALF && !shard.young.contains_key(&id) {
            shard.old = std::mem::take(&mut shard.young);
        }
        shard.young.insert(id, held);
    }
}

/// Tells of a new id, without reading, that no order has it.
///
/// Ids are made in the order of time, so nearly every new one is above all those seen a while ago: above `floor` every id is
/// known.
#[derive(Debug)]
pub(super) struct KnownIds {
    floor: OrderId,
    above: IdSet,
    newest: OrderId,
}

/// Ids kept before the floor is raised; they are made within a second under full load.
const KNOWN_IDS_MAX: usize = 32 * 1024;

impl KnownIds {
    /// Begins with the greatest id stored.
    pub(super) fn new(greatest: OrderId) -> Self {
        Self { floor: greatest, above: IdSet::default(), newest: greatest }
    }

    /// `Some(whether an order has it)`, or `None` when only the database knows.
    pub(super) fn is_taken(&self, id: OrderId) -> Option<bool> {
        (id > self.floor).then(|| self.above.contains(&id))
    }

    /// The greatest id so far.
    pub(super) const fn newest(&self) -> OrderId {
        self.newest
    }

    /// An order with this id was committed.
    pub(super) fn insert(&mut self, id: OrderId) {
        self.newest = self.newest.max(id);
        if id > self.floor {
            self.above.insert(id);
        }
        if self.above.len() > KNOWN_IDS_MAX {
            let mut ids: Vec<OrderId> = self.above.drain().collect();
            let middle = ids.len() / 2;
            let (_, floor, upper) = ids.select_nth_unstable(middle);
            self.floor = *floor;
            self.above.extend(upper.iter().copied());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> OrderId {
        OrderId::from_uuid(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn known_ids_never_call_a_taken_id_free() {
        let mut known = KnownIds::new(id(10));
        assert_eq!(known.is_taken(id(5)), None);
        assert_eq!(known.is_taken(id(11)), Some(false));
        let count = 3 * KNOWN_IDS_MAX as u128;
        for number in 11..count {
            known.insert(id(number));
            assert_ne!(known.is_taken(id(number)), Some(false), "{number}");
        }
        assert!(known.above.len() <= KNOWN_IDS_MAX);
        assert!((11..count).all(|number| known.is_taken(id(number)) != Some(false)));
        assert_eq!(known.is_taken(id(count)), Some(false));
        assert_eq!(known.newest(), id(count - 1));
    }
}
