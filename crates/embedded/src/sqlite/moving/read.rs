//! Reads everything there is, in one read transaction.

use std::path::Path;

use ordermill_core::event::EventType;
use ordermill_ports::moving::{
    Carry, Counts, Ends, Item, LedgerReader, MoveError, MovedCursor, MovedDeadLetter, MovedEvent, MovedParked, Source,
    Totals,
};
use rusqlite::{Connection, Row};

use super::super::codec::{Types, instant, key_record, natural, subject_of, text};
use super::super::connection::{self, Lock};
use super::super::error::{OpenError, StoreError};
use super::super::{load, read, schema};
use super::{store, totals};

/// One moment of a ledger. As long as it is held no process can begin to write the ledger, unless one did so before.
pub struct Reader {
    conn: Connection,
    types: Types,
    in_use: Option<String>,
    _lock: Option<Lock>,
}

impl Reader {
    /// Takes the moment.
    ///
    /// # Errors
    /// [`MoveError`] when there is no ledger, or it is of another schema than this program writes, or cannot be read.
    pub fn open(path: &Path) -> Result<Self, MoveError> {
        if !path.exists() {
            return Err(MoveError::Store(format!("there is no ledger at {}", path.display())));
        }
        let (lock, in_use) = match Lock::take(path) {
            Ok(lock) => (Some(lock), None),
            Err(OpenError::InUse { .. }) => (None, Some("a server is running on it".to_owned())),
            Err(error) => (None, Some(format!("its lock cannot be taken ({error})"))),
        };
        let conn = connection::reader(path).map_err(store)?;
        if schema::check(&conn, path)? != schema::NEWEST {
            let path = path.display();
            let what = format!("the ledger {path} is of an older schema; serving it once brings it up to date");
            return Err(MoveError::Store(what));
        }
        conn.execute_batch("BEGIN").map_err(store)?;
        let types = Types::load(&conn)?;
        Ok(Self { conn, types, in_use, _lock: lock })
    }

    /// Hands over what a statement gives.
    fn each_row(
        &self,
        sql: &str,
        read: impl Fn(&Row<'_>) -> Result<Item, StoreError>,
        carry: &mut Carry<'_>,
    ) -> Result<(), MoveError> {
        let mut statement = self.conn.prepare(sql).map_err(store)?;
        let mut rows = statement.query([]).map_err(store)?;
        while let Some(row) = rows.next().map_err(store)? {
            carry(read(row)?)?;
        }
        Ok(())
    }

    fn ends(&self) -> Result<Ends, StoreError> {
        let sql = "SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'dead_letters'), 0),
                              coalesce((SELECT max(id) FROM dead_letters), 0))";
        let dead_letter = natural(self.conn.query_row(sql, [], |row| row.get(0))?);
        Ok(Ends { mailbox: read::counter(&self.conn, "mailbox_end")?, dead_letter })
    }
}

fn event(row: &Row<'_>, types: &Types) -> Result<Item, StoreError> {
    let (kind, schema) = types.meaning(row.get(3)?)?;
    let known = EventType::from_name(kind).ok_or_else(|| {
        StoreError::Unreadable(format!("event type {kind} is not known to this program; it was written by a newer one"))
    })?;
    Ok(Item::Event(MovedEvent {
        position: natural(row.get(0)?),
        subject: subject_of(known.subject_kind(), row.get_ref(1)?)?,
        version: row.get(2)?,
        kind: kind.to_owned(),
        schema,
        at: instant(row.get(4)?)?,
        cause: row.get(5)?,
        data: row.get(6)?,
    }))
}

fn key(row: &Row<'_>) -> Result<Item, StoreError> {
    Ok(Item::Key(text(row, 0)?.to_owned(), key_record(row, 1)?))
}

fn parked(row: &Row<'_>) -> Result<Item, StoreError> {
    let (role, position, tries, reason) = (row.get(0)?, natural(row.get(1)?), row.get(3)?, row.get(4)?);
    Ok(Item::Parked(MovedParked { role, position, due: instant(row.get(2)?)?, tries, reason }))
}

fn dead_letter(row: &Row<'_>) -> Result<Item, StoreError> {
    let (role, position, tries, reason) = (row.get(1)?, natural(row.get(2)?), row.get(3)?, row.get(4)?);
    let (id, since) = (natural(row.get(0)?), instant(row.get(5)?)?);
    Ok(Item::DeadLetter(MovedDeadLetter { id, role, position, tries, reason, since }))
}

fn cursor(row: &Row<'_>) -> Result<Item, StoreError> {
    Ok(Item::Cursor(MovedCursor { role: row.get(0)?, positions: vec![natural(row.get(1)?)] }))
}

impl LedgerReader for Reader {
    fn source(&self) -> Source {
        Source { backend: "sqlite", schema: u32::try_from(schema::NEWEST).unwrap_or(0) }
    }

    fn in_use(&self) -> Option<&str> {
        self.in_use.as_deref()
    }

    fn counts(&mut self) -> Result<Counts, MoveError> {
        let count = |table: &str| -> Result<u64, MoveError> {
            let sql = format!("SELECT count(*) FROM {table}");
            self.conn.query_row(&sql, [], |row| row.get(0)).map(natural).map_err(store)
        };
        Ok(Counts {
            events: count("events")?,
            stock: count("stock")?,
            keys: count("idempotency")?,
            parked: count("parked")?,
            dead_letters: count("dead_letters")?,
            cursors: count("cursors")?,
        })
    }

    fn each(&mut self, carry: &mut Carry<'_>) -> Result<(), MoveError> {
        let types = &self.types;
        let sql = "SELECT position, subject, version, type, at, cause, data FROM events ORDER BY position";
        self.each_row(sql, |row| event(row, types), carry)?;
        let sql = "SELECT product_id, available, reserved, sold, version FROM stock ORDER BY slot";
        self.each_row(sql, |row| load::stock_of(row).map(Item::Stock), carry)?;
        // In the order of their rows: of a key that was used anew the newest comes last.
        self.each_row("SELECT key, fingerprint, answer, expires_at FROM idempotency ORDER BY seq", key, carry)?;
        let sql = "SELECT role, position, due, tries, reason FROM parked ORDER BY role, position";
        self.each_row(sql, parked, carry)?;
        let sql = "SELECT id, role, position, tries, reason, since FROM dead_letters ORDER BY id";
        self.each_row(sql, dead_letter, carry)?;
        self.each_row("SELECT role, position FROM cursors ORDER BY role", cursor, carry)?;
        carry(Item::Ends(self.ends()?))
    }

    fn totals(&mut self) -> Result<Totals, MoveError> {
        Ok(totals::of(&self.conn, &self.types)?)
    }
}
