//! Moving house: everything a ledger holds, read from one backend and written into another.
//!
//! What is carried is the events, word for word and at their positions, and beside them only what does not follow from events: stock rows
//! (their versions are what clients hold), idempotency keys, deliveries that wait or were given up, and how far each role has come. Every
//! other row is folded from the events again where they arrive, so a row that was wrong stays behind.
//!
//! Positions are kept: cursors of the feed that clients hold, and the deliveries beside it, go by them.
//!
//! All of it blocks and is meant for a thread of its own, outside of any runtime.

mod fold;
mod totals;

use std::io;

use ordermill_core::Timestamp;
use ordermill_core::event::Subject;
use ordermill_core::idempotency;
use ordermill_core::stock::StockLevel;
use thiserror::Error;

use crate::audit::{AuditError, LedgerSnapshot};

pub use fold::{Folded, fold};
pub use totals::{Counts, Totals, Units};

/// Why a ledger could not be read or written.
#[derive(Debug, Error)]
pub enum MoveError {
    /// Some process uses the ledger that is to be filled.
    #[error("{0}")]
    InUse(String),
    /// The ledger that is to be filled holds something already.
    #[error("{0}")]
    Occupied(String),
    /// The ledger that is to be filled holds the beginning of another export, or of this one as another file has it.
    #[error("{0}")]
    OtherExport(String),
    /// Something stored has a shape that this program does not know.
    #[error("{0}")]
    Unreadable(String),
    /// The backend says no.
    #[error("{0}")]
    Store(String),
    /// What was read cannot be handed on.
    #[error("the export cannot be written: {0}")]
    Output(#[from] io::Error),
}

impl From<AuditError> for MoveError {
    fn from(error: AuditError) -> Self {
        Self::Store(error.0)
    }
}

/// An event as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedEvent {
    /// Its place in the feed.
    pub position: u64,
    /// What it is about.
    pub subject: Subject,
    /// Counts the subject's events, from 1.
    pub version: u32,
    /// The name of its type.
    pub kind: String,
    /// The version of its data.
    pub schema: u16,
    /// When it was decided.
    pub at: Timestamp,
    /// The version of the event that a role was acting on.
    pub cause: Option<u32>,
    /// JSON, as it was written.
    pub data: String,
}

/// A delivery that waits for another try. Roles go by name: the other side may know more of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedParked {
    /// Whose.
    pub role: String,
    /// Of which event.
    pub position: u64,
    /// When it is tried again.
    pub due: Timestamp,
    /// How often it was tried.
    pub tries: u32,
    /// Why it waits.
    pub reason: String,
}

/// A delivery that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedDeadLetter {
    /// Its number, which people know it by.
    pub id: u64,
    /// Whose.
    pub role: String,
    /// Of which event.
    pub position: u64,
    /// How often it was tried.
    pub tries: u32,
    /// Why it was given up.
    pub reason: String,
    /// When.
    pub since: Timestamp,
}

/// How far a role has come: whatever is not behind its cursor is settled, of no interest, or among the parked deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedCursor {
    /// Whose.
    pub role: String,
    /// One cursor for the whole feed, or one for each partition, where the backend has partitions. Never empty.
    pub positions: Vec<u64>,
}

impl MovedCursor {
    /// The cursor behind which everything that is not settled lies.
    #[must_use]
    pub fn slowest(&self) -> u64 {
        self.positions.iter().copied().min().unwrap_or(0)
    }
}

/// Numbers that go on from where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ends {
    /// Where the last committed mail ends in a local mail file, in bytes.
    pub mailbox: Option<u64>,
    /// The number of the last dead letter that ever was; 0 when there was none.
    pub dead_letter: u64,
}

/// One thing that is carried.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// An event.
    Event(MovedEvent),
    /// The stock of a product.
    Stock(StockLevel),
    /// An idempotency key.
    Key(String, idempotency::Record),
    /// A delivery that waits.
    Parked(MovedParked),
    /// A delivery that was given up.
    DeadLetter(MovedDeadLetter),
    /// How far a role has come.
    Cursor(MovedCursor),
    /// Numbers that go on.
    Ends(Ends),
}

/// What a ledger lies in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The backend: `sqlite`.
    pub backend: &'static str,
    /// The version of its schema.
    pub schema: u32,
}

/// Takes what a ledger holds, and stops the reading with an `Err`.
pub type Carry<'a> = dyn FnMut(Item) -> Result<(), MoveError> + 'a;

/// Reads one consistent moment of a ledger.
pub trait LedgerReader: Send {
    /// What it lies in.
    fn source(&self) -> Source;
    /// Why it seems that some process goes on writing it; `None` where none does, and none can until this reader is dropped or, where the
    /// backend cannot promise that, none did when it was opened.
    fn in_use(&self) -> Option<&str>;
    /// How much there is, for progress.
    ///
    /// # Errors
    /// [`MoveError`] when it cannot be read.
    fn counts(&mut self) -> Result<Counts, MoveError>;
    /// Everything: the events by position, without a gap, then the rest kind by kind in the order of [`Item`], [`Ends`] last.
    ///
    /// # Errors
    /// [`MoveError`] of the callback, or when something cannot be read.
    fn each(&mut self, carry: &mut Carry<'_>) -> Result<(), MoveError>;
    /// What the rows add up to.
    ///
    /// # Errors
    /// [`MoveError`] when it cannot be read.
    fn totals(&mut self) -> Result<Totals, MoveError>;
}

/// How far an import has come: so many lines of the file, whose digest is this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Lines taken, the first included.
    pub lines: u64,
    /// The SHA-256 of these lines, ends of line included.
    pub digest: [u8; 32],
}

/// Fills an empty ledger. Until it is [finished](Self::finish) no process can open the ledger: it holds a part of the truth.
///
/// Each call commits before it returns. Dropped or killed at any instant, the ledger can be filled on.
pub trait LedgerWriter: Send {
    /// Begins to take in the export of this name, or goes on with it: gives the mark of what is there.
    ///
    /// # Errors
    /// [`MoveError::Occupied`] when the ledger holds anything, [`MoveError::OtherExport`] when it holds the beginning of another export,
    /// [`MoveError::InUse`] when a process uses it.
    fn begin(&mut self, export: &str) -> Result<Option<Mark>, MoveError>;
    /// Writes some of what is carried, and how far that is, in one commit. Things come in the order that [`LedgerReader::each`] gives.
    ///
    /// # Errors
    /// [`MoveError`]; nothing of it is kept.
    fn write(&mut self, items: Vec<Item>, mark: &Mark) -> Result<(), MoveError>;
    /// Makes every row that follows from events. Everything that is carried is there. Tells how many subjects have their rows.
    ///
    /// # Errors
    /// [`MoveError::Unreadable`] for events that cannot be folded.
    fn derive(&mut self, on_progress: &mut dyn FnMut(u64)) -> Result<(), MoveError>;
    /// What the rows add up to.
    ///
    /// # Errors
    /// [`MoveError`] when they cannot be read.
    fn totals(&mut self) -> Result<Totals, MoveError>;
    /// The ledger as it is now, for the auditor.
    ///
    /// # Errors
    /// When it cannot be read.
    fn snapshot(&self) -> Result<Box<dyn LedgerSnapshot>, AuditError>;
    /// Ends the import: from now on this is a ledger like any other.
    ///
    /// # Errors
    /// [`MoveError`]; it may be tried again.
    fn finish(&mut self) -> Result<(), MoveError>;
}
