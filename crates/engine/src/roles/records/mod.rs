//! Records: writes what was handed over to objects.
//!
//! A record is queued by the commit that takes it, and its delivery is settled only by the commit that says where its object is, so
//! after the write. With **an object for each** (the default) its key follows from the record: one that is delivered again overwrites
//! itself. With **many records in one object** an object is written once and stays as it is, whoever else writes: a process that was
//! replaced while it wrote may come late, and what the other has committed must stay where it is said to be. A crash between the write
//! and the commit can leave a record in two objects: at least once.
//!
//! A store that fails is tried again by the rule of [`Step::Store`]; in the end the delivery is a dead letter with the reason. The
//! role takes what is there as soon as it is there, and while orders are on their way it keeps to its share of the time. When it is
//! stopped it writes what it has taken, and leaves the rest to the next start.

mod batch;
mod single;

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use ordermill_core::event::Subject;
use ordermill_core::id::RecordId;
use ordermill_core::input::{Body, Input};
use ordermill_core::process::Step;
use ordermill_core::record::{Record, Stored};
use ordermill_ports::objects::ObjectError;
use ordermill_ports::queries::QueryError;
use ordermill_ports::{Delivery, Outcome, Submission};

use crate::RecordsLayout;
use crate::worker::Worker;

/// Records read at once.
const READS: usize = 32;

pub(super) async fn run(worker: Worker) {
    match worker.settings.records_layout {
        RecordsLayout::Object => single::run(&worker).await,
        RecordsLayout::Batch(limits) => batch::run(&worker, limits).await,
    }
}

/// The next deliveries, once the interval since the last ones is over; `None` when the role is told to stop.
async fn next(worker: &Worker, max: usize) -> Option<Vec<Delivery>> {
    if !worker.settings.records_poll_interval.is_zero() {
        worker.pause(worker.settings.records_poll_interval).await;
    }
    worker.receive(max).await
}

/// One write, with the pause behind it that leaves others their share.
async fn in_share(worker: &Worker, deliveries: &[Delivery], write: impl Future<Output = ()>) {
    let began = Instant::now();
    worker.guard(Step::Store, deliveries, write).await;
    worker.keep_to_share(worker.settings.records_share_percent, began.elapsed()).await;
}

/// The records of these deliveries that have no object yet. What has nothing to be written is settled; what cannot be read now was
/// given back.
async fn load(worker: &Worker, deliveries: Vec<Delivery>) -> Vec<(Delivery, Arc<Record>)> {
    let mut found = Vec::with_capacity(deliveries.len());
    let mut settled = Vec::new();
    let mut lost = Vec::new();
    let mut rest = deliveries.into_iter();
    loop {
        let some: Vec<Delivery> = rest.by_ref().take(READS).collect();
        if some.is_empty() {
            break;
        }
        let reads = join_all(some.iter().map(|delivery| read(worker, delivery))).await;
        for (delivery, record) in some.into_iter().zip(reads) {
            match record {
                Ok(Some(record)) if record.stored.is_none() => found.push((delivery, record)),
                Ok(_) => settled.push(Submission::settle(delivery.ack())),
                Err(QueryError::Backend(error)) => {
                    tracing::error!(role = worker.role.as_str(), error, "a record could not be read");
                    lost.push(delivery);
                }
                Err(error @ QueryError::Unreadable(_)) => {
                    tracing::error!(role = worker.role.as_str(), subject = ?delivery.subject, %error, "a record cannot be read");
                    settled.push(worker.put_off(Step::Store, delivery, error.to_string()));
                }
            }
        }
    }
    worker.commit_all(settled).await;
    if !lost.is_empty() {
        worker.give_back(lost).await;
    }
    found
}

async fn read(worker: &Worker, delivery: &Delivery) -> Result<Option<Arc<Record>>, QueryError> {
    match delivery.subject {
        Subject::Record(id) => worker.parts.queries.record(id).await,
        Subject::Order(_) | Subject::Product(_) | Subject::Customer(_) | Subject::Parcel(_) => Ok(None),
    }
}

/// Which try this is, from 1.
const fn attempt(delivery: &Delivery) -> u32 {
    delivery.tries.saturating_add(1)
}

/// What becomes of a record's delivery after the try to write it. `result` is the number of the try that wrote it.
fn conclude(
    worker: &Worker,
    delivery: Delivery,
    record_id: RecordId,
    key: &str,
    result: Result<u32, ObjectError>,
) -> Submission {
    match result {
        Ok(attempts) => {
            let stored = Stored { key: key.into(), attempts };
            let input = Input::new(Body::RecordStored { record_id, stored }).caused_by(delivery.version);
            Submission::settling(input, delivery.ack())
        }
        Err(error) => worker.put_off(Step::Store, delivery, error.to_string()),
    }
}

/// Commits what became of a write.
async fn commit(worker: &Worker, submissions: Vec<Submission>) {
    let is_stored = |outcome: &&Outcome| outcome.changed;
    let stored = worker.commit_all(submissions).await.iter().flatten().filter(is_stored).count();
    metrics::counter!("ordermill_records_stored_total").increment(stored as u64);
}
