//! What was completed, by order, in memory.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use ordermill_core::id::OrderId;
use parking_lot::{Mutex, MutexGuard};

use super::account::Operation;
use super::packed::Packed;

/// Orders whose low bits agree share a lock. Enough that calls for different orders seldom meet, few enough that an empty
/// index is nothing. A map that grows holds up one shard only, and needs room for one shard only.
const SHARDS: usize = 64;

type Map = HashMap<u128, Packed, BuildHasherDefault<IdHasher>>;

#[derive(Debug)]
pub(super) struct Index {
    shards: Box<[Mutex<Map>]>,
}

/// One part of the index, locked.
pub(super) struct Shard<'a>(MutexGuard<'a, Map>);

impl Index {
    /// An empty index with room for so many orders, so that reading a long journal does not move everything again and again.
    pub(super) fn with_capacity(orders: usize) -> Self {
        let shard = || Mutex::new(Map::with_capacity_and_hasher(orders / SHARDS, BuildHasherDefault::default()));
        Self { shards: (0..SHARDS).map(|_| shard()).collect() }
    }

    /// Locks the part that holds this order.
    pub(super) fn shard(&self, order_id: OrderId) -> Shard<'_> {
        let hash = fold(number(order_id));
        // The map itself uses the low bits for the place and the top seven for its tags: the shard takes bits between.
        let place = (hash >> 40) as usize % SHARDS;
        Shard(self.shards[place].lock())
    }
}

impl Shard<'_> {
    /// Everything completed for an order, oldest first.
    pub(super) fn operations(&self, order_id: OrderId) -> Vec<Operation> {
        let mut operations = Vec::with_capacity(4);
        if let Some(packed) = self.0.get(&number(order_id)) {
            packed.unpack_into(&mut operations);
        }
        operations
    }

    /// Replaces what is known of an order.
    pub(super) fn store(&mut self, order_id: OrderId, operations: &[Operation]) {
        self.0.insert(number(order_id), Packed::pack(operations));
    }

    /// Adds an operation read from the journal.
    pub(super) fn add(&mut self, order_id: OrderId, operation: Operation) {
        match self.0.entry(number(order_id)) {
            Entry::Vacant(place) => {
                place.insert(Packed::pack(&[operation]));
            }
            Entry::Occupied(mut place) => {
                let packed = place.get().with(operation);
                place.insert(packed);
            }
        }
    }
}

fn number(order_id: OrderId) -> u128 {
    u128::from_be_bytes(*order_id.as_bytes())
}

/// Mixes the two halves of an id into 64 bits. Ids are made by this installation and most of their bits are random, so nothing
/// stronger is needed; ids with little chance in them, as tests make them, are spread as well.
const fn fold(id: u128) -> u64 {
    let mixed = ((id >> 64) as u64 ^ 0x9E37_79B9_7F4A_7C15) as u128 * (id as u64 ^ 0xD1B5_4A32_D192_ED03) as u128;
    (mixed >> 64) as u64 ^ mixed as u64
}

/// Hashes an order id, and nothing else.
#[derive(Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Never reached by a `u128`, which goes through `write_u128`; right all the same.
        for byte in bytes {
            self.0 = fold((u128::from(self.0) << 64) | u128::from(*byte));
        }
    }

    fn write_u128(&mut self, id: u128) {
        self.0 = fold(id);
    }
}
