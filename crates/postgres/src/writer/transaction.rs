//! One attempt at one transaction: load, decide, write, head, COMMIT.

use std::time::{Duration, Instant};

use ordermill_core::id::ProductId;
use ordermill_ports::bus::Settlement;
use ordermill_ports::ledger::{Submission, SubmitError};
use ordermill_ports::queries::Position;
use tokio::time::timeout;

use super::decide::{Batch, Planned, outcome};
use super::doubt::{self, Fate};
use super::overlay::{NewEvent, Overlay};
use super::wants::Wants;
use super::{head, load, rows};
use crate::bus::{Entry, settle};
use crate::codec::partition;
use crate::connect::Tx;
use crate::error::StoreError;
use crate::notify::{self, Changes};
use crate::shared::Shared;
use ordermill_ports::group_commit::Answer;

/// How long the part before the COMMIT may take, and the COMMIT itself: a server that takes longer is thought to hang.
fn time_max(shared: &Shared) -> Duration {
    shared.pool.connector().answer_max().mul_f64(1.5)
}

/// Why an attempt came to nothing.
pub(super) enum Failure {
    /// Nothing of it is kept.
    NotCommitted(StoreError),
    /// It may have been committed.
    Unknown(StoreError),
    /// Decisions asked for stock that was not loaded; nothing of it is kept.
    Lacks(Vec<ProductId>),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::NotCommitted(error)
    }
}

/// What is ready for its COMMIT.
struct Ready {
    overlay: Overlay,
    planned: Vec<Planned>,
    settled: settle::Staged,
    changes: Changes,
    /// What the transaction can be known by; `None` where it has written nothing.
    mark: Option<doubt::Mark>,
}

/// Decides and commits. `stock` is what an earlier attempt lacked.
pub(super) async fn attempt(
    shared: &Shared,
    inputs: &[Submission],
    stock: &[ProductId],
) -> Result<Vec<Answer>, Failure> {
    let tx = Tx::on(shared.pool.writer().await?);
    let ready = match timeout(time_max(shared), prepare(shared, &tx, inputs, stock)).await {
        Ok(Ok(ready)) => ready,
        Ok(Err(failure)) => {
            // The connection is sound when the server itself said no, or nothing went wrong with it.
            let is_sound = match &failure {
                Failure::NotCommitted(error) => error.is_from_server() || matches!(error, StoreError::Raced),
                Failure::Lacks(_) => true,
                Failure::Unknown(_) => false,
            };
            if is_sound && let Err(error) = tx.roll_back().await {
                tracing::debug!(%error, "a transaction could not be rolled back; its connection is closed");
            }
            return Err(failure);
        }
        Err(_) => return Err(StoreError::TimedOut.into()),
    };
    let Ready { overlay, planned, settled, mut changes, mark } = ready;
    let Some(mark) = mark else {
        // Nothing was written, so there is nothing to commit, and nothing that could be lost.
        tx.roll_back().await?;
        return Ok(planned.into_iter().map(|planned| outcome(&overlay, planned)).collect());
    };
    let began = Instant::now();
    let head = commit(shared, tx, &overlay, &changes, &mark).await?;
    if head.is_none() && !changes.events.is_empty() {
        // Its position is not known here: the feed is read again.
        notify::look_again(shared);
        changes.events.clear();
    }
    shared.meters.commit_seconds.record(began.elapsed());
    shared.meters.commit_inputs.record(inputs.len() as f64);
    shared.meters.committed(&overlay);
    if let Some(head) = head {
        shared.meters.undecided.set(head.undecided as f64);
        changes.head = head.position;
        shared.admission.counted(head.undecided, head.position.0);
    }
    let changed = overlay.orders.values().filter(|staged| staged.order.changed);
    shared.orders.put(changed.filter_map(|staged| staged.order.now.clone()));
    settle::committed(shared, settled);
    notify::committed(shared, &changes);
    Ok(planned.into_iter().map(|planned| outcome(&overlay, planned)).collect())
}

