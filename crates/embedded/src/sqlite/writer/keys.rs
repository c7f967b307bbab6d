//! Idempotency keys: reading one, and deleting what has expired.

use jiff::SignedDuration;
use ordermill_core::Timestamp;
use ordermill_core::idempotency::Record;
use rusqlite::Row;

use super::super::codec::key_record;
use super::super::error::StoreError;
use super::batch::Batch;
use super::memory::KeySweep;
use super::statements::Statements;

/// Rows looked at in one commit at least; more when the commit brings more keys than that.
const SWEEP_ROWS_MIN: usize = 256;

/// How long to wait when there was nothing more to delete, and keys of undecided orders may have become free.
const SWEEP_PAUSE: SignedDuration = SignedDuration::from_secs(30);

/// The record at a row, where it is of this key.
pub(super) fn record_at(sql: &mut Statements<'_>, row: i64, key: &str) -> Result<Option<Record>, StoreError> {
    let mut rows = sql.select_key.query([row])?;
    match rows.next()? {
        Some(found) if key_of(found, 0)? == key => key_record(found, 1).map(Some),
        _ => Ok(None),
    }
}

fn key_of<'a>(row: &'a Row<'_>, index: usize) -> Result<&'a str, rusqlite::Error> {
    Ok(row.get_ref(index)?.as_str()?)
}

/// Looks at a few of the oldest keys and deletes those that have expired. They expire in the order of their rows, so it ends at
/// the first that has not; only keys of undecided orders stay behind. Gives how far it has come.
pub(super) fn sweep(batch: &mut Batch<'_, '_>) -> Result<KeySweep, StoreError> {
    let mut sweep = batch.memory.sweep;
    if batch.now < sweep.next {
        return Ok(sweep);
    }
    let limit = SWEEP_ROWS_MIN.max(2 * batch.overlay.new_keys.len());
    let mut expired = Vec::new();
    let mut seen = 0;
    let mut pause = false;
    {
        let mut rows = batch.sql.select_oldest_keys.query((sweep.row, limit as i64))?;
        while let Some(row) = rows.next()? {
            seen += 1;
            // A record that cannot be read is kept: the auditor reports it.
            if let Ok(record) = key_record(row, 2) {
                if record.expires_at > batch.now {
                    pause = true;
                    sweep.next = record.expires_at.min(later(batch.now));
                    break;
                }
                expired.push((row.get(0)?, key_of(row, 1)?.to_owned(), record.answer));
            }
            sweep.row = row.get(0)?;
        }
    }
    for (row, key, answer) in expired {
        if !batch.is_undecided(&answer) {
            batch.sql.delete_key.execute([row])?;
            batch.overlay.old_keys.push((key, row));
        }
    }
    if pause || seen < limit {
        // Begins anew at the first row, for the keys that were left behind.
        sweep.next = if pause { sweep.next } else { later(batch.now) };
        sweep.row = 0;
    }
    Ok(sweep)
}

fn later(now: Timestamp) -> Timestamp {
    now.saturating_add(SWEEP_PAUSE).unwrap_or(Timestamp::MAX)
}
