//! Finds an idempotency key among millions without an index on disk.
//!
//! Keys are random: a b-tree of them touches a page of its own for each key, which costs eight times a plain append. So keys are
//! stored in the order of time, and this table in memory leads from a key's hash to the places it may be at; the row read there
//! tells whether it is the key. Nine bytes a slot.

use std::hash::{BuildHasher, RandomState};

/// A place in the table: 32 bits of the key's hash, and 40 bits of its row. Rows count from 1, so an empty slot is all zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    tag: [u8; 4],
    row: [u8; 5],
}

const EMPTY: Slot = Slot { tag: [0; 4], row: [0; 5] };

/// Slots of the smallest table.
const SLOTS_MIN: usize = 1024;

/// The greatest row a slot can hold: more than a year of thirty thousand keys a second without a pause. The writer checks it.
pub(super) const ROW_MAX: i64 = (1 << 40) - 1;

impl Slot {
    fn new(tag: u32, row: i64) -> Self {
        let bytes = row.to_be_bytes();
        Self { tag: tag.to_be_bytes(), row: [bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]] }
    }

    fn tag(self) -> u32 {
        u32::from_be_bytes(self.tag)
    }

    fn row(self) -> i64 {
        let [a, b, c, d, e] = self.row;
        i64::from_be_bytes([0, 0, 0, a, b, c, d, e])
    }
}

fn tag(hasher: &RandomState, key: &str) -> u32 {
    // The upper half of SipHash is as good as the lower.
    (hasher.hash_one(key) >> 32) as u32
}

/// Leads from keys to rows, by open addressing with linear probing.
#[derive(Debug)]
pub(super) struct KeyIndex {
    slots: Vec<Slot>,
    used: usize,
    /// Seeded anew in each process, so that no caller can make keys that meet in one slot.
    hasher: RandomState,
}

impl KeyIndex {
    /// An empty index with room for this many keys.
    pub(super) fn with_capacity(keys: usize) -> Self {
        let slots = (keys + keys / 3).next_power_of_two().max(SLOTS_MIN);
        Self { slots: vec![EMPTY; slots], used: 0, hasher: RandomState::new() }
    }

    fn tag(&self, key: &str) -> u32 {
        tag(&self.hasher, key)
    }

    /// Makes tags of keys elsewhere, for [`Self::insert_tag`].
    pub(super) fn tagger(&self) -> impl Fn(&str) -> u32 + Send + use<> {
        let hasher = self.hasher.clone();
        move |key| tag(&hasher, key)
    }

    const fn home(tag: u32, slots: usize) -> usize {
        tag as usize & (slots - 1)
    }

    /// Rows where the key may be; each has to be looked at.
    pub(super) fn rows(&self, key: &str) -> impl Iterator<Item = i64> + '_ {
        let tag = self.tag(key);
        let mask = self.slots.len() - 1;
        let home = Self::home(tag, self.slots.len());
        (0..self.slots.len())
            .map(move |step| self.slots[(home + step) & mask])
            .take_while(|slot| *slot != EMPTY)
            .filter(move |slot| slot.tag() == tag)
            .map(Slot::row)
    }

    /// Adds a key at a row, from 1 to [`ROW_MAX`].
    pub(super) fn insert(&mut self, key: &str, row: i64) {
        self.insert_tag(self.tag(key), row);
    }

    /// Adds a key by its tag.
    pub(super) fn insert_tag(&mut self, tag: u32, row: i64) {
        if (self.used + 1) * 4 > self.slots.len() * 3 {
            self.resize(self.slots.len() * 2);
        }
        let slot = Slot::new(tag, row);
        Self::place(&mut self.slots, slot);
        self.used += 1;
    }

    fn place(slots: &mut [Slot], slot: Slot) {
        let mask = slots.len() - 1;
        let mut at = Self::home(slot.tag(), slots.len());
        while slots[at] != EMPTY {
            at = (at + 1) & mask;
        }
        slots[at] = slot;
    }

    fn resize(&mut self, size: usize) {
        let mut slots = vec![EMPTY; size];
        for slot in self.slots.iter().filter(|slot| **slot != EMPTY) {
            Self::place(&mut slots, *slot);
        }
        self.slots = slots;
    }

    /// Takes a key out; nothing happens where it is not at that row.
    pub(super) fn remove(&mut self, key: &str, row: i64) {
        let wanted = Slot::new(self.tag(key), row);
        let mask = self.slots.len() - 1;
        let mut at = Self::home(wanted.tag(), self.slots.len());
        while self.slots[at] != wanted {
            if self.slots[at] == EMPTY {
                return;
            }
            at = (at + 1) & mask;
        }
        self.used -= 1;
        // Closes the gap: a later slot of the same run moves up unless that would put it before its home.
        let mut gap = at;
        let mut next = (gap + 1) & mask;
        while self.slots[next] != EMPTY {
            let home = Self::home(self.slots[next].tag(), self.slots.len());
            if (next.wrapping_sub(home) & mask) >= (next.wrapping_sub(gap) & mask) {
                self.slots[gap] = self.slots[next];
                gap = next;
            }
            next = (next + 1) & mask;
        }
        self.slots[gap] = EMPTY;
        if self.slots.len() > SLOTS_MIN && self.used * 8 < self.slots.len() {
            self.resize(self.slots.len() / 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_key_through_growth_and_removal() {
        let mut index = KeyIndex::with_capacity(0);
        let key = |row: i64| format!("key-{row}");
        for row in 1..=50_000 {
            index.insert(&key(row), row);
        }
        assert!((1..=50_000).all(|row| index.rows(&key(row)).any(|found| found == row)));
        for row in (1..=50_000).filter(|row| row % 7 != 0) {
            index.remove(&key(row), row);
            index.remove(&key(row), row);
        }
        assert!((1..=50_000).all(|row| index.rows(&key(row)).any(|found| found == row) == (row % 7 == 0)));
        assert_eq!(index.used, 50_000 / 7);
        assert!(index.slots.len() <= 64 * 1024, "the table shrinks with its content");
    }

    #[test]
    fn one_key_can_be_at_two_rows_for_a_while() {
        let mut index = KeyIndex::with_capacity(10);
        index.insert("again", 1);
        index.insert("again", ROW_MAX);
        let mut rows: Vec<i64> = index.rows("again").collect();
        rows.sort_unstable();
        assert_eq!(rows, [1, ROW_MAX]);
        index.remove("again", 1);
        assert_eq!(index.rows("again").collect::<Vec<_>>(), [ROW_MAX]);
    }
}
