//! The schema and how it is brought up to date.

use std::path::Path;

use rusqlite::Connection;

use super::codec::Types;
use super::error::{OpenError, StoreError};

/// Marks the file as ours: "OMil".
const APPLICATION_ID: i64 = 0x4f4d_696c;

/// Marks a file that an import is filling, so that a program of any version refuses it: "OMim".
const IMPORTING_ID: i64 = 0x4f4d_696d;

/// What a database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// A ledger of this schema; 0 for an empty file.
    Ledger(i64),
    /// A ledger of this schema that is being filled.
    Importing(i64),
}

/// Every step from one schema to the next; a step that was released is never changed.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001_ledger.sql"), include_str!("migrations/0002_subjects.sql")];

/// The newest schema this program knows.
pub(super) const NEWEST: i64 = MIGRATIONS.len() as i64;

/// Checks that a database is a ledger of a schema this program can read, and gives its schema; 0 for an empty file.
pub(super) fn check(conn: &Connection, path: &Path) -> Result<i64, OpenError> {
    match state(conn, path)? {
        State::Ledger(found) => Ok(found),
        State::Importing(_) => Err(OpenError::Importing { path: path.to_owned() }),
    }
}

/// Marks a ledger as one that is being filled, or no longer.
pub(super) fn mark(conn: &Connection, is_importing: bool) -> rusqlite::Result<()> {
    conn.pragma_update(None, "application_id", if is_importing { IMPORTING_ID } else { APPLICATION_ID })
}

/// What a database is, where it is ours and of a schema this program can read.
pub(super) fn state(conn: &Connection, path: &Path) -> Result<State, OpenError> {
    let sqlite = |source| OpenError::Sqlite { path: path.to_owned(), source };
    let found: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sqlite)?;
    let application: i64 = conn.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(sqlite)?;
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(sqlite)?;
    if ![APPLICATION_ID, IMPORTING_ID].contains(&application) && (tables > 0 || application != 0) {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    if found > NEWEST {
        return Err(OpenError::Newer { path: path.to_owned(), found, known: NEWEST });
    }
    Ok(if application == IMPORTING_ID { State::Importing(found) } else { State::Ledger(found) })
}

/// Brings the schema up to date, each step in one transaction, and gives event types their codes.
pub(super) fn migrate(conn: &Connection, path: &Path) -> Result<(), OpenError> {
    let sqlite = |source| OpenError::Sqlite { path: path.to_owned(), source };
    let found = check(conn, path)?;
    for version in found + 1..=NEWEST {
        let step = MIGRATIONS[usize::try_from(version - 1).unwrap_or(0)];
        let sql = format!(
            "BEGIN IMMEDIATE; {step}; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version}; COMMIT;"
        );
        if let Err(source) = conn.execute_batch(&sql) {
            // Leaves the connection usable whether or not SQLite has rolled back by itself.
            if !conn.is_autocommit() {
                conn.execute_batch("ROLLBACK").map_err(sqlite)?;
            }
            return Err(sqlite(source));
        }
        tracing::info!(path = %path.display(), schema = version, "migrated the ledger");
    }
    Types::register(conn).map_err(|error| match error {
        StoreError::Sqlite(source) => sqlite(source),
        StoreError::Unreadable(reason) => OpenError::Unreadable { path: path.to_owned(), reason },
    })
}
