//! A connection was lost during its COMMIT: finds out whether there was one.

use std::time::Duration;

use ordermill_core::Timestamp;
use tokio::time::Instant;

use super::overlay::Overlay;
use crate::codec::{get, kind_code, subject_bytes, version_int};
use crate::error::StoreError;
use crate::read::rows;
use crate::shared::Shared;

/// How long it is asked for. A server that went down comes back, or its standby takes over, within seconds.
const ASK_MAX: Duration = Duration::from_secs(15);

/// How long between two questions.
const ASK_PAUSE: Duration = Duration::from_millis(200);

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is there.
    Committed,
    /// It is not there, and will not be.
    NotCommitted,
    /// Nobody can tell.
    Unknown,
}

/// Asks until there is an answer or the time is over. `xid` is the transaction's own id.
pub(crate) async fn find_out(shared: &Shared, overlay: &Overlay, now: Timestamp, xid: &str) -> Fate {
    let deadline = Instant::now() + ASK_MAX;
    loop {
        match tokio::time::timeout_at(deadline, ask(shared, overlay, now, xid)).await {
            Ok(Ok(Some(fate))) => return fate,
            Ok(Ok(None)) => {}
            Ok(Err(error)) if error.is_from_server() => return Fate::Unknown,
            Ok(Err(error)) => tracing::debug!(%error, "it cannot be asked yet whether a transaction was committed"),
            Err(_) => return Fate::Unknown,
        }
        if Instant::now() + ASK_PAUSE >= deadline {
            return Fate::Unknown;
        }
        tokio::time::sleep(ASK_PAUSE).await;
    }
}

/// `None` while the transaction is still under way.
async fn ask(shared: &Shared, overlay: &Overlay, now: Timestamp, xid: &str) -> Result<Option<Fate>, StoreError> {
    let client = shared.pool.client().await?;
    // The event is the proof, also on a server that has taken over; the transaction's id means something on its own server alone.
    let first = overlay.events.first();
    if let Some(event) = first {
        let sql =
            "SELECT FROM events WHERE subject_kind = $1 AND subject = $2 AND version = $3 AND at = $4 AND data = $5";
        let (kind, subject) = (kind_code(event.subject.kind()), subject_bytes(&event.subject));
        let found = rows(&client, sql, &[&kind, &&*subject, &version_int(event.version), &now, &event.data]).await?;
        if !found.is_empty() {
            return Ok(Some(Fate::Committed));
        }
    }
    let found = rows(&client, "SELECT pg_xact_status($1::text::xid8)", &[&xid]).await?;
    let status: Option<&str> = found.first().map(|row| get(row, 0)).transpose()?.flatten();
    Ok(match (status, first) {
        (Some("in progress"), _) => None,
        (Some("aborted"), _) => Some(Fate::NotCommitted),
        (Some("committed"), None) => Some(Fate::Committed),
        // Either it was committed between the two questions, or this is the id of another server's transaction.
        (Some("committed"), Some(_)) => None,
        _ => Some(Fate::Unknown),
    })
}
