//! The way of an input to the writer and of its answer back.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use ordermill_ports::Ledger;
use ordermill_ports::group_commit::{Answer, ROOM_WAIT, enqueue, enter, orders, refuse};
use ordermill_ports::ledger::{Source, Submission, SubmitError};
use tokio::time::Instant;

use super::SqliteLedger;

#[async_trait]
impl Ledger for SqliteLedger {
    async fn submit(&self, source: Source, submissions: Vec<Submission>) -> Vec<Answer> {
        if submissions.is_empty() {
            return Vec::new();
        }
        let places = orders(&submissions);
        if source == Source::Results {
            // Never refused, never waiting behind intake; the orders among them are counted all the same.
            self.shared.admission.force(places);
            return enqueue(&self.shared.lanes, source, submissions, None, || ()).await;
        }
        if let Some(reason) = self.shared.health.refusal() {
            return refuse(submissions.len(), &SubmitError::NotCommitted { reason: (*reason).to_owned() });
        }
        let deadline = Instant::now() + ROOM_WAIT;
        let admitted = self.shared.admission.admit(places, deadline).await;
        if self.shared.lanes.is_closing() {
            return refuse(submissions.len(), &SubmitError::Closing);
        }
        let room = admitted.count();
        enter(&self.shared.lanes, source, submissions, room, deadline, || admitted.hand_over()).await
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

    /// What everybody shares, for tests.
    #[cfg(test)]
    pub(super) fn shared(&self) -> &super::Shared {
        &self.shared
    }
}
