//! What can go wrong with the database.

use std::path::PathBuf;

use ordermill_ports::audit::AuditError;
use ordermill_ports::bus::BusError;
use ordermill_ports::queries::QueryError;
use thiserror::Error;

/// Why a ledger could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process holds it.
    #[error("the ledger {} is in use by another process, which holds the lock file beside it", path.display())]
    InUse {
        /// The database file.
        path: PathBuf,
    },
    /// It was written by a newer program.
    #[error("the ledger {} has schema {found}; this program knows schemas up to {known}, so a newer one must open it", path.display())]
    Newer {
        /// The database file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema this program knows.
        known: i64,
    },
    /// The file is a database of another kind.
    #[error("{} is a SQLite database, but not a ledger of Ordermill", path.display())]
    Foreign {
        /// The database file.
        path: PathBuf,
    },
    /// An import has begun to fill it and not ended.
    #[error(
        "an import into the ledger {} is not finished; run `ordermill import-ledger` with the same file again",
        path.display()
    )]
    Importing {
        /// The database file.
        path: PathBuf,
    },
    /// The lock file, or the writer's thread, could not be made.
    #[error("the ledger {} cannot be opened: {source}", path.display())]
    Io {
        /// The database file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// SQLite says no.
    #[error("the ledger {} cannot be opened: {source}", path.display())]
    Sqlite {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Something stored cannot be read.
    #[error("the ledger {} cannot be read: {reason}", path.display())]
    Unreadable {
        /// The database file.
        path: PathBuf,
        /// What, and why.
        reason: String,
    },
}

/// A read or a write that failed.
#[derive(Debug, Error)]
pub(super) enum StoreError {
    /// SQLite says no: the whole transaction is off.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// One record has a shape that this program does not know: only what needs this record is off.
    #[error("{0}")]
    Unreadable(String),
}

impl From<StoreError> for QueryError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Sqlite(source) => Self::Backend(source.to_string()),
            StoreError::Unreadable(what) => Self::Unreadable(what),
        }
    }
}

impl From<StoreError> for BusError {
    fn from(error: StoreError) -> Self {
        Self::Ledger(error.to_string())
    }
}

impl From<StoreError> for AuditError {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}
