//! Records: what was handed over stays in the event that took it.

use std::sync::Arc;

use ordermill_core::event::Subject;
use ordermill_core::id::RecordId;
use ordermill_core::record::Record;
use rusqlite::Connection;

use super::super::codec::{Types, blob};
use super::super::error::StoreError;
use super::super::trail::Trail;

/// A record with the places of its events.
#[derive(Debug, Clone)]
pub(in super::super) struct HeldRecord {
    pub(in super::super) record: Arc<Record>,
    pub(in super::super) trail: Trail,
}

/// One record.
pub(in super::super) fn record(
    conn: &Connection,
    types: &Types,
    id: RecordId,
) -> Result<Option<HeldRecord>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT trail FROM records WHERE id = ?1")?;
    let mut rows = statement.query([id.as_bytes()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    fold_record(conn, types, id, Trail::from_bytes(blob(row, 0)?)?).map(Some)
}

/// Folds the events on a trail.
pub(in super::super) fn fold_record(
    conn: &Connection,
    types: &Types,
    id: RecordId,
    trail: Trail,
) -> Result<HeldRecord, StoreError> {
    let events = super::events(conn, types, &Subject::Record(id), &trail, 0)?;
    let events = events.iter().map(|committed| (&committed.recorded.event, committed.recorded.at));
    let record = Record::fold(id, events)
        .ok_or_else(|| StoreError::Unreadable(format!("the events of record {id} do not begin with its data")))?;
    Ok(HeldRecord { record: Arc::new(record), trail })
}
