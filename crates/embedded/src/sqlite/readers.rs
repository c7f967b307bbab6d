//! Connections that only read, off the async threads.

use std::path::Path;
use std::sync::Arc;

use ordermill_ports::queries::QueryError;
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::connection;
use super::error::StoreError;

/// A few read-only connections; whoever finds none free waits.
#[derive(Debug)]
pub(super) struct Readers {
    free: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

/// Brings a connection back, whatever becomes of the read.
struct Loan {
    conn: Option<Connection>,
    free: Arc<Mutex<Vec<Connection>>>,
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.free.lock().extend(self.conn.take());
    }
}

impl Readers {
    /// Opens `count` connections, at least one.
    pub(super) fn open(path: &Path, count: usize) -> Result<Self, rusqlite::Error> {
        let connections = (0..count.max(1)).map(|_| connection::reader(path)).collect::<Result<Vec<_>, _>>()?;
        let permits = Arc::new(Semaphore::new(connections.len()));
        Ok(Self { free: Arc::new(Mutex::new(connections)), permits })
    }

    /// Runs a read on a thread that may block.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, QueryError> {
        let gone = |what: &str| QueryError::Backend(what.to_owned());
        // Held by the thread itself: a caller that goes away does not let another one in too early.
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| gone("the readers are closed"))?;
        let free = Arc::clone(&self.free);
        let work = move || {
            let _permit = permit;
            let conn = free.lock().pop();
            let loan = Loan { conn, free };
            match &loan.conn {
                Some(conn) => read(conn).map_err(QueryError::from),
                None => Err(QueryError::Backend("no connection is left".to_owned())),
            }
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| gone("the read was broken off"))?
    }
}
