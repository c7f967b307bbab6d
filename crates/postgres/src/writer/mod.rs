//! The committers: each takes what has come in since its last commit, decides it, and writes it in one transaction.
//!
//! What fails is rolled back by the server and leaves no trace. What meets another transaction is decided again from the beginning.

pub(crate) mod decide;
pub(crate) mod doubt;
pub(crate) mod head;
mod load;
pub(crate) mod overlay;
mod rows;
mod transaction;
mod wants;

use std::sync::Arc;
use std::time::Duration;

use ordermill_core::id::ProductId;
use ordermill_ports::group_commit::{Answer, Caller, orders, refuse};
use ordermill_ports::ledger::{Submission, SubmitError};

use crate::error::Meaning;
use crate::lanes::Load;
use crate::shared::Shared;
use transaction::Failure;

/// How often inputs are decided again because other transactions came in between.
const TRIES_MAX: u32 = 20;

/// How often inputs are decided again because a connection was lost before its commit. A server that goes down is not there then.
const CONNECTIONS_TRIED: u32 = 3;

/// The longest pause between two tries while the server is not there.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Takes calls until the lanes are closed and empty.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut failures: u32 = 0;
    loop {
        let load = shared.lanes.take().await;
        let closing = load.closing;
        shared.meters.waiting(shared.lanes.waiting());
        if !load.inputs.is_empty() {
            if shared.health.problem().is_some() {
                failures = (failures + 1).min(16);
                tokio::time::sleep(pause(failures)).await;
            } else {
                failures = 0;
            }
            let places = orders(&load.inputs);
            // A task of its own: a defect ends it, and not the committer. Its callers learn that they cannot know.
            if tokio::spawn(process(Arc::clone(&shared), load)).await.is_err() {
                tracing::error!("a committer met a defect of its own");
            }
            shared.admission.ended(places);
            if let Some(reason) = shared.health.problem() {
                turn_away(&shared, &reason);
            }
        }
        if closing {
            return;
        }
    }
}

/// Refuses the intake that waits, as what comes now is refused: nobody waits for one commit after the other to fail.
fn turn_away(shared: &Shared, reason: &str) {
    let (inputs, callers) = shared.lanes.take_intake();
    shared.admission.ended(orders(&inputs));
    let error = SubmitError::NotCommitted { reason: reason.to_owned() };
    for caller in callers {
        let count = caller.count;
        caller.answer(refuse(count, &error));
    }
}

/// Grows with each failure, and is never the same in two processes.
fn pause(failures: u32) -> Duration {
    let longest = Duration::from_millis(25).saturating_mul(1 << failures.min(10)).min(PAUSE_MAX);
    longest.mul_f64(0.5 + 0.5 * chance())
}

/// A number in `0.0..1.0`.
fn chance() -> f64 {
    f64::from(uuid::Uuid::new_v4().as_u128() as u32) / (f64::from(u32::MAX) + 1.0)
}

/// Commits a load and answers. Where something in it fails by itself, it is committed in halves, and those in halves, down to the call that
/// fails: one bad call spares the others, and costs them few commits.
async fn process(shared: Arc<Shared>, load: Load) {
    let Load { inputs, callers, .. } = load;
    let mut parts = vec![(inputs, callers)];
    while let Some((mut inputs, mut callers)) = parts.pop() {
        match commit(&shared, &inputs).await {
            Ok(answers) => reply(callers, answers),
            Err((Meaning::Other, error)) if callers.len() > 1 => {
                tracing::warn!(%error, calls = callers.len(), "a transaction failed; it is committed in halves");
                let later = callers.split_off(callers.len() / 2);
                let later_inputs = inputs.split_off(callers.iter().map(|caller| caller.count).sum());
                // The first half is taken out first: what came in first is decided first.
                parts.push((later_inputs, later));
                parts.push((inputs, callers));
            }
            Err((_, error)) => callers.into_iter().for_each(|caller| {
                let count = caller.count;
                caller.answer(refuse(count, &error));
            }),
        }
    }
}

fn reply(callers: Vec<Caller>, answers: Vec<Answer>) {
    let mut answers = answers.into_iter();
    for caller in callers {
        let count = caller.count;
        caller.answer(answers.by_ref().take(count).collect());
    }
}

/// One transaction, tried again while others come in between.
async fn commit(shared: &Shared, inputs: &[Submission]) -> Result<Vec<Answer>, (Meaning, SubmitError)> {
    let mut stock: Vec<ProductId> = Vec::new();
    let (mut tries, mut connections) = (0, 0);
    loop {
        tries += 1;
        let (meaning, error) = match transaction::attempt(shared, inputs, &stock).await {
            Ok(answers) => {
                shared.health.succeeded();
                return Ok(answers);
            }
            Err(Failure::Lacks(products)) if tries < TRIES_MAX => {
                stock.extend(products);
                continue;
            }
            Err(Failure::Lacks(_)) => {
                let reason = "decisions ask for ever more stock".to_owned();
                (Meaning::Other, SubmitError::NotCommitted { reason })
            }
            Err(Failure::NotCommitted(error)) => {
                let meaning = error.meaning();
                if meaning == Meaning::Conflict && tries < TRIES_MAX {
                    tracing::debug!(%error, tries, "another transaction came in between");
                    tokio::time::sleep(Duration::from_millis(10).mul_f64(chance()) * tries).await;
                    continue;
                }
                if error.is_lost_connection() && connections < CONNECTIONS_TRIED {
                    connections += 1;
                    tracing::debug!(%error, "a connection was lost; another is tried");
                    continue;
                }
                let reason = error.to_string();
                let answer = match meaning {
                    Meaning::Busy => SubmitError::Overloaded { retry_after: Duration::from_secs(1) },
                    _ => SubmitError::NotCommitted { reason },
                };
                (meaning, answer)
            }
            Err(Failure::Unknown(error)) => (Meaning::Unavailable, SubmitError::Unknown { reason: error.to_string() }),
        };
        if meaning == Meaning::Unavailable {
            shared.orders.clear();
            shared.health.failed(&error.to_string());
        }
        shared.meters.commit_failures.increment(1);
        return Err((meaning, error));
    }
}
