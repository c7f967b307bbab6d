//! Makes the rows that follow from events, kind by kind, each kind in the order of ids, so that it can be gone on with anywhere.

use ordermill_core::event::{Recorded, Subject, SubjectKind};
use ordermill_core::order::Status;
use ordermill_ports::moving::{MoveError, fold};
use rusqlite::types::Value;
use rusqlite::{Connection, Rows};

use super::super::codec::{EVENT_COLUMNS, Types, int, natural, recorded, status_code, subject_column};
use super::super::connection;
use super::super::error::StoreError;
use super::super::totals::{ATTENTION, counter};
use super::super::trail::Trail;
use super::super::writer::write_back::WRITTEN;
use super::rows::Rows as Made;
use super::store;
use super::write::Writer;

/// Subjects whose rows are made in one commit.
const SUBJECTS_AT_ONCE: usize = 4_096;

/// One subject's events, with their places.
struct History {
    subject: Subject,
    trail: Trail,
    events: Vec<Recorded>,
}

/// Gives one subject of a kind after the other, by id.
struct Walk<'s> {
    places: Rows<'s>,
    conn: &'s Connection,
    types: &'s Types,
    next: Option<(u64, Recorded)>,
}

impl Walk<'_> {
    fn step(&mut self) -> Result<Option<(u64, Recorded)>, StoreError> {
        let Some(row) = self.places.next()? else { return Ok(None) };
        let position: i64 = row.get(0)?;
        let mut event = self.conn.prepare_cached(&format!("SELECT {EVENT_COLUMNS} FROM events WHERE position = ?1"))?;
        let mut rows = event.query([position])?;
        let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        Ok(Some((natural(position), recorded(row, 0, self.types)?)))
    }

    fn take(&mut self) -> Result<Option<History>, StoreError> {
        let Some((position, first)) = self.next.take() else { return Ok(None) };
        let mut history = History { subject: first.subject.clone(), trail: Trail::default(), events: vec![first] };
        history.trail.push(position);
        while let Some((position, event)) = self.step()? {
            if event.subject != history.subject {
                self.next = Some((position, event));
                break;
            }
            history.trail.push(position);
            history.events.push(event);
        }
        Ok(Some(history))
    }
}

impl Writer {
    /// Goes on making rows where that was left.
    pub(super) fn derive_rows(&mut self, on_progress: &mut dyn FnMut(u64)) -> Result<(), MoveError> {
        let reader = connection::reader(&self.path).map_err(store)?;
        let types = Types::load(&reader)?;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let (stage, after): (u32, Value) =
            self.conn.query_row("SELECT stage, after FROM moving", [], row).map_err(store)?;
        let mut after = Some(after).filter(|after| *after != Value::Null);
        let mut done = 0;
        for (stage, kind) in (0..).zip(SubjectKind::ALL).skip(stage as usize) {
            self.derive_kind(&reader, &types, stage, kind, after.take(), &mut |more| {
                done += more;
                on_progress(done);
            })?;
        }
        Ok(())
    }

    fn derive_kind(
        &self,
        reader: &Connection,
        types: &Types,
        stage: u32,
        kind: SubjectKind,
        after: Option<Value>,
        on_progress: &mut dyn FnMut(u64),
    ) -> Result<(), MoveError> {
        let codes: Vec<String> = types.codes_of(kind).map(|code| code.to_string()).collect();
        let behind = if after.is_some() { "AND subject > ?1" } else { "AND ?1 IS NULL" };
        let sql = format!(
            "SELECT position FROM events WHERE type IN ({}) {behind} ORDER BY subject, version, position",
            codes.join(", ")
        );
        let mut places = reader.prepare(&sql).map_err(store)?;
        let places = places.query([after]).map_err(store)?;
        let mut walk = Walk { places, conn: reader, types, next: None };
        walk.next = walk.step()?;
        let mut is_over = false;
        while !is_over {
            let transaction = self.transaction()?;
            let mut made = Made::begin(&transaction).map_err(store)?;
            let mut last = None;
            let mut count = 0;
            while count < SUBJECTS_AT_ONCE {
                let Some(History { subject, trail, events }) = walk.take()? else {
                    is_over = true;
                    break;
                };
                made.put(&fold(&subject, &events)?, &trail).map_err(store)?;
                count += 1;
                last = Some(subject);
            }
            if is_over {
                if stage as usize + 1 == SubjectKind::ALL.len() {
                    put_sums(&transaction).map_err(store)?;
                }
                transaction.execute("UPDATE moving SET stage = ?1, after = NULL", [stage + 1]).map_err(store)?;
            } else if let Some(last) = last {
                transaction.execute("UPDATE moving SET after = ?1", [subject_column(&last)]).map_err(store)?;
            }
            transaction.commit().map_err(store)?;
            on_progress(count as u64);
        }
        Ok(())
    }
}

/// Counts what the ledger counts along while it runs.
fn put_sums(conn: &Connection) -> rusqlite::Result<()> {
    let mut put = conn.prepare("INSERT INTO counters VALUES (?1, ?2)")?;
    let orders = "(SELECT status, attention FROM open_orders UNION ALL SELECT status, attention FROM closed_orders)";
    for status in Status::ALL {
        let code = status_code(status);
        let sql = format!("SELECT count(*) FROM {orders} WHERE status = ?1");
        let count: i64 = conn.query_row(&sql, [code], |row| row.get(0))?;
        put.execute((counter(status), count))?;
    }
    let sql = format!("SELECT count(*) FROM {orders} WHERE attention = 1");
    let count: i64 = conn.query_row(&sql, [], |row| row.get(0))?;
    put.execute((ATTENTION, count))?;
    let last: Option<i64> = conn.query_row("SELECT max(position) FROM events", [], |row| row.get(0))?;
    put.execute((WRITTEN, int(last.map_or(0, natural)))).map(drop)
}
