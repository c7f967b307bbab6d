//! Moving house: a whole ledger out of a database, or into one.

mod derive;
mod read;
mod rows;
mod totals;
mod write;

use ordermill_ports::moving::MoveError;

use super::error::{OpenError, StoreError};

pub use read::Reader;
pub use write::Writer;

impl From<StoreError> for MoveError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Sqlite(source) => Self::Store(source.to_string()),
            StoreError::Unreadable(what) => Self::Unreadable(what),
        }
    }
}

impl From<OpenError> for MoveError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::InUse { .. } => Self::InUse(error.to_string()),
            other => Self::Store(other.to_string()),
        }
    }
}

/// What SQLite says, for whoever moves.
fn store(error: rusqlite::Error) -> MoveError {
    StoreError::from(error).into()
}
