//! Rows of parcels, written some time after their events.
//!
//! Reports come in no order, and each would touch a page of its own in the table of parcels and two in its index: that is a dozen
//! times what the event itself takes. The events are the truth and are durable when a report is answered; so the rows wait in memory
//! until there are many, and a hand goes round over them in the order of the table, so that each page takes several at once. A
//! counter says up to which event all rows are written. What lies behind it is read again when a ledger was not closed.

use std::collections::BTreeMap;

use ordermill_core::id::ParcelId;
use ordermill_core::parcel::{Parcel, ParcelStatus};

use super::super::codec::{int, parcel_status_code};
use super::super::error::StoreError;
use super::super::parcels::UnwrittenParcel;
use super::super::shared::Shared;
use super::super::trail::Trail;
use super::batch::Batch;
use super::overlay::changed_parcels;
use super::rows::one_row;
use super::statements::Statements;

/// The counter that says up to which position the rows of parcels are written.
pub(in super::super) const WRITTEN: &str = "parcels_written";

/// Parcels whose rows may wait, in about 16 MiB: each page of a table with a million of them takes two at once, on the average.
const UNWRITTEN_MAX: usize = if cfg!(test) { 256 } else { 32 * 1024 };

/// Events behind the counter from which on rows are written although there is room: a start after a crash reads them in a moment.
const BEHIND_MAX: u64 = if cfg!(test) { 1_024 } else { 64 * 1024 };

/// Rows written in one commit at least, once too many events are behind the counter.
const ROWS_MIN: usize = 32;

/// Parcels whose rows are behind their events, as committed.
#[derive(Debug, Default)]
pub(in super::super) struct Unwritten {
    /// By row.
    parcels: BTreeMap<i64, ParcelId>,
    /// The row from which the hand goes on.
    hand: i64,
    /// The position when the hand last began at the first row.
    lap_began: u64,
    /// Every event up to here is in the rows.
    written: u64,
}

/// What one commit changes of it.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Rows that were written.
    pub(super) rows: Vec<(i64, ParcelId)>,
    hand: i64,
    lap_began: u64,
    written: u64,
}

impl Unwritten {
    /// Begins with what a crash left behind: the rows are written up to an event.
    pub(in super::super) const fn new(written: u64) -> Self {
        Self { parcels: BTreeMap::new(), hand: 0, lap_began: written, written }
    }

    /// This row is behind its events.
    pub(in super::super) fn insert(&mut self, row: i64, id: ParcelId) {
        self.parcels.insert(row, id);
    }

    /// A commit has written some.
    pub(super) fn committed(&mut self, change: &Written) {
        for (row, _) in &change.rows {
            self.parcels.remove(row);
        }
        (self.hand, self.lap_began, self.written) = (change.hand, change.lap_began, change.written);
    }

    /// How many rows a commit has to write that adds `more` of them and `events` events up to `position`.
    fn due(&self, more: usize, events: usize, position: u64) -> usize {
        let surplus = (self.parcels.len() + more).saturating_sub(UNWRITTEN_MAX);
        let is_behind = position.saturating_sub(self.written) > BEHIND_MAX;
        surplus.max(if is_behind { events.max(ROWS_MIN) } else { 0 })
    }

    /// The next rows under the hand, and what it will have written when they are. `before` is the last position before this commit:
    /// whatever is behind it waits for the next lap.
    fn next(&self, count: usize, before: u64) -> Written {
        let rows: Vec<_> = self.parcels.range(self.hand..).take(count).map(|(row, id)| (*row, id.clone())).collect();
        if self.parcels.range(self.hand..).nth(count).is_none() {
            return Written { rows, hand: 0, lap_began: before, written: self.lap_began.max(self.written) };
        }
        let hand = rows.last().map_or(self.hand, |(row, _)| row + 1);
        Written { rows, hand, lap_began: self.lap_began, written: self.written }
    }
}

