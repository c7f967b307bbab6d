//! The ledger, its queries and its bus on SQLite: one process, one file, nothing to install.
//!
//! ```text
//! submit ─► admission ─► lanes ─► writer thread ─► one transaction ─► memory ─► feed, watchers, answers
//!                                  decide on overlay, then memory        ▲
//! queries ──────────────────────────────────────────────────────────────┘, or a read-only connection
//! ```
//!
//! Architecture invariant: only the writer thread writes, to the database and to the memory that readers see, and to memory only
//! what is committed. It never waits for a role, a reader or a caller.
//!
//! Architecture invariant: a row is written in the commit of its events, but for parcels: their rows follow some time behind, and
//! memory answers for those that wait (see `writer::write_back`). Whoever reads parcels from the database looks in memory first.

mod admission;
mod bus;
mod catalogue;
mod codec;
mod connection;
mod deadlines;
mod error;
mod feed;
mod hash;
mod health;
mod keys;
mod load;
mod memory;
mod meters;
mod moving;
mod parcels;
mod queries;
mod read;
mod readers;
mod roles;
mod schema;
mod shared;
mod snapshot;
mod submit;
#[cfg(test)]
mod tests;
mod totals;
mod trail;
mod watch;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use ordermill_core::policy::Policy;
use ordermill_ports::Clock;
use parking_lot::Mutex;
use rusqlite::Connection;

pub use error::OpenError;
pub use moving::{Reader, Writer};
pub use snapshot::Snapshot;

use connection::Lock;
use error::StoreError;
use readers::Readers;
use shared::Shared;

/// Orders that may be undecided unless told otherwise: a fraction of a second's work, in about ten megabytes.
const UNDECIDED_MAX_DEFAULT: usize = 10_000;

/// Reading connections unless told otherwise.
const READERS_DEFAULT: usize = 3;

/// How a ledger is opened.
#[derive(Clone)]
pub struct Options {
    /// The database file; made where it is not, with its directory.
    pub path: PathBuf,
    /// The times of the order process.
    pub policy: Policy,
    /// Tells the time of every decision.
    pub clock: Arc<dyn Clock>,
    /// Undecided orders beyond which new ones wait, and are refused after a second.
    pub undecided_max: usize,
    /// Connections for reads that memory cannot answer, at least one.
    pub readers: usize,
}

impl Options {
    /// The usual options for a database file.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        Self {
            path: path.into(),
            policy: Policy::default(),
            clock,
            undecided_max: UNDECIDED_MAX_DEFAULT,
            readers: READERS_DEFAULT,
        }
    }
}

/// The ledger in a SQLite database, with its queries and its bus.
///
/// Dropped, it commits what was submitted and closes the database; [`ordermill_ports::Ledger::close`] does the same and waits
/// without blocking a thread.
pub struct SqliteLedger {
    shared: Arc<Shared>,
    readers: Readers,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Freed last, when the writer has ended.
    _lock: Lock,
}

impl SqliteLedger {
    /// Opens a ledger, brings its schema up to date, and starts its writer. Blocks while it reads what is kept in memory.
    ///
    /// # Errors
    /// [`OpenError`] when another process has it open, when it is not a ledger or one of a newer program, or cannot be read.
    pub fn open(options: Options) -> Result<Arc<Self>, OpenError> {
        let path = options.path.clone();
        let lock = Lock::take(&path)?;
        let sqlite = |source| OpenError::Sqlite { path: path.clone(), source };
        let conn = open_writer(&path)?;
        let (shared, memory) = load::load(&conn, &options).map_err(|error| match error {
            StoreError::Sqlite(source) => sqlite(source),
            StoreError::Unreadable(reason) => OpenError::Unreadable { path: path.clone(), reason },
        })?;
        let readers = Readers::open(&path, options.readers).map_err(sqlite)?;
        let shared = Arc::new(shared);
        let (started, start) = std::sync::mpsc::sync_channel(1);
        let writer = {
            let shared = Arc::clone(&shared);
            let run = move || writer::run(&shared, &options.path, conn, memory, &started);
            let thread = std::thread::Builder::new().name("ledger-writer".to_owned()).spawn(run);
            thread.map_err(|source| OpenError::Io { path: path.clone(), source })?
        };
        let gone = |_| OpenError::Unreadable { path: path.clone(), reason: "the writer did not start".to_owned() };
        start.recv().map_err(gone)?.map_err(sqlite)?;
        Ok(Arc::new(Self { shared, readers, writer: Mutex::new(Some(writer)), _lock: lock }))
    }
}

impl SqliteLedger {
    /// Takes nothing more; the writer ends when it has done what is there.
    fn begin_end(&self) {
        self.shared.lanes.close();
        self.shared.admission.close();
    }
}

/// Opens the connection that writes. Checks the file before anything is changed in it.
fn open_writer(path: &Path) -> Result<Connection, OpenError> {
    let sqlite = |source| OpenError::Sqlite { path: path.to_owned(), source };
    if path.exists() {
        schema::check(&connection::reader(path).map_err(sqlite)?, path)?;
    }
    let conn = connection::writer(path).map_err(sqlite)?;
    schema::migrate(&conn, path)?;
    Ok(conn)
}

impl Drop for SqliteLedger {
    fn drop(&mut self) {
        self.begin_end();
        if let Some(writer) = self.writer.lock().take()
            && writer.join().is_err()
        {
            tracing::error!("the ledger's writer ended with a defect");
        }
        debug_assert!(self.shared.ended.load(Ordering::Acquire), "the writer says so when it ends");
    }
}