/// Writes the head of the feed and commits. Gives the new head; `None` where there was nothing to append, or where only looking
/// afterwards has shown that it was committed.
async fn commit(
    shared: &Shared,
    tx: Tx,
    overlay: &Overlay,
    changes: &Changes,
    mark: &doubt::Mark,
) -> Result<Option<head::Head>, Failure> {
    let channel = notify::channel(&shared.schema);
    let payload = notify::payload(shared);
    let finish = async {
        let (head, (), (), ()) = tokio::try_join!(
            biased;
            head::append(&tx, overlay),
            head::insert_parcels(&tx, overlay),
            tell(&tx, changes, &channel, &payload),
            tx.commit(),
        )?;
        Ok(head)
    };
    let finished: Result<_, StoreError> = timeout(time_max(shared), finish).await.unwrap_or(Err(StoreError::TimedOut));
    match finished {
        Ok(head) => {
            tx.over();
            Ok(head)
        }
        Err(error) => {
            // Its statements were all sent: nobody gets this connection again.
            drop(tx);
            if error.is_from_server() {
                return Err(Failure::NotCommitted(error));
            }
            tracing::warn!(%error, "the connection was lost during a commit");
            shared.orders.clear();
            match doubt::find_out(shared, overlay, mark).await {
                Fate::Committed => Ok(None),
                Fate::NotCommitted => Err(Failure::NotCommitted(error)),
                Fate::Unknown => Err(Failure::Unknown(error)),
            }
        }
    }
}

/// Tells the other processes of new events, and of nothing else: what is settled concerns this process alone.
async fn tell(tx: &Tx, changes: &Changes, channel: &str, payload: &str) -> Result<(), StoreError> {
    if changes.events.is_empty() { Ok(()) } else { head::tell(tx, channel, payload).await }
}

/// Everything before the head of the feed.
async fn prepare(shared: &Shared, tx: &Tx, inputs: &[Submission], stock: &[ProductId]) -> Result<Ready, Failure> {
    know_statements(tx).await?;
    let wants = Wants::of(inputs.iter().map(|submission| &submission.input), stock);
    let overlay = load::load(shared, tx, inputs, wants).await?;
    let now = shared.now();
    let mut batch = Batch { policy: &shared.policy, overlay, clock: now, now };
    let mut planned = Vec::with_capacity(inputs.len());
    let mut settlements: Vec<Settlement> = Vec::new();
    for submission in inputs {
        let plan = batch.decide(&submission.input);
        // A delivery is dealt with when its input is decided or refused; not when it could not be looked at.
        if !matches!(plan, Planned::Failed(SubmitError::NotCommitted { .. })) {
            settlements.extend(submission.settles.clone());
        }
        planned.push(plan);
    }
    let Batch { mut overlay, .. } = batch;
    let lacks = overlay.take_missed();
    if !lacks.is_empty() {
        return Err(Failure::Lacks(lacks));
    }
    let entry = |event: &NewEvent| Entry {
        about: event.subject.clone().into(),
        version: event.version,
        kind: Some(event.kind),
        at: event.at,
        partition: partition(&event.subject),
    };
    let events = overlay.events.iter().map(entry).collect();
    let changes = Changes { head: Position(0), events };
    if overlay.events.is_empty() && overlay.new_keys.is_empty() && settlements.is_empty() {
        return Ok(Ready { overlay, planned, settled: settle::Staged::default(), changes, mark: None });
    }
    let (mark, (), settled) = tokio::try_join!(
        biased;
        doubt::mark(tx),
        rows::write(tx, &overlay, &shared.policy, now),
        settle::stage(shared, tx, &settlements, now),
    )?;
    Ok(Ready { overlay, planned, settled, changes, mark: Some(mark) })
}

/// Makes sure that the connection knows the statements whose order counts: then they are sent as they are polled, one behind the other.
async fn know_statements(tx: &Tx) -> Result<(), StoreError> {
    let statements = load::STATEMENTS.iter().chain(&rows::STATEMENTS).chain(&head::STATEMENTS).copied();
    let known = statements.chain([crate::read::events_sql()]).map(|sql| tx.prepare_cached(sql));
    futures_util::future::try_join_all(known).await?;
    Ok(())
}
