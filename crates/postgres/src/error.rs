//! What can go wrong with the database.

use ordermill_ports::audit::AuditError;
use ordermill_ports::bus::BusError;
use ordermill_ports::queries::QueryError;
use ordermill_ports::secrets::SecretError;
use thiserror::Error;
use tokio_postgres::error::SqlState;

/// Why a ledger could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The URL, or an option in it, cannot be understood. The URL is not repeated, as it may hold what should not be shown.
    #[error("the ledger's URL is wrong: {0}")]
    Url(String),
    /// The server's certificates cannot be checked.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// It was written by a newer program.
    #[error(
        "the schema {schema:?} is of version {found}; this program knows versions up to {known}, so a newer one must open it"
    )]
    Newer {
        /// The PostgreSQL schema.
        schema: String,
        /// Its version.
        found: i32,
        /// The newest version this program knows.
        known: i32,
    },
    /// It is not there.
    #[error(
        "there is no ledger in the schema {schema:?}; is that its name? `?schema=` in the ledger's URL says which one it is"
    )]
    Absent {
        /// The PostgreSQL schema.
        schema: String,
    },
    /// It was written by an older program and not brought up to date.
    #[error(
        "the schema {schema:?} is of version {found}; this program reads version {known}: let it open the ledger once"
    )]
    Older {
        /// The PostgreSQL schema.
        schema: String,
        /// Its version.
        found: i32,
        /// The version this program reads.
        known: i32,
    },
    /// The schema holds tables that are not ours.
    #[error("the schema {schema:?} holds tables, but no ledger of Ordermill; name another with `?schema=`")]
    Foreign {
        /// The PostgreSQL schema.
        schema: String,
    },
    /// An import has begun to fill it and not ended.
    #[error(
        "an import into the schema {schema:?} is not finished; run `ordermill import-ledger` with the same file again"
    )]
    Importing {
        /// The PostgreSQL schema.
        schema: String,
    },
    /// Commits would be answered before they are durable.
    #[error("the server does not make commits durable: {0}")]
    NotDurable(String),
    /// A thread could not be started.
    #[error("no thread can be started: {0}")]
    Thread(std::io::Error),
    /// The server is not there, or says no.
    #[error("the ledger cannot be opened: {0}")]
    Store(#[from] StoreError),
}

impl From<tokio_postgres::Error> for OpenError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A connection that could not be made.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// There is no password to be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The server is not there, or says no.
    #[error("{}", describe(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// The server takes the connection and says nothing.
    #[error("the server did not answer in time")]
    TimedOut,
}

/// A read or a write that failed.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The server says no, or is gone: the whole transaction is off.
    #[error("{}", describe(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// No connection could be made.
    #[error("there is no connection to the server: {0}")]
    Connect(#[from] ConnectError),
    /// Every connection is in use, and none became free in time.
    #[error("every connection to the server is in use")]
    Exhausted,
    /// The server did not answer in time.
    #[error("the server did not answer in time")]
    TimedOut,
    /// Another transaction came in between; the same again will do.
    #[error("another transaction came in between")]
    Raced,
    /// The connection is closed, or the pool they come from.
    #[error("the connection to the server is closed")]
    Closed,
    /// One record has a shape that this program does not know: only what needs this record is off.
    #[error("{0}")]
    Unreadable(String),
}

/// What an error means for a transaction that met it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Another transaction was faster; the same again will do.
    Conflict,
    /// The server takes no writes at present: a standby, a full disk, a shutdown, a lock that is not let go of, no connection. It passes,
    /// or somebody deals with it.
    Unavailable,
    /// Every connection is in use.
    Busy,
    /// Anything else.
    Other,
}

impl StoreError {
    /// What the error means for the transaction that met it.
    pub(crate) fn meaning(&self) -> Meaning {
        match self {
            Self::Postgres(error) => meaning(error),
            Self::Connect(_) | Self::TimedOut => Meaning::Unavailable,
            Self::Raced => Meaning::Conflict,
            Self::Exhausted => Meaning::Busy,
            Self::Closed | Self::Unreadable(_) => Meaning::Other,
        }
    }

    /// Whether the server itself said no, so that a transaction that had not begun its COMMIT is certainly undone, and one that had too.
    pub(crate) fn is_from_server(&self) -> bool {
        matches!(self, Self::Postgres(error) if error.as_db_error().is_some_and(|error| !ends_session(error.code())))
    }
}

impl StoreError {
    /// Whether the server does not let us do it, whoever else may.
    pub(crate) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Postgres(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE))
    }

    /// Whether a statement that was prepared is good no more: prepared anew it will do.
    pub(crate) fn is_stale_statement(&self) -> bool {
        matches!(self, Self::Postgres(error) if error.code().is_some_and(|code| STALE.contains(code)))
    }

    /// Whether the connection was lost, and another may do.
    pub(crate) fn is_lost_connection(&self) -> bool {
        let Self::Postgres(error) = self else { return false };
        let is_io = || std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>());
        error.as_db_error().map_or_else(|| error.is_closed() || is_io(), |error| ends_session(error.code()))
    }
}

/// What a server says to a statement that it does not know, or whose tables have changed ("cached plan must not change result type").
const STALE: [SqlState; 2] = [SqlState::INVALID_SQL_STATEMENT_NAME, SqlState::FEATURE_NOT_SUPPORTED];

fn meaning(error: &tokio_postgres::Error) -> Meaning {
    let Some(code) = error.code() else { return Meaning::Unavailable };
    let conflicts = [SqlState::UNIQUE_VIOLATION, SqlState::T_R_DEADLOCK_DETECTED, SqlState::T_R_SERIALIZATION_FAILURE];
    let unavailable = [
        SqlState::READ_ONLY_SQL_TRANSACTION,
        SqlState::DISK_FULL,
        SqlState::OUT_OF_MEMORY,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::QUERY_CANCELED,
        SqlState::LOCK_NOT_AVAILABLE,
    ];
    if conflicts.contains(code) || STALE.contains(code) {
        Meaning::Conflict
    } else if unavailable.contains(code) || ends_session(code) || code.code().starts_with("53") {
        Meaning::Unavailable
    } else {
        Meaning::Other
    }
}

/// The server ends the session with these: a COMMIT that is answered so may have happened.
fn ends_session(code: &SqlState) -> bool {
    code.code().starts_with("57P")
        || code.code().starts_with("08")
        || *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
}

/// The error with its cause: the client's own text says only "db error". Details are left out, as they may hold what a row holds.
fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(found) => format!("{} (SQLSTATE {})", found.message(), found.code().code()),
        None => match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
    }
}

impl From<StoreError> for QueryError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unreadable(what) => Self::Unreadable(what),
            error => Self::Backend(error.to_string()),
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
