//! Moving house: a whole ledger out of a database, or into one.

mod derive;
mod read;
mod rows;
mod totals;
mod write;

use ordermill_ports::moving::MoveError;

use crate::error::{OpenError, StoreError};

pub use read::Reader;
pub use write::Writer;

impl From<StoreError> for MoveError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unreadable(what) => Self::Unreadable(what),
            error => Self::Store(error.to_string()),
        }
    }
}

impl From<OpenError> for MoveError {
    fn from(error: OpenError) -> Self {
        Self::Store(error.to_string())
    }
}

/// What the server says, for whoever moves.
fn store(error: tokio_postgres::Error) -> MoveError {
    StoreError::from(error).into()
}
