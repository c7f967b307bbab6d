//! The snapshot's connection, on a thread of its own: whoever reads a snapshot blocks, also where that thread must not run a runtime.

use std::collections::VecDeque;
use std::sync::mpsc;

use ordermill_ports::audit::AuditError;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_postgres::{Client, Row};

use crate::connect::Connector;
use crate::error::{ConnectError, OpenError, StoreError};
use crate::migrate;
use crate::options::Options;

/// Rows fetched at a time.
const FETCH_ROWS: usize = 1_000;

/// A question, and to whom it is answered.
struct Request {
    sql: String,
    reply: mpsc::SyncSender<Result<Vec<Row>, StoreError>>,
}

/// One transaction that sees one moment.
pub(crate) struct Link {
    requests: UnboundedSender<Request>,
    cursors: usize,
}

impl Link {
    /// Connects, and begins the transaction. A ledger that is being filled is refused unless it `may_be_filled`.
    pub(crate) fn open(options: &Options, may_be_filled: bool) -> Result<Self, OpenError> {
        let connector = Connector::new(options)?;
        let schema = options.schema.clone();
        let (requests, inbox) = unbounded_channel();
        let (started, start) = mpsc::sync_channel(1);
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(serve(&connector, (&schema, may_be_filled), inbox, &started)),
                // The opener waits for this word; it cannot have gone away.
                Err(error) => _ = started.send(Err(OpenError::Thread(error))),
            }
        };
        std::thread::Builder::new().name("ledger-snapshot".to_owned()).spawn(work).map_err(OpenError::Thread)?;
        start.recv().map_err(|_| OpenError::Store(StoreError::Closed))??;
        Ok(Self { requests, cursors: 0 })
    }

    /// Runs a statement.
    pub(crate) fn query(&self, sql: String) -> Result<Vec<Row>, AuditError> {
        let (reply, answer) = mpsc::sync_channel(1);
        let gone = || AuditError("the snapshot's connection has ended".to_owned());
        self.requests.send(Request { sql, reply }).map_err(|_| gone())?;
        Ok(answer.recv().map_err(|_| gone())??)
    }

    /// Begins to read the rows of a statement, however many there are.
    pub(crate) fn begin(&mut self, sql: &str) -> Result<Cursor, AuditError> {
        self.cursors += 1;
        let name = format!("rows_{}", self.cursors);
        self.query(format!("DECLARE {name} NO SCROLL CURSOR FOR {sql}"))?;
        Ok(Cursor { name, rows: VecDeque::new(), is_over: false })
    }
}

/// The rows of one statement, fetched as they are needed.
pub(crate) struct Cursor {
    name: String,
    rows: VecDeque<Row>,
    is_over: bool,
}

impl Cursor {
    /// The next row.
    pub(crate) fn next(&mut self, link: &Link) -> Result<Option<Row>, AuditError> {
        if self.rows.is_empty() && !self.is_over {
            self.rows = link.query(format!("FETCH {FETCH_ROWS} FROM {}", self.name))?.into();
            self.is_over = self.rows.len() < FETCH_ROWS;
        }
        Ok(self.rows.pop_front())
    }

    /// Reads no more of it.
    pub(crate) fn end(self, link: &Link) -> Result<(), AuditError> {
        link.query(format!("CLOSE {}", self.name)).map(drop)
    }
}

/// Answers requests until nobody can ask any more.
async fn serve(
    connector: &Connector,
    schema: (&str, bool),
    mut inbox: UnboundedReceiver<Request>,
    started: &mpsc::SyncSender<Result<(), OpenError>>,
) {
    let client = match begin(connector, schema).await {
        Ok(client) => client,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    let _ = started.send(Ok(()));
    while let Some(Request { sql, reply }) = inbox.recv().await {
        // Whoever asked may have gone away.
        let _ = reply.send(client.query(&sql, &[]).await.map_err(StoreError::from));
    }
}

async fn begin(connector: &Connector, (schema, may_be_filled): (&str, bool)) -> Result<Client, OpenError> {
    let connect = |error: ConnectError| OpenError::Store(error.into());
    let (mut client, driver) = connector.connect().await.map_err(connect)?;
    tokio::spawn(async move {
        if let Err(error) = driver.await {
            tracing::debug!(%error, "the snapshot's connection has ended");
        }
    });
    connector.set_up(&client).await.map_err(connect)?;
    migrate::check(&mut client, schema, may_be_filled).await?;
    // A large ledger takes its time, and so does whoever reads it.
    client
        .batch_execute(
            "SET statement_timeout TO 0; SET idle_in_transaction_session_timeout TO 0; SET cursor_tuple_fraction TO 1.0;
             BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        )
        .await?;
    // The moment is that of the first statement.
    client.query_one("SELECT position FROM feed_head", &[]).await?;
    Ok(client)
}
