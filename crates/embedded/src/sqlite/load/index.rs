//! Reads what is found by a random text: each thread a stretch of its table, on a connection of its own.

use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};

use rusqlite::Connection;

use super::super::codec::text;
use super::super::connection;
use super::super::error::StoreError;
use super::super::keys::KeyIndex;

/// Threads that read one table. One reads a million rows in half a second.
const THREADS: i64 = 3;

/// Texts that a thread hands over at a time.
const TEXTS_AT_ONCE: usize = 4_096;

/// A table whose rows are found by a text through an index in memory.
pub(super) struct Table {
    /// -> the first row, the last row, and how many there are, or somewhat more
    range: &'static str,
    /// from, to -> row, text
    rows: &'static str,
}

/// Idempotency keys; they are stored without gaps but for those deleted.
pub(super) const KEYS: Table = Table {
    range: "SELECT first, last, last - first + 1 FROM
            (SELECT (SELECT min(seq) FROM idempotency) AS first, (SELECT max(seq) FROM idempotency) AS last)",
    rows: "SELECT seq, key FROM idempotency WHERE seq >= ?1 AND seq < ?2",
};

/// Parcels; other events lie between their first ones.
pub(super) const PARCELS: Table = Table {
    range: "SELECT (SELECT min(first) FROM parcels), (SELECT max(first) FROM parcels), (SELECT count(*) FROM parcels)",
    rows: "SELECT first, id FROM parcels WHERE first >= ?1 AND first < ?2",
};

/// A thread that reads has ended with a defect.
pub(super) fn broken_off() -> StoreError {
    StoreError::Unreadable("an index could not be loaded".to_owned())
}

/// Reads the index of a whole table, and its last row.
pub(super) fn load(path: &Path, table: &Table) -> Result<(KeyIndex, i64), StoreError> {
    let conn = connection::reader(path)?;
    let (first, last, count): (Option<i64>, Option<i64>, Option<i64>) =
        conn.query_row(table.range, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let (Some(first), Some(last)) = (first, last) else { return Ok((KeyIndex::with_capacity(0), 0)) };
    let mut index = KeyIndex::with_capacity(usize::try_from(count.unwrap_or(0)).unwrap_or(0));
    let stretch = (last - first) / THREADS + 1;
    std::thread::scope(|scope| {
        let (tags, tagged) = sync_channel(2 * THREADS as usize);
        let mut threads = Vec::new();
        for number in 0..THREADS {
            let (tags, tagger) = (tags.clone(), index.tagger());
            let from = first + number * stretch;
            threads.push(scope.spawn(move || tag_rows(path, table, from, from + stretch, tagger, &tags)));
        }
        drop(tags);
        for (tag, row) in tagged.into_iter().flatten() {
            index.insert_tag(tag, row);
        }
        for thread in threads {
            thread.join().map_err(|_| broken_off())??;
        }
        Ok((index, last))
    })
}

/// Reads the texts of the rows `from..to` and sends their tags.
fn tag_rows(
    path: &Path,
    table: &Table,
    from: i64,
    to: i64,
    tagger: impl Fn(&str) -> u32,
    tags: &SyncSender<Vec<(u32, i64)>>,
) -> Result<(), StoreError> {
    let conn: Connection = connection::reader(path)?;
    let mut statement = conn.prepare(table.rows)?;
    let mut rows = statement.query([from, to])?;
    let mut some = Vec::with_capacity(TEXTS_AT_ONCE);
    while let Some(row) = rows.next()? {
        some.push((tagger(text(row, 1)?), row.get(0)?));
        if some.len() == TEXTS_AT_ONCE {
            // Whoever takes them in waits for the end of this thread.
            let _ = tags.send(std::mem::replace(&mut some, Vec::with_capacity(TEXTS_AT_ONCE)));
        }
    }
    let _ = tags.send(some);
    Ok(())
}
