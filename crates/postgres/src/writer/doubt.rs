//! A connection was lost during its COMMIT: finds out whether there was one.
//!
//! The transaction's first event is the proof. That it is not there says something only when the transaction is over: so that is asked
//! first, and one that waits in vain for the lost connection's next word is ended.

use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::error::SqlState;

use super::overlay::Overlay;
use crate::codec::{get, kind_code, subject_bytes, version_int};
use crate::connect::{Client, Tx};
use crate::error::StoreError;
use crate::read::rows;
use crate::shared::Shared;

/// How long it is asked for. A server that went down comes back, or its standby takes over, within seconds.
const ASK_MAX: Duration = Duration::from_secs(15);

/// How long between two questions.
const ASK_PAUSE: Duration = Duration::from_millis(200);

/// What a transaction can be known by.
#[derive(Debug)]
pub(crate) struct Mark {
    /// Its id, which means something on its own server alone; that server may give it again after a crash that lost the transaction.
    xid: String,
    /// The process id of the server's end of its connection.
    backend: i32,
}

/// The mark of a transaction.
pub(super) async fn mark(tx: &Tx) -> Result<Mark, StoreError> {
    let found = rows(tx, "SELECT pg_current_xact_id()::text, pg_backend_pid()", &[]).await?;
    let row = found.first().ok_or(StoreError::Raced)?;
    Ok(Mark { xid: get(row, 0)?, backend: get(row, 1)? })
}

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is there.
    Committed,
    /// It is not there, and will not be; or it made no events, so that the same again changes nothing.
    NotCommitted,
    /// Nobody can tell.
    Unknown,
}

/// Asks until there is an answer or the time is over.
pub(crate) async fn find_out(shared: &Shared, overlay: &Overlay, mark: &Mark) -> Fate {
    let deadline = Instant::now() + ASK_MAX;
    loop {
        match tokio::time::timeout_at(deadline, ask(shared, overlay, mark)).await {
            Ok(Ok(Some(fate))) => return fate,
            Ok(Ok(None)) => {}
            Ok(Err(error)) => tracing::debug!(%error, "it cannot be asked yet whether a transaction was committed"),
            Err(_) => return Fate::Unknown,
        }
        if Instant::now() + ASK_PAUSE >= deadline {
            return Fate::Unknown;
        }
        tokio::time::sleep(ASK_PAUSE).await;
    }
}

/// `None` while the transaction is still under way, or the server is not one that would know.
async fn ask(shared: &Shared, overlay: &Overlay, mark: &Mark) -> Result<Option<Fate>, StoreError> {
    let client = shared.pool.writer().await?;
    if !is_over(&client, mark).await? {
        return Ok(None);
    }
    let Some(event) = overlay.events.first() else { return Ok(Some(Fate::NotCommitted)) };
    let sql = "SELECT FROM events WHERE subject_kind = $1 AND subject = $2 AND version = $3 AND at = $4 AND data = $5";
    let (kind, subject) = (kind_code(event.subject.kind()), subject_bytes(&event.subject));
    let found = rows(&client, sql, &[&kind, &&*subject, &version_int(event.version), &event.at, &event.data]).await?;
    Ok(Some(if found.is_empty() { Fate::NotCommitted } else { Fate::Committed }))
}

/// Whether the transaction is neither under way nor ever will be again on this server, which is one that decides.
async fn is_over(client: &Client, mark: &Mark) -> Result<bool, StoreError> {
    let primary = rows(client, "SELECT NOT pg_is_in_recovery()", &[]).await?;
    if !primary.first().map_or(Ok(false), |row| get(row, 0))? {
        return Ok(false);
    }
    let status = match rows(client, "SELECT pg_xact_status($1::text::xid8)", &[&mark.xid]).await {
        Ok(status) => status,
        // The server has not come to this id: it lost the transaction, or never saw it.
        Err(StoreError::Postgres(error)) if error.code() == Some(&SqlState::INVALID_PARAMETER_VALUE) => {
            return Ok(true);
        }
        Err(error) => return Err(error),
    };
    let status: Option<&str> = status.first().map(|row| get(row, 0)).transpose()?.flatten();
    if status != Some("in progress") {
        return Ok(true);
    }
    // It waits for its COMMIT, which did not arrive and never will: it need not hold its locks any longer. One that is at work is left to it.
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE pid = $1 AND backend_xid = $2::text::xid8::xid AND state = 'idle in transaction'";
    rows(client, sql, &[&mark.backend, &mark.xid]).await?;
    Ok(false)
}
