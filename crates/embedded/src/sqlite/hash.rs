//! A hash for order ids. They are made here and half random, so nobody can aim them at one slot, and one multiplication
//! spreads them.

use std::hash::{BuildHasherDefault, Hasher};

/// A map by order id.
pub(super) type IdMap<V> = std::collections::HashMap<ordermill_core::id::OrderId, V, BuildHasherDefault<IdHasher>>;

/// A set of order ids.
pub(super) type IdSet = std::collections::HashSet<ordermill_core::id::OrderId, BuildHasherDefault<IdHasher>>;

/// Folds eight bytes at a time into the product with an odd number.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct IdHasher(u64);

impl IdHasher {
    fn fold(&mut self, word: u64) {
        // 2^64 divided by the golden ratio; both halves of the product, as the upper one depends on all bits.
        let product = u128::from(self.0 ^ word) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (product as u64) ^ (product >> 64) as u64;
    }
}

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.fold(u64::from_le_bytes(word));
        }
    }

    fn write_usize(&mut self, _length: usize) {
        // Ids are all of one length.
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::{BuildHasher, BuildHasherDefault};

    use super::IdHasher;

    #[test]
    fn neighbouring_ids_are_spread() {
        let random = ordermill_ports::clock::SystemRandom::default();
        let now = ordermill_core::Timestamp::now();
        let hash = |id| BuildHasherDefault::<IdHasher>::default().hash_one(id);
        let hashes: Vec<u64> = (0..10_000).map(|_| hash(ordermill_ports::Random::order_id(&random, now))).collect();
        let low: HashSet<u64> = hashes.iter().map(|hash| hash % 65_536).collect();
        let high: HashSet<u64> = hashes.iter().map(|hash| hash >> 48).collect();
        // Ten thousand balls in 65,536 boxes fill 9,275 of them on the average.
        assert!(low.len() > 9_100 && high.len() > 9_100, "{} {}", low.len(), high.len());
    }
}
