//! Parcels: found at the places their index in memory knows, folded from their events.

use std::sync::Arc;

use ordermill_core::event::Subject;
use ordermill_core::id::ParcelId;
use ordermill_core::parcel::Parcel;
use rusqlite::Connection;

use super::super::codec::{Types, blob, text};
use super::super::error::StoreError;
use super::super::parcels::HeldParcel;
use super::super::trail::Trail;

/// The places of a parcel's events, and the code of its status: in the one of these rows that is the parcel's, if any is.
pub(in super::super) fn parcel_row(
    conn: &Connection,
    rows: &[i64],
    id: &ParcelId,
) -> Result<Option<(Trail, i64)>, StoreError> {
    for first in rows {
        let mut statement = conn.prepare_cached("SELECT id, status, trail FROM parcels WHERE first = ?1")?;
        let mut found = statement.query([first])?;
        if let Some(row) = found.next()?
            && text(row, 0)? == id.as_str()
        {
            return Ok(Some((Trail::from_bytes(blob(row, 2)?)?, row.get(1)?)));
        }
    }
    Ok(None)
}

/// A parcel in one of these rows.
pub(in super::super) fn parcel(
    conn: &Connection,
    types: &Types,
    rows: &[i64],
    id: &ParcelId,
) -> Result<Option<HeldParcel>, StoreError> {
    parcel_row(conn, rows, id)?.map(|(trail, _)| fold_parcel(conn, types, id, trail)).transpose()
}

/// Folds the events on a trail.
pub(in super::super) fn fold_parcel(
    conn: &Connection,
    types: &Types,
    id: &ParcelId,
    trail: Trail,
) -> Result<HeldParcel, StoreError> {
    let events = super::events(conn, types, &Subject::Parcel(id.clone()), &trail, 0)?;
    let events = events.iter().map(|committed| (&committed.recorded.event, committed.recorded.at));
    let parcel = Parcel::fold(id.clone(), events).ok_or_else(|| {
        StoreError::Unreadable(format!("the events of parcel {id} do not begin with a report that moved it"))
    })?;
    Ok(HeldParcel { parcel: Arc::new(parcel), trail })
}
