//! Parcels whose rows are behind their events, as the ledger was not closed.

use std::collections::HashMap;

use ordermill_core::event::{EventType, Subject, SubjectKind};
use ordermill_core::id::ParcelId;
use rusqlite::Connection;

use super::super::codec::{Types, int, natural, parcel_status_of, subject_of};
use super::super::error::StoreError;
use super::super::parcels::UnwrittenParcel;
use super::super::read;
use super::super::shared::Shared;
use super::super::trail::Trail;
use super::super::writer::write_back::{Unwritten, WRITTEN};

/// Positions and versions of a parcel's events, oldest first.
pub(in super::super) type Behind = HashMap<ParcelId, Vec<(u64, u32)>>;

/// The events of parcels that the rows need not show yet.
pub(in super::super) fn behind(conn: &Connection, types: &Types) -> Result<Behind, StoreError> {
    let written = read::counter(conn, WRITTEN)?.unwrap_or(0);
    let mut statement =
        conn.prepare("SELECT type, position, subject, version FROM events WHERE position > ?1 ORDER BY position")?;
    let mut rows = statement.query([int(written)])?;
    let mut behind = Behind::new();
    while let Some(row) = rows.next()? {
        let kind = types.kind(row.get(0)?).map(EventType::subject_kind);
        if kind != Some(SubjectKind::Parcel) {
            continue;
        }
        if let Subject::Parcel(id) = subject_of(SubjectKind::Parcel, row.get_ref(2)?)? {
            behind.entry(id).or_default().push((natural(row.get(1)?), row.get(3)?));
        }
    }
    Ok(behind)
}

/// Takes them into memory, where their rows wait to be written.
pub(super) fn load(conn: &Connection, shared: &Shared) -> Result<Unwritten, StoreError> {
    let mut unwritten = Unwritten::new(read::counter(conn, WRITTEN)?.unwrap_or(0));
    let mut behind: Vec<_> =
        behind(conn, &shared.types)?.into_iter().map(|(id, events)| (shared.parcels.rows(&id), id, events)).collect();
    // In the order of their rows, which is that of their first events: neighbours are read from the same page.
    behind.sort_unstable_by_key(|(rows, _, events)| rows.first().map_or(events[0].0, |row| natural(*row)));
    for (rows, id, events) in behind {
        let (mut trail, stored) = match read::parcel_row(conn, &rows, &id)? {
            Some((trail, status)) => (trail, Some(parcel_status_of(status)?)),
            None => (Trail::default(), None),
        };
        let known = trail.positions().last().unwrap_or(0);
        let mut news = events.iter().filter(|(position, _)| *position > known).peekable();
        if news.peek().is_none() {
            continue;
        }
        news.for_each(|(position, _)| trail.push(*position));
        // Finds each event at its place, with the version that follows.
        let held = read::fold_parcel(conn, &shared.types, &id, trail)?;
        let row = int(held.trail.first());
        if stored.is_none() {
            shared.parcels.found(std::iter::once((&id, row)));
        }
        shared.parcels.put(UnwrittenParcel { held, stored });
        unwritten.insert(row, id);
    }
    Ok(unwritten)
}
