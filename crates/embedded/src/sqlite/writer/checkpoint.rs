//! Copies the log into the database, mostly beside the writer.
//!
//! Left to SQLite, the commit that fills the log copies all of it and waits for the disk, tens of milliseconds in which nobody is
//! answered. Here a thread of its own copies while the writer goes on; what came in meanwhile is little, and the writer copies it
//! between two commits, so that the log begins anew.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::super::connection;

/// Pages of 4 KiB in the log that are worth copying.
const PAGES_MIN: i64 = 2_000;

/// Pages left to the writer that it copies in a moment; while there are more, the thread goes over the log again.
const PAGES_LEFT: i64 = 250;

/// How often the thread goes over the log at the most: a writer that is faster than it has to copy by itself, and so slows down.
const PASSES_MAX: usize = 4;

const IDLE: u8 = 0;
const COPYING: u8 = 1;
const COPIED: u8 = 2;

/// The thread that copies.
pub(super) struct Checkpointer {
    state: Arc<AtomicU8>,
    start: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Frames in the log, and how many of them are in the database already.
fn frames(conn: &Connection, mode: &str) -> rusqlite::Result<(i64, i64)> {
    let mut statement = conn.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?;
    statement.query_row([], |row| Ok((row.get(1)?, row.get(2)?)))
}

impl Checkpointer {
    /// Starts the thread on a connection of its own.
    pub(super) fn start(path: &Path) -> Result<Self, rusqlite::Error> {
        let conn = connection::writer(path)?;
        let state = Arc::new(AtomicU8::new(IDLE));
        let (start, started) = sync_channel::<()>(1);
        let shared = Arc::clone(&state);
        let work = move || {
            while started.recv().is_ok() {
                copy(&conn);
                shared.store(COPIED, Ordering::Release);
            }
        };
        let thread = std::thread::Builder::new().name("ledger-log".to_owned()).spawn(work);
        let thread = thread.inspect_err(|error| tracing::warn!(%error, "the writer copies the log by itself")).ok();
        Ok(Self { state, start: Some(start).filter(|_| thread.is_some()), thread })
    }

    /// Looks at the log after a commit: starts the thread when there is enough to copy, finishes what it has begun.
    pub(super) fn tend(&self, conn: &Connection) -> rusqlite::Result<()> {
        match self.state.load(Ordering::Acquire) {
            COPIED => {
                self.state.store(IDLE, Ordering::Release);
                frames(conn, "PASSIVE")?;
            }
            IDLE => {
                let (log, copied) = frames(conn, "NOOP")?;
                if log - copied < PAGES_MIN {
                    return Ok(());
                }
                self.state.store(COPYING, Ordering::Release);
                let begun = self.start.as_ref().is_some_and(|start| start.try_send(()).is_ok());
                if !begun {
                    self.state.store(COPIED, Ordering::Release);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.start = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that copies the log ended with a defect");
        }
    }
}

fn copy(conn: &Connection) {
    for _ in 0..PASSES_MAX {
        match frames(conn, "PASSIVE").and_then(|_| frames(conn, "NOOP")) {
            Ok((log, copied)) if log - copied > PAGES_LEFT => {}
            Ok(_) => return,
            Err(error) => {
                // A full disk, as a rule. The log goes on growing until commits fail too, and then everybody is told.
                tracing::warn!(%error, "the log could not be copied into the database");
                return;
            }
        }
    }
}
