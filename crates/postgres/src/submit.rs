//! The way of an input to a committer and of its answer back.

use std::time::Duration;

use async_trait::async_trait;
use ordermill_core::limits::SUBMIT_INPUTS_MAX;
use ordermill_ports::Ledger;
use ordermill_ports::group_commit::{Answer, ROOM_WAIT, enqueue, enter, orders, refuse};
use ordermill_ports::ledger::{Source, Submission, SubmitError};
use tokio::time::{Instant, timeout};

use crate::PgLedger;
use crate::codec::{get, natural};
use crate::error::StoreError;
use crate::read::rows;
use crate::shared::Shared;

/// How long the server may take to say that it is there.
const READY_MAX: Duration = Duration::from_secs(3);

#[async_trait]
impl Ledger for PgLedger {
    async fn submit(&self, source: Source, submissions: Vec<Submission>) -> Vec<Answer> {
        if submissions.is_empty() {
            return Vec::new();
        }
        if submissions.len() > SUBMIT_INPUTS_MAX {
            let reason = format!("one call takes at most {SUBMIT_INPUTS_MAX} submissions");
            return refuse(submissions.len(), &SubmitError::NotCommitted { reason });
        }
        let places = orders(&submissions);
        if source == Source::Results {
            // Never refused, never waiting behind intake; the orders among them are counted all the same.
            self.shared.admission.force(places);
            return enqueue(&self.shared.lanes, source, submissions, None, || ()).await;
        }
        if let Some(reason) = self.shared.health.problem() {
            self.shared.health.refused(submissions.len());
            return refuse(submissions.len(), &SubmitError::NotCommitted { reason: (*reason).to_owned() });
        }
        let deadline = Instant::now() + ROOM_WAIT;
        let look = || async {
            if let Err(error) = count_undecided(&self.shared).await {
                tracing::debug!(%error, "undecided orders could not be counted");
            }
        };
        let admitted = self.shared.admission.admit(source, places, deadline, look).await;
        if self.shared.lanes.is_closing() {
            return refuse(submissions.len(), &SubmitError::Closing);
        }
        let room = admitted.count();
        enter(&self.shared.lanes, source, submissions, room, deadline, || admitted.hand_over()).await
    }

    async fn ready(&self) -> Result<(), String> {
        if self.shared.lanes.is_closing() {
            return Err("the ledger is closing".to_owned());
        }
        if let Some(reason) = self.shared.health.problem() {
            return Err(format!("the ledger cannot commit: {reason}"));
        }
        match timeout(READY_MAX, takes_writes(&self.shared)).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => {
                Err("the ledger's server takes no writes: it is a standby, or was made read-only".to_owned())
            }
            Ok(Err(error)) => Err(format!("the ledger cannot be read: {error}")),
            Err(_) => Err("the ledger's server does not answer in time".to_owned()),
        }
    }

    async fn close(&self) {
        self.shared.lanes.close();
        self.shared.admission.close();
        self.ended().await;
    }
}

/// Asks for the count of undecided orders of all processes, and tells admission.
pub(crate) async fn count_undecided(shared: &Shared) -> Result<(), StoreError> {
    let client = shared.pool.writer().await?;
    let found = rows(&client, "SELECT placed + authorized + reserved, position FROM feed_head", &[]).await?;
    if let Some(row) = found.first() {
        shared.admission.counted(natural(get(row, 0)?), natural(get(row, 1)?));
    }
    Ok(())
}

/// Whether the server is one that can be written to.
async fn takes_writes(shared: &Shared) -> Result<bool, StoreError> {
    let client = shared.pool.client().await?;
    let sql = "SELECT NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off'";
    let found = rows(&client, sql, &[]).await?;
    found.first().map_or(Ok(false), |row| get(row, 0))
}

/// Takes room on the disk, a megabyte, which is given back at the end of the transaction: small writes may go through where there is no
/// room for larger ones.
const TAKE_ROOM: &str = "CREATE TEMPORARY TABLE ordermill_room ON COMMIT DROP AS
        SELECT repeat(number::text, 1000) AS filler FROM generate_series(1000, 1250) AS n (number)";

/// Takes the lock that every commit takes.
const TAKE_HEAD: &str = "UPDATE feed_head SET position = position";

/// Commits something that changes nothing, in one transaction.
async fn try_write(shared: &Shared) -> Result<(), StoreError> {
    let client = shared.pool.writer().await?;
    let send = async |sql: &str| client.answered(async { Ok(client.batch_execute(sql).await?) }).await;
    match send(&format!("{TAKE_ROOM}; {TAKE_HEAD}")).await {
        // Not everybody may make temporary tables. The first commit that needs room shows then whether there is some.
        Err(error) if error.is_forbidden() => send(TAKE_HEAD).await,
        tried => tried,
    }
}

/// Tries now and then whether commits go through again, while they do not: nothing else would tell, as intake is refused.
pub(crate) async fn probe(shared: std::sync::Arc<Shared>) {
    let mut closing = std::pin::pin!(shared.closing());
    loop {
        tokio::select! {
            () = &mut closing => return,
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
        if shared.health.problem().is_none() {
            continue;
        }
        match try_write(&shared).await {
            Ok(()) => shared.health.succeeded(),
            Err(error) => shared.health.failed(&error.to_string()),
        }
    }
}
