//! Parcels: lists by the index that fits, each parcel from its events, all at one moment.

use std::sync::Arc;

use ordermill_core::event::SubjectKind;
use ordermill_core::id::ParcelId;
use ordermill_core::parcel::{Parcel, ParcelStatus};
use ordermill_ports::queries::{Committed, Page, Position};
use rusqlite::{Connection, ToSql};

use super::super::codec::{Types, blob, int, natural, parcel_status_code, text, text_id};
use super::super::error::StoreError;
use super::super::read;
use super::super::shared::Shared;
use super::super::trail::Trail;

/// One parcel, as stored.
pub(super) fn parcel(conn: &Connection, shared: &Shared, id: &ParcelId) -> Result<Option<Arc<Parcel>>, StoreError> {
    let held = read::parcel(conn, &shared.types, &shared.parcels.rows(id), id)?;
    Ok(held.map(|held| held.parcel))
}

/// The events of one parcel behind a version.
pub(super) fn events(
    conn: &Connection,
    shared: &Shared,
    id: &ParcelId,
    after: u32,
) -> Result<Vec<Committed>, StoreError> {
    let trail = read::parcel_trail(conn, &shared.parcels.rows(id), id)?;
    let subject = ordermill_core::event::Subject::Parcel(id.clone());
    trail.map_or(Ok(Vec::new()), |trail| read::events(conn, &shared.types, &subject, &trail, after))
}

/// One page of parcels, those first reported last first.
pub(super) fn parcels(
    conn: &Connection,
    shared: &Shared,
    statuses: &[ParcelStatus],
    before: Option<Position>,
    limit: usize,
) -> Result<Page<Arc<Parcel>, Position>, StoreError> {
    // One moment for all statements: a parcel that moves from one status to another is seen once.
    let _moment = conn.unchecked_transaction()?;
    let before = before.map_or(i64::MAX, |before| int(before.0));
    let wanted = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let mut rows = Vec::new();
    if statuses.is_empty() {
        let sql = "SELECT first, id, trail FROM parcels WHERE first < ?1 ORDER BY first DESC LIMIT ?2";
        select(conn, sql, &[&before, &wanted], &mut rows)?;
    }
    let mut codes: Vec<i64> = statuses.iter().copied().map(parcel_status_code).collect();
    codes.sort_unstable();
    codes.dedup();
    for code in codes {
        let sql = "SELECT first, id, trail FROM parcels INDEXED BY parcels_by_status
                   WHERE status = ?3 AND first < ?1 ORDER BY first DESC LIMIT ?2";
        select(conn, sql, &[&before, &wanted, &code], &mut rows)?;
    }
    rows.sort_unstable_by_key(|row| std::cmp::Reverse(row.first));
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| Position(row.first));
    let entries = rows.into_iter().map(|row| row.fold(conn, &shared.types)).collect::<Result<_, _>>()?;
    Ok(Page { entries, next })
}

/// What a row says of a parcel.
struct Found {
    first: u64,
    id: ParcelId,
    trail: Trail,
}

impl Found {
    fn fold(self, conn: &Connection, types: &Types) -> Result<Arc<Parcel>, StoreError> {
        Ok(read::fold_parcel(conn, types, &self.id, self.trail)?.parcel)
    }
}

fn select(conn: &Connection, sql: &str, parameters: &[&dyn ToSql], found: &mut Vec<Found>) -> Result<(), StoreError> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    while let Some(row) = rows.next()? {
        found.push(Found {
            first: natural(row.get(0)?),
            id: text_id(SubjectKind::Parcel, text(row, 1)?.as_bytes())?,
            trail: Trail::from_bytes(blob(row, 2)?)?,
        });
    }
    Ok(())
}
