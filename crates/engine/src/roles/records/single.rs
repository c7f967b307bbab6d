//! An object for each record.

use std::sync::Arc;

use futures_util::future::{Fuse, FusedFuture};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use ordermill_core::record::Record;
use ordermill_ports::Delivery;
use ordermill_ports::objects::ObjectError;

use super::{attempt, commit, conclude, in_share, load, next};
use crate::record_object::RecordObject;
use crate::worker::Worker;

pub(super) async fn run(worker: &Worker) {
    let concurrency = worker.settings.records_concurrency.max(1);
    let mut writes = FuturesUnordered::new();
    let mut stopping = false;
    // Kept from one turn to the next: a read of the backlog that is begun is not thrown away because a write has ended.
    let receiving = Fuse::terminated();
    tokio::pin!(receiving);
    loop {
        if !stopping && writes.len() < concurrency && receiving.is_terminated() {
            receiving.set(next(worker, worker.settings.records_batch.max(1)).fuse());
        }
        tokio::select! {
            Some(()) = writes.next(), if !writes.is_empty() => {}
            received = &mut receiving, if !receiving.is_terminated() => match received {
                Some(deliveries) => writes.push(write(worker, deliveries)),
                None => stopping = true,
            },
            else => break,
        }
    }
}

async fn write(worker: &Worker, deliveries: Vec<Delivery>) {
    in_share(worker, &deliveries, store(worker, deliveries.clone())).await;
}

async fn store(worker: &Worker, deliveries: Vec<Delivery>) {
    let records = load(worker, deliveries).await;
    if records.is_empty() {
        return;
    }
    let keys: Vec<String> =
        records.iter().map(|(_, record)| RecordObject::key(record.id, record.received_at)).collect();
    let bodies = records.iter().map(|(delivery, record)| RecordObject::of(record, attempt(delivery)).into());
    let mut results = worker.parts.objects.put(keys.iter().cloned().zip(bodies).collect()).await.into_iter();
    let conclude = |((delivery, record), key): ((Delivery, Arc<Record>), String)| {
        let written = results.next().unwrap_or_else(no_answer).map(|()| attempt(&delivery));
        conclude(worker, delivery, record.id, &key, written)
    };
    let submissions = records.into_iter().zip(keys).map(conclude).collect();
    commit(worker, submissions).await;
}

/// A store that forgets an answer has not written anything.
fn no_answer() -> Result<(), ObjectError> {
    Err(ObjectError("no answer".to_owned()))
}
