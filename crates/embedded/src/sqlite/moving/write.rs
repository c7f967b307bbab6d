//! Fills an empty database: first with what is carried, then with the rows that follow from it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ordermill_ports::audit::{AuditError, LedgerSnapshot};
use ordermill_ports::moving::{Ends, Item, LedgerWriter, Mark, MoveError, MovedEvent, Totals};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use super::super::codec::{Types, answer_column, int, micros, natural, subject_column};
use super::super::connection::{self, Lock};
use super::super::schema::{self, State};
use super::super::snapshot::Snapshot;
use super::{store, totals};

/// KiB of pages kept: rows are made in the order of ids, and not all of their tables are in that order.
const CACHE_KIB: i64 = 64 * 1024;

/// Pages of 4 KiB in the log before they are copied into the database.
const CHECKPOINT_PAGES: i64 = 8_000;

/// What the import has to know of itself; there only while it is under way.
const MOVING: &str = "CREATE TABLE moving (
    export TEXT    NOT NULL, -- the export's name
    lines  INTEGER NOT NULL, -- of its file that are taken in
    digest BLOB    NOT NULL, -- of these lines
    stage  INTEGER NOT NULL, -- kinds of subject whose rows are made
    after  ANY               -- the last subject of the next kind that has its row; NULL = none
) STRICT";

/// A ledger that is being filled. No other process can use it meanwhile.
pub struct Writer {
    pub(super) path: PathBuf,
    pub(super) conn: Connection,
    /// Codes of event types by name and version.
    codes: HashMap<(String, u16), i64>,
    _lock: Lock,
}

impl Writer {
    /// Opens a database, which is made where it is not.
    ///
    /// # Errors
    /// [`MoveError::InUse`] when a process uses it; otherwise when it is no ledger, one of a newer program, or cannot be opened.
    pub fn open(path: &Path) -> Result<Self, MoveError> {
        let lock = Lock::take(path)?;
        if path.exists() {
            schema::state(&connection::reader(path).map_err(store)?, path)?;
        }
        let conn = connection::writer(path).map_err(store)?;
        conn.pragma_update(None, "cache_size", -CACHE_KIB).map_err(store)?;
        conn.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES).map_err(store)?;
        Ok(Self { path: path.to_owned(), conn, codes: HashMap::new(), _lock: lock })
    }

    /// Makes the ledger one that is being filled.
    fn begin_anew(&mut self, export: &str) -> Result<(), MoveError> {
        schema::migrate(&self.conn, &self.path)?;
        let transaction = self.transaction()?;
        let sql = "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM idempotency),
                          (SELECT count(*) FROM parked) + (SELECT count(*) FROM dead_letters)";
        let held: [i64; 3] =
            transaction.query_row(sql, [], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?])).map_err(store)?;
        if held != [0; 3] {
            let path = self.path.display();
            let what =
                format!("the ledger {path} holds {} events already; a ledger is moved into an empty one", held[0]);
            return Err(MoveError::Occupied(what));
        }
        transaction.execute_batch(MOVING).map_err(store)?;
        let sql = "INSERT INTO moving VALUES (?1, 0, zeroblob(32), 0, NULL)";
        transaction.execute(sql, [export]).map_err(store)?;
        // Roles have come nowhere on an empty ledger, and nothing was counted.
        transaction.execute_batch("DELETE FROM cursors; DELETE FROM counters").map_err(store)?;
        schema::mark(&transaction, true).map_err(store)?;
        transaction.commit().map_err(store)
    }

    /// Goes on with what was begun.
    fn go_on(&self, export: &str, found: i64) -> Result<Option<Mark>, MoveError> {
        let other = |what: &str| {
            let path = self.path.display();
            MoveError::OtherExport(format!("the import into {path} was begun {what}; remove that ledger to begin anew"))
        };
        if found != schema::NEWEST {
            return Err(other("by another version of the program"));
        }
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let (name, lines, digest): (String, i64, [u8; 32]) =
            self.conn.query_row("SELECT export, lines, digest FROM moving", [], row).map_err(store)?;
        if name != export {
            return Err(other("from another export"));
        }
        Ok((lines > 0).then(|| Mark { lines: natural(lines), digest }))
    }

    pub(super) fn transaction(&self) -> Result<Transaction<'_>, MoveError> {
        Transaction::new_unchecked(&self.conn, TransactionBehavior::Immediate).map_err(store)
    }

    /// The code of an event type in a version, also in one that this program no longer writes.
    fn code(&mut self, event: &MovedEvent) -> Result<i64, MoveError> {
        let meaning = (event.kind.clone(), event.schema);
        if let Some(code) = self.codes.get(&meaning) {
            return Ok(*code);
        }
        let name = (meaning.0.as_str(), meaning.1);
        let sql = "SELECT code FROM event_types WHERE name = ?1 AND schema = ?2";
        let known = self.conn.query_row(sql, name, |row| row.get(0)).optional().map_err(store)?;
        let code = match known {
            Some(code) => code,
            None => {
                self.conn.execute("INSERT INTO event_types (name, schema) VALUES (?1, ?2)", name).map_err(store)?;
                self.conn.last_insert_rowid()
            }
        };
        self.codes.insert(meaning, code);
        Ok(code)
    }
}

