//! Lists of records, newest first.

use std::ops::Range;
use std::sync::Arc;

use ordermill_core::id::RecordId;
use ordermill_core::record::Record;
use ordermill_ports::queries::{Page, RecordFilter};
use rusqlite::Connection;

use super::super::codec::{blob, record_id_of};
use super::super::error::StoreError;
use super::super::read;
use super::super::shared::Shared;
use super::list::QUEUE_MAX;

const LOWEST: RecordId = RecordId::from_bytes([0; 16]);
const HIGHEST: RecordId = RecordId::from_bytes([0xff; 16]);

/// One page of records, newest first.
pub(super) fn records(
    conn: &Connection,
    shared: &Shared,
    filter: RecordFilter,
    before: Option<RecordId>,
    limit: usize,
) -> Result<Page<Arc<Record>, RecordId>, StoreError> {
    // One moment for all statements: a record that is stored meanwhile fits all the time, or never.
    let _moment = conn.unchecked_transaction()?;
    let from = filter.from.and_then(|from| from.checked_sub(QUEUE_MAX).ok());
    let to = filter.to.map_or(HIGHEST, RecordId::first_at);
    let mut range = from.map_or(LOWEST, RecordId::first_at)..before.map_or(to, |before| before.min(to));
    let mut entries: Vec<Arc<Record>> = Vec::new();
    let wanted = limit.saturating_add(1);
    while entries.len() < wanted && !range.is_empty() {
        let count = wanted - entries.len();
        let ids = candidates(conn, filter, &range, count)?;
        for id in &ids {
            let held = read::record(conn, &shared.types, *id)?;
            entries.extend(held.map(|held| held.record).filter(|record| is_within(filter, record)));
        }
        match ids.last() {
            Some(last) if ids.len() == count => range.end = *last,
            _ => break,
        }
    }
    let more = entries.len() > limit;
    entries.truncate(limit);
    let next = entries.last().filter(|_| more).map(|record| record.id);
    Ok(Page { entries, next })
}

/// Whether a record was taken in the time asked for; its id tells that only roughly.
fn is_within(filter: RecordFilter, record: &Record) -> bool {
    filter.from.is_none_or(|from| from <= record.received_at) && filter.to.is_none_or(|to| record.received_at < to)
}

/// The next ids, newest first.
fn candidates(
    conn: &Connection,
    filter: RecordFilter,
    range: &Range<RecordId>,
    count: usize,
) -> Result<Vec<RecordId>, StoreError> {
    let sql = match filter.stored {
        None => "SELECT id FROM records WHERE id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3",
        Some(true) => {
            "SELECT id FROM records WHERE stored_key IS NOT NULL AND id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"
        }
        Some(false) => {
            "SELECT id FROM records INDEXED BY records_not_stored
             WHERE stored_key IS NULL AND id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"
        }
    };
    let mut statement = conn.prepare_cached(sql)?;
    let limit = i64::try_from(count).unwrap_or(i64::MAX);
    let mut rows = statement.query((range.start.as_bytes(), range.end.as_bytes(), limit))?;
    let mut ids = Vec::new();
    while let Some(row) = rows.next()? {
        ids.push(record_id_of(blob(row, 0)?)?);
    }
    Ok(ids)
}
