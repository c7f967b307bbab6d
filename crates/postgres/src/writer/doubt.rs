//! A connection was lost during its COMMIT: finds out whether there was one.
//!
//! The server knows what became of the transaction's id, and is asked until it is over; one that waits in vain for the lost connection's next word
//! is ended. Where it says that the transaction was committed, or has forgotten an id as old as that, the transaction's events are the proof, all
//! of them: an id may have been given again, and another process may write an event like one of ours.

use std::time::Duration;

use ordermill_core::Timestamp;
use tokio::time::Instant;
use tokio_postgres::error::SqlState;

use super::overlay::Overlay;
use crate::codec::{get, kind_code, natural, subject_bytes, version_int};
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

/// What the server says of a transaction's id.
enum Word {
    /// It is still under way, or the server is not one that would know.
    UnderWay,
    /// It was rolled back, or never was.
    Lost,
    /// It was committed, if it is ours; so may one be that is long forgotten.
    MayBeThere,
}

/// `None` while nobody can tell.
async fn ask(shared: &Shared, overlay: &Overlay, mark: &Mark) -> Result<Option<Fate>, StoreError> {
    let client = shared.pool.writer().await?;
    let is_there = match word(&client, mark).await? {
        Word::UnderWay => return Ok(None),
        Word::Lost => false,
        Word::MayBeThere => has_events(&client, overlay).await?,
    };
    Ok(Some(if is_there { Fate::Committed } else { Fate::NotCommitted }))
}

/// Whether the server has every event of the transaction, of which there are some.
async fn has_events(client: &Client, overlay: &Overlay) -> Result<bool, StoreError> {
    let events = &overlay.events;
    let kinds: Vec<i16> = events.iter().map(|event| kind_code(event.subject.kind())).collect();
    let subjects: Vec<_> = events.iter().map(|event| subject_bytes(&event.subject)).collect();
    let subjects: Vec<&[u8]> = subjects.iter().map(|bytes| &**bytes).collect();
    let versions: Vec<i32> = events.iter().map(|event| version_int(event.version)).collect();
    let times: Vec<Timestamp> = events.iter().map(|event| event.at).collect();
    let data: Vec<&str> = events.iter().map(|event| &*event.data).collect();
    let sql = "SELECT count(*) FROM unnest($1::smallint[], $2::bytea[], $3::int[], $4::timestamptz[], $5::text[])
                   AS n (subject_kind, subject, version, at, data)
               JOIN events AS e USING (subject_kind, subject, version) WHERE e.at = n.at AND e.data = n.data";
    let found = rows(client, sql, &[&kinds, &subjects, &versions, &times, &data]).await?;
    let count: i64 = found.first().map_or(Ok(0), |row| get(row, 0))?;
    Ok(count > 0 && natural(count) == events.len() as u64)
}

/// What a server that decides says of it.
async fn word(client: &Client, mark: &Mark) -> Result<Word, StoreError> {
    let primary = rows(client, "SELECT NOT pg_is_in_recovery()", &[]).await?;
    if !primary.first().map_or(Ok(false), |row| get(row, 0))? {
        return Ok(Word::UnderWay);
    }
    let status = match rows(client, "SELECT pg_xact_status($1::text::xid8)", &[&mark.xid]).await {
        Ok(status) => status,
        // The server has not come to this id: it lost the transaction, or never saw it.
        Err(StoreError::Postgres(error)) if error.code() == Some(&SqlState::INVALID_PARAMETER_VALUE) => {
            return Ok(Word::Lost);
        }
        Err(error) => return Err(error),
    };
    match status.first().map(|row| get::<Option<&str>>(row, 0)).transpose()?.flatten() {
        Some("in progress") => {}
        Some("committed") | None => return Ok(Word::MayBeThere),
        Some(_) => return Ok(Word::Lost),
    }
    // It waits for its COMMIT, which did not arrive and never will: it need not hold its locks any longer. One that is at work is left to it.
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE pid = $1 AND backend_xid = $2::text::xid8::xid AND state = 'idle in transaction'";
    rows(client, sql, &[&mark.backend, &mark.xid]).await?;
    Ok(Word::UnderWay)
}
