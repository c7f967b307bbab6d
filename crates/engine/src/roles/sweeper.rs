//! The sweeper: lets the ledger look at orders whose deadline is over.

use std::time::Duration;

use ordermill_core::input::{Body, Input};
use ordermill_ports::Submission;
use ordermill_ports::damper::Damper;

use crate::worker::Worker;

/// Orders looked at in one commit.
const BATCH: usize = 256;

/// At most so often it is told that deadlines cannot be read.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

pub(super) async fn run(worker: Worker) {
    let complaints = Damper::new(COMPLAINT_INTERVAL);
    loop {
        while sweep(&worker, &complaints).await == BATCH && !worker.is_stopping() {}
        let stopped = worker.stopped();
        if tokio::time::timeout(worker.settings.sweep_interval, stopped).await.is_ok() {
            return;
        }
    }
}

/// Handles one batch; returns how many deadlines were over.
async fn sweep(worker: &Worker, complaints: &Damper) -> usize {
    let overdue = match worker.parts.queries.overdue(worker.now(), BATCH).await {
        Ok(overdue) => overdue,
        Err(error) => {
            if complaints.pass().is_some() {
                tracing::error!(%error, "deadlines could not be read");
            }
            return 0;
        }
    };
    let check = |order_id: &_| Submission::new(Input::new(Body::CheckDeadline { order_id: *order_id }));
    if overdue.is_empty() {
        return 0;
    }
    let results = worker.commit(overdue.iter().map(check).collect()).await;
    // A deadline that could not be dealt with stays over: the next tick comes back to it, instead of a loop without a pause.
    results.iter().filter(|result| matches!(result, Ok(outcome) if outcome.changed)).count()
}
