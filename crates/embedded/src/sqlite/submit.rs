//! The way of an input to the writer and of its answer back.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use ordermill_core::input::Body;
use ordermill_ports::Ledger;
use ordermill_ports::ledger::{Source, Submission, SubmitError};
use tokio::time::Instant;

use super::SqliteLedger;
use super::writer::lanes::{Answer, Call, Declined};

/// How long a request waits for room before it is refused.
const ROOM_WAIT: Duration = Duration::from_secs(1);

/// When it is worth trying again after a refusal for load.
const RETRY_AFTER: Duration = Duration::from_secs(1);

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
impl Ledger for SqliteLedger {
    async fn submit(&self, source: Source, submissions: Vec<Submission>) -> Vec<Answer> {
        if submissions.is_empty() {
            return Vec::new();
        }
        let places = submissions.iter().filter(|submission| is_place(submission)).count();
        if source == Source::Results {
            // Never refused, never waiting behind intake; the orders among them are counted all the same.
            self.shared.admission.force(places);
            return self.enqueue(source, submissions, None, || ()).await;
        }
        if let Some(reason) = self.shared.health.refusal() {
            return refuse(submissions.len(), &SubmitError::NotCommitted { reason: (*reason).to_owned() });
        }
        let deadline = Instant::now() + ROOM_WAIT;
        let admitted = self.shared.admission.admit(places, deadline).await;
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
        match self.shared.health.problem() {
            Some(reason) => Err(format!("the ledger cannot commit: {reason}")),
            None if self.shared.ended.load(Ordering::Acquire) => Err("the ledger is closed".to_owned()),
            None => Ok(()),
        }
    }

    async fn failed(&self) -> String {
        self.end().await;
        if !self.shared.died.load(Ordering::Acquire) {
            return std::future::pending().await;
        }
        let reason = self.shared.health.problem();
        reason.map_or_else(|| "its writer has ended with a defect".to_owned(), |reason| (*reason).to_owned())
    }

    async fn close(&self) {
        self.begin_end();
        self.end().await;
    }
}

impl SqliteLedger {
    /// Returns when the writer has ended.
    async fn end(&self) {
        let mut end = std::pin::pin!(self.shared.end.notified());
        // Enabled before the look, so that an end in between is not missed.
        end.as_mut().enable();
        if !self.shared.ended.load(Ordering::Acquire) {
            end.await;
        }
    }

    /// Hands a call to the writer and waits for its answers. With a deadline it is refused when its lane has no room until then.
    async fn enqueue(
        &self,
        source: Source,
        submissions: Vec<Submission>,
        deadline: Option<Instant>,
        handed_over: impl FnOnce() + Send,
    ) -> Vec<Answer> {
        let count = submissions.len();
        let (mut call, answers) = Call::new(submissions);
        loop {
            let mut room = std::pin::pin!(self.shared.lanes.room(source).notified());
            // Enabled before the attempt, so that no room in between is missed.
            room.as_mut().enable();
            call = match self.shared.lanes.push(source, call) {
                Ok(()) => break,
                Err(Declined::Closing) => return refuse(count, &SubmitError::Closing),
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
            let reason = "the ledger's writer has ended".to_owned();
            refuse(count, &SubmitError::Unknown { reason })
        })
    }

    /// What everybody shares, for tests.
    #[cfg(test)]
    pub(super) fn shared(&self) -> &super::Shared {
        &self.shared
    }
}
