//! The way of an input to a committer and of its answer back.

use std::time::Duration;

use async_trait::async_trait;
use ordermill_core::input::Body;
use ordermill_core::limits::SUBMIT_INPUTS_MAX;
use ordermill_ports::Ledger;
use ordermill_ports::ledger::{Source, Submission, SubmitError};
use tokio::time::{Instant, timeout};

use crate::PgLedger;
use crate::codec::{get, natural};
use crate::error::StoreError;
use crate::lanes::{Answer, Call, Declined};
use crate::read::rows;
use crate::shared::Shared;

/// How long a request waits for room before it is refused.
const ROOM_WAIT: Duration = Duration::from_secs(1);

/// When it is worth trying again after a refusal for load.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long the server may take to say that it is there.
const READY_MAX: Duration = Duration::from_secs(3);

const fn overloaded() -> SubmitError {
    SubmitError::Overloaded { retry_after: RETRY_AFTER }
}

fn refuse(count: usize, error: &SubmitError) -> Vec<Answer> {
    (0..count).map(|_| Err(error.clone())).collect()
}

const fn is_place(submission: &Submission) -> bool {
    matches!(submission.input.body, Body::Place(_))
}

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
        let places = submissions.iter().filter(|submission| is_place(submission)).count();
        if source == Source::Results {
            // Never refused, never waiting behind intake; the orders among them are counted all the same.
            self.shared.admission.force(places);
            return self.enqueue(source, submissions, None, || ()).await;
        }
        if let Some(reason) = self.shared.health.problem() {
            return refuse(submissions.len(), &SubmitError::NotCommitted { reason: (*reason).to_owned() });
        }
        let deadline = Instant::now() + ROOM_WAIT;
        let look = || async {
            if let Err(error) = count_undecided(&self.shared).await {
                tracing::debug!(%error, "undecided orders could not be counted");
            }
        };
        let admitted = self.shared.admission.admit(source, places, deadline, look).await;
        let count = admitted.count();
        if self.shared.lanes.is_closing() {
            return refuse(submissions.len(), &SubmitError::Closing);
        }
        if count == places {
            return self.enqueue(source, submissions, Some(deadline), || admitted.hand_over()).await;
        }
        // The first orders of the call are let in, the others are not; what is no order goes on.
        let mut seen = 0;
        let fits: Vec<bool> = submissions
            .iter()
            .map(|submission| {
                seen += usize::from(is_place(submission));
                !is_place(submission) || seen <= count
            })
            .collect();
        let mut taken = fits.iter().copied();
        let rest: Vec<Submission> = submissions.into_iter().filter(|_| taken.next().unwrap_or(false)).collect();
        let mut answers = if rest.is_empty() {
            Vec::new()
        } else {
            self.enqueue(source, rest, Some(deadline), || admitted.hand_over()).await
        }
        .into_iter();
        let answer = |fits: bool| if fits { answers.next() } else { None };
        fits.into_iter().map(answer).map(|answer| answer.unwrap_or_else(|| Err(overloaded()))).collect()
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

impl PgLedger {
    /// Hands a call to a committer and waits for its answers. With a deadline it is refused when its lane has no room until then.
    async fn enqueue(
        &self,
        source: Source,
        submissions: Vec<Submission>,
        deadline: Option<Instant>,
        handed_over: impl FnOnce() + Send,
    ) -> Vec<Answer> {
        let count = submissions.len();
        let places = submissions.iter().filter(|submission| is_place(submission)).count();
        let (mut call, answers) = Call::new(submissions);
        loop {
            let mut room = std::pin::pin!(self.shared.lanes.room(source).notified());
            // Enabled before the attempt, so that no room in between is missed.
            room.as_mut().enable();
            call = match self.shared.lanes.push(source, call) {
                Ok(()) => break,
                Err(Declined::Closing) => {
                    if source == Source::Results {
                        self.shared.admission.ended(places);
                    }
                    return refuse(count, &SubmitError::Closing);
                }
                Err(Declined::Full(call)) => call,
            };
            match deadline {
                None => room.await,
                Some(deadline) => {
                    if tokio::time::timeout_at(deadline, room).await.is_err() {
                        return refuse(count, &overloaded());
                    }
                }
            }
        }
        handed_over();
        answers.await.unwrap_or_else(|_| {
            let reason = "the ledger's committer has ended".to_owned();
            refuse(count, &SubmitError::Unknown { reason })
        })
    }
}

/// Asks for the count of undecided orders of all processes, and tells admission.
pub(crate) async fn count_undecided(shared: &Shared) -> Result<(), StoreError> {
    let client = shared.pool.client().await?;
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
        let write = async {
            let client = shared.pool.client().await?;
            crate::read::execute(&client, "UPDATE feed_head SET position = position", &[]).await
        };
        match timeout(Duration::from_secs(10), write).await {
            Ok(Ok(_)) => shared.health.succeeded(),
            Ok(Err(error)) => shared.health.failed(&error.to_string()),
            Err(_) => shared.health.failed("the server does not answer in time"),
        }
    }
}