fn put(transaction: &Transaction<'_>, item: &Item, codes: &HashMap<(String, u16), i64>) -> rusqlite::Result<()> {
    let prepare = |sql| transaction.prepare_cached(sql);
    match item {
        Item::Event(event) => {
            let code = codes.get(&(event.kind.clone(), event.schema));
            let subject = subject_column(&event.subject);
            let position = int(event.position);
            prepare("INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute((
                position,
                subject,
                event.version,
                code,
                micros(event.at),
                event.cause,
                &event.data,
            ))
        }
        Item::Stock(level) => {
            let units = (level.available, level.reserved, level.sold, int(level.version));
            prepare("INSERT INTO stock VALUES (NULL, ?1, ?2, ?3, ?4, ?5)")?.execute((
                level.product_id.as_str(),
                units.0,
                units.1,
                units.2,
                units.3,
            ))
        }
        Item::Key(key, record) => {
            let (answer, expires_at) = (answer_column(&record.answer)?, micros(record.expires_at));
            prepare("INSERT INTO idempotency VALUES (NULL, ?1, ?2, ?3, ?4)")?.execute((
                key,
                record.fingerprint.0,
                answer,
                expires_at,
            ))
        }
        Item::Parked(parked) => prepare("INSERT INTO parked VALUES (?1, ?2, ?3, ?4, ?5)")?.execute((
            &parked.role,
            int(parked.position),
            micros(parked.due),
            parked.tries,
            &parked.reason,
        )),
        Item::DeadLetter(dead) => {
            let (id, position, since) = (int(dead.id), int(dead.position), micros(dead.since));
            prepare("INSERT INTO dead_letters VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute((
                id,
                &dead.role,
                position,
                dead.tries,
                &dead.reason,
                since,
            ))
        }
        // What was settled beyond the slowest partition comes again; roles look at the ledger before they act.
        Item::Cursor(cursor) => {
            prepare("INSERT INTO cursors VALUES (?1, ?2)")?.execute((&cursor.role, int(cursor.slowest())))
        }
        Item::Ends(ends) => return put_ends(transaction, ends),
    }
    .map(drop)
}

fn put_ends(transaction: &Transaction<'_>, ends: &Ends) -> rusqlite::Result<()> {
    if let Some(end) = ends.mailbox {
        transaction.execute("INSERT INTO counters VALUES ('mailbox_end', ?1)", [int(end)])?;
    }
    // No number is given twice, also when the dead letter that had it is gone.
    transaction.execute("DELETE FROM sqlite_sequence WHERE name = 'dead_letters'", [])?;
    let sql = "INSERT INTO sqlite_sequence (name, seq) VALUES ('dead_letters', ?1)";
    transaction.execute(sql, [int(ends.dead_letter)]).map(drop)
}

impl LedgerWriter for Writer {
    fn begin(&mut self, export: &str) -> Result<Option<Mark>, MoveError> {
        match schema::state(&self.conn, &self.path)? {
            State::Importing(found) => self.go_on(export, found),
            State::Ledger(_) => self.begin_anew(export).map(|()| None),
        }
    }

    fn write(&mut self, items: Vec<Item>, mark: &Mark) -> Result<(), MoveError> {
        for item in &items {
            if let Item::Event(event) = item {
                self.code(event)?;
            }
        }
        let transaction = self.transaction()?;
        for item in &items {
            put(&transaction, item, &self.codes).map_err(store)?;
        }
        let sql = "UPDATE moving SET lines = ?1, digest = ?2";
        transaction.execute(sql, (int(mark.lines), mark.digest)).map_err(store)?;
        transaction.commit().map_err(store)
    }

    fn derive(&mut self, on_progress: &mut dyn FnMut(u64)) -> Result<(), MoveError> {
        self.derive_rows(on_progress)
    }

    fn totals(&mut self) -> Result<Totals, MoveError> {
        Ok(totals::of(&self.conn, &Types::load(&self.conn)?)?)
    }

    fn snapshot(&self) -> Result<Box<dyn LedgerSnapshot>, AuditError> {
        Ok(Box::new(Snapshot::open_filled(&self.path)?))
    }

    fn finish(&mut self) -> Result<(), MoveError> {
        let transaction = self.transaction()?;
        transaction.execute_batch("DROP TABLE moving").map_err(store)?;
        schema::mark(&transaction, false).map_err(store)?;
        transaction.commit().map_err(store)?;
        self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(store)
    }
}
