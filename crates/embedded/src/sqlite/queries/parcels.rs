//! Parcels: lists by the index that fits, each parcel from its events, all at one moment.

use std::collections::HashMap;
use std::sync::Arc;

use ordermill_core::event::{Subject, SubjectKind};
use ordermill_core::id::ParcelId;
use ordermill_core::parcel::{Parcel, ParcelStatus};
use ordermill_ports::queries::{Committed, Page, Position};
use rusqlite::{Connection, ToSql, params_from_iter};

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
    let trail = match shared.parcels.get(id) {
        Some(held) => Some(held.trail),
        None => read::parcel_row(conn, &shared.parcels.rows(id), id)?.map(|(trail, _)| trail),
    };
    let subject = Subject::Parcel(id.clone());
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
    let before = before.map_or(u64::MAX, |before| before.0);
    // Taken before the moment of the rows: what is written in between is in both, and counts as it was here.
    let unwritten = shared.parcels.all_unwritten(before);
    // One moment for all statements: a parcel that moves from one status to another is seen once.
    let _moment = conn.unchecked_transaction()?;
    let wanted = limit.saturating_add(1);
    let mut codes: Vec<i64> = statuses.iter().copied().map(parcel_status_code).collect();
    codes.sort_unstable();
    codes.dedup();
    let mut found = Vec::new();
    if codes.is_empty() {
        let sql = "SELECT first, id, trail FROM parcels WHERE first < ?1 ORDER BY first DESC LIMIT ?2";
        written(conn, sql, None, before, wanted, &unwritten, &mut found)?;
    }
    for code in codes {
        let sql = "SELECT first, id, trail FROM parcels INDEXED BY parcels_by_status
                   WHERE status = ?3 AND first < ?1 ORDER BY first DESC LIMIT ?2";
        written(conn, sql, Some(code), before, wanted, &unwritten, &mut found)?;
    }
    let fits = |parcel: &Parcel| statuses.is_empty() || statuses.contains(&parcel.status);
    let in_memory = unwritten.into_iter().filter(|(_, parcel)| fits(parcel));
    found.extend(in_memory.map(|(first, parcel)| (first, Found::Parcel(parcel))));
    found.sort_unstable_by_key(|(first, _)| std::cmp::Reverse(*first));
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|(first, _)| Position(*first));
    let entries = found.into_iter().map(|(_, found)| found.parcel(conn, &shared.types)).collect::<Result<_, _>>()?;
    Ok(Page { entries, next })
}

/// A parcel of a list.
enum Found {
    /// As it is in memory.
    Parcel(Arc<Parcel>),
    /// By its row.
    Row(ParcelId, Trail),
}

impl Found {
    fn parcel(self, conn: &Connection, types: &Types) -> Result<Arc<Parcel>, StoreError> {
        match self {
            Self::Parcel(parcel) => Ok(parcel),
            Self::Row(id, trail) => Ok(read::fold_parcel(conn, types, &id, trail)?.parcel),
        }
    }
}

/// Up to `wanted` parcels whose rows show all their events, the newest first.
fn written(
    conn: &Connection,
    sql: &str,
    code: Option<i64>,
    mut before: u64,
    wanted: usize,
    unwritten: &HashMap<u64, Arc<Parcel>>,
    found: &mut Vec<(u64, Found)>,
) -> Result<(), StoreError> {
    let mut statement = conn.prepare_cached(sql)?;
    let limit = i64::try_from(wanted).unwrap_or(i64::MAX);
    let mut missing = wanted;
    while missing > 0 {
        let end = int(before);
        let first: [&dyn ToSql; 2] = [&end, &limit];
        let mut rows =
            statement.query(params_from_iter(first.into_iter().chain(code.as_ref().map(|code| code as _))))?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            count += 1;
            before = natural(row.get(0)?);
            if missing > 0 && !unwritten.contains_key(&before) {
                let id = text_id(SubjectKind::Parcel, text(row, 1)?.as_bytes())?;
                found.push((before, Found::Row(id, Trail::from_bytes(blob(row, 2)?)?)));
                missing -= 1;
            }
        }
        if count < wanted {
            break;
        }
    }
    Ok(())
}