impl Batch<'_, '_> {
    /// Writes the rows of parcels that are due.
    pub(super) fn write_parcels(&mut self) -> Result<(), StoreError> {
        let unwritten = &self.memory.unwritten;
        let more = changed_parcels(&self.overlay)
            .filter(|staged| !unwritten.parcels.contains_key(&int(staged.trail.first())))
            .count();
        let due = unwritten.due(more, self.overlay.events.len(), self.position);
        let mut written = Written {
            rows: Vec::new(),
            hand: unwritten.hand,
            lap_began: unwritten.lap_began,
            written: unwritten.written,
        };
        if due > 0 {
            written = unwritten.next(due, self.memory.position);
            if unwritten.parcels.is_empty() && more == 0 {
                written.written = self.position;
            }
        }
        for (row, id) in &written.rows {
            match self.overlay.parcel(id) {
                Some(staged) => write_row(self.sql, *row, &staged.parcel, &staged.trail, staged.stored)?,
                None => write_unwritten(self.sql, self.shared, *row, id)?,
            }
        }
        if written.written != unwritten.written {
            self.sql.put_counter.execute((WRITTEN, int(written.written)))?;
        }
        self.overlay.written = written;
        Ok(())
    }
}

/// Writes all rows at the end of a ledger's life, in one transaction of its own.
pub(super) fn write_all(
    sql: &mut Statements<'_>,
    shared: &Shared,
    unwritten: &Unwritten,
    position: u64,
) -> Result<(), StoreError> {
    if unwritten.written == position {
        return Ok(());
    }
    sql.begin.execute([])?;
    for (row, id) in &unwritten.parcels {
        write_unwritten(sql, shared, *row, id)?;
    }
    sql.put_counter.execute((WRITTEN, int(position)))?;
    sql.commit.execute([])?;
    Ok(())
}

fn write_unwritten(sql: &mut Statements<'_>, shared: &Shared, row: i64, id: &ParcelId) -> Result<(), StoreError> {
    // It stays in memory until this commit is merged.
    match shared.parcels.unwritten(id) {
        Some(UnwrittenParcel { held, stored }) => write_row(sql, row, &held.parcel, &held.trail, stored),
        None => Err(StoreError::Unreadable(format!("parcel {id} is not in memory, though its row is not written"))),
    }
}

fn write_row(
    sql: &mut Statements<'_>,
    row: i64,
    parcel: &Parcel,
    trail: &Trail,
    stored: Option<ParcelStatus>,
) -> Result<(), StoreError> {
    let (status, version, trail) = (parcel_status_code(parcel.status), parcel.version, trail.as_bytes());
    let written = match stored {
        None => sql.insert_parcel.execute((row, parcel.id.as_str(), status, version, trail))?,
        Some(stored) if stored == parcel.status => sql.extend_parcel.execute((row, version, trail))?,
        Some(_) => sql.update_parcel.execute((row, status, version, trail))?,
    };
    one_row(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(row: i64) -> ParcelId {
        ParcelId::new(&format!("parcel-{row}")).expect("a plain id")
    }

    #[test]
    fn a_lap_ends_where_everything_before_it_is_written() {
        let mut unwritten = Unwritten::new(10);
        (0..5).for_each(|row| unwritten.insert(20 + row, id(row)));
        let mut lap = Vec::new();
        for (before, expected) in [(100, 10), (110, 10), (120, 10)] {
            // Rows that come in before the hand wait for the next lap.
            unwritten.insert(1, id(1));
            let written = unwritten.next(2, before);
            lap.extend(written.rows.iter().map(|(row, _)| *row));
            unwritten.committed(&written);
            assert_eq!(unwritten.written, expected, "{before}");
        }
        assert_eq!(lap, [1, 20, 21, 22, 23, 24]);
        assert_eq!((unwritten.hand, unwritten.lap_began), (0, 120));
        let written = unwritten.next(9, 130);
        unwritten.committed(&written);
        assert_eq!(
            unwritten.written, 120,
            "this lap began when every event up to there was in a row, or waited for one"
        );
        assert_eq!((unwritten.hand, unwritten.lap_began, unwritten.parcels.len()), (0, 130, 0));
    }

    #[test]
    fn rows_are_due_when_there_are_many_or_they_are_old() {
        let mut unwritten = Unwritten::new(0);
        let full = i64::try_from(UNWRITTEN_MAX).expect("small");
        (0..full).for_each(|row| unwritten.insert(row, id(row)));
        assert_eq!(unwritten.due(0, 0, BEHIND_MAX), 0);
        assert_eq!(unwritten.due(7, 9, BEHIND_MAX), 7);
        assert_eq!(unwritten.due(7, 90, BEHIND_MAX + 1), 90);
        assert_eq!(unwritten.due(0, 1, BEHIND_MAX + 1), ROWS_MIN);
    }
}
