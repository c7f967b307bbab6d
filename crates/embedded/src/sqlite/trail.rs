//! Where the events of an order, a parcel or a record are: their positions in the feed, packed.

use super::error::StoreError;

/// Bytes kept without an allocation: the positions of nine events or so.
const INLINE: usize = 22;

/// The positions of one subject's events, oldest first: the first as it is, then differences, in LEB128. Seven events take about
/// twenty bytes, against two hundred in an index of their own.
#[derive(Debug, Clone)]
pub(super) struct Trail(Bytes);

#[derive(Debug, Clone)]
enum Bytes {
    Inline(u8, [u8; INLINE]),
    #[expect(clippy::box_collection, reason = "one word, so that a trail in memory is three")]
    Heap(Box<Vec<u8>>),
}

impl Default for Trail {
    fn default() -> Self {
        Self(Bytes::Inline(0, [0; INLINE]))
    }
}

impl Trail {
    /// Adds the position of the next event, which must be greater than the one before.
    pub(super) fn push(&mut self, position: u64) {
        let last = self.positions().last().unwrap_or(0);
        let mut rest = position.saturating_sub(last);
        while rest > 0x7f {
            self.push_byte((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.push_byte(rest as u8);
    }

    fn push_byte(&mut self, byte: u8) {
        match &mut self.0 {
            Bytes::Inline(length, bytes) if usize::from(*length) < INLINE => {
                bytes[usize::from(*length)] = byte;
                *length += 1;
            }
            Bytes::Inline(_, bytes) => {
                let mut heap = bytes.to_vec();
                heap.push(byte);
                self.0 = Bytes::Heap(Box::new(heap));
            }
            Bytes::Heap(bytes) => bytes.push(byte),
        }
    }

    /// Reads what [`Self::as_bytes`] gave.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, StoreError> {
        if Positions::new(bytes).any(|position| position.is_none()) {
            return Err(StoreError::Unreadable("a trail is damaged".to_owned()));
        }
        if bytes.len() > INLINE {
            return Ok(Self(Bytes::Heap(Box::new(bytes.to_vec()))));
        }
        let mut inline = [0; INLINE];
        inline[..bytes.len()].copy_from_slice(bytes);
        Ok(Self(Bytes::Inline(bytes.len() as u8, inline)))
    }

    /// As stored.
    pub(super) fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Bytes::Inline(length, bytes) => &bytes[..usize::from(*length)],
            Bytes::Heap(bytes) => bytes,
        }
    }

    /// Where an order was placed.
    pub(super) fn placed(&self) -> u64 {
        self.first()
    }

    /// The position of the first event; 0 when there is none.
    pub(super) fn first(&self) -> u64 {
        self.positions().next().unwrap_or(0)
    }

    /// The positions, oldest first.
    pub(super) fn positions(&self) -> impl Iterator<Item = u64> + '_ {
        // A trail in memory was checked when it was read, so no position is missing.
        Positions::new(self.as_bytes()).flatten()
    }
}

/// Unpacks; gives `None` once where the bytes are damaged.
struct Positions<'a> {
    bytes: &'a [u8],
    last: u64,
}

impl<'a> Positions<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, last: 0 }
    }
}

impl Iterator for Positions<'_> {
    type Item = Option<u64>;

    fn next(&mut self) -> Option<Option<u64>> {
        if self.bytes.is_empty() {
            return None;
        }
        let mut difference = 0_u64;
        for (index, byte) in self.bytes.iter().enumerate() {
            let part = u64::from(byte & 0x7f);
            let shift = 7 * index as u32;
            if shift > 63 || (part << shift) >> shift != part {
                break;
            }
            difference |= part << shift;
            if byte & 0x80 == 0 {
                self.bytes = &self.bytes[index + 1..];
                let position = self.last.checked_add(difference).filter(|position| *position > self.last);
                self.last = position.unwrap_or(u64::MAX);
                return Some(position);
            }
        }
        self.bytes = &[];
        Some(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_survive_packing() {
        let positions = [1, 2, 130, 70_000, 70_001, 5_000_000_000, u64::from(u32::MAX) * 1000];
        let mut trail = Trail::default();
        positions.iter().for_each(|position| trail.push(*position));
        let read = Trail::from_bytes(trail.as_bytes()).expect("just written");
        assert_eq!(read.as_bytes(), trail.as_bytes());
        assert_eq!(read.positions().collect::<Vec<_>>(), positions);
        (1..1_000).for_each(|step| trail.push(positions[6] + step * 1_000));
        let read = Trail::from_bytes(trail.as_bytes()).expect("just written");
        assert_eq!(read.positions().skip(7).collect::<Vec<_>>(), trail.positions().skip(7).collect::<Vec<_>>());
        assert_eq!((read.positions().count(), read.positions().last()), (1_006, Some(positions[6] + 999_000)));
        assert_eq!(size_of::<Trail>(), 24);
    }

    #[test]
    fn damaged_bytes_are_refused() {
        for damaged in [&[0x80][..], &[0], &[5, 0], &[0xff; 11]] {
            assert!(Trail::from_bytes(damaged).is_err(), "{damaged:?}");
        }
    }
}
