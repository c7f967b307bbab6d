//! Many records in one object, by size and age.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Fuse, FusedFuture};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use ordermill_core::Timestamp;
use ordermill_core::id::RecordId;
use ordermill_core::process::Step;
use ordermill_core::record::Record;
use ordermill_ports::objects::ObjectError;
use ordermill_ports::{Delivery, Submission};
use tokio::time::Instant;

use super::{attempt, commit, conclude, in_share, load, next, no_answer};
use crate::BatchLimits;
use crate::record_object::{RecordObject, folder, lines};
use crate::worker::Worker;

pub(super) async fn run(worker: &Worker, limits: BatchLimits) {
    let concurrency = worker.settings.records_concurrency.max(1);
    let mut gathered = Gathered::default();
    let mut writes = FuturesUnordered::new();
    let mut stopping = false;
    // Kept from one turn to the next: a read of the backlog that is begun is not thrown away because a write has ended.
    let receiving = Fuse::terminated();
    tokio::pin!(receiving);
    loop {
        let is_due = gathered.is_full(&limits) && writes.len() < concurrency || stopping && !gathered.is_empty();
        if is_due {
            writes.push(write(worker, gathered.take()));
        }
        if !stopping && !gathered.is_full(&limits) && receiving.is_terminated() {
            let room = limits.records.max(1) - gathered.entries.len();
            receiving.set(next(worker, room.min(worker.settings.records_batch.max(1))).fuse());
        }
        tokio::select! {
            Some(()) = writes.next(), if !writes.is_empty() => {}
            received = &mut receiving, if !receiving.is_terminated() => match received {
                Some(deliveries) => {
                    let add = async { gathered.add(load(worker, deliveries.clone()).await) };
                    worker.guard(Step::Store, &deliveries, add).await;
                }
                None => stopping = true,
            },
            () = tokio::time::sleep(gathered.time_left(limits.age)), if !gathered.is_empty() && writes.len() < concurrency => {
                writes.push(write(worker, gathered.take()));
            }
            else => break,
        }
    }
}

/// A record that waits for others, as the line it will be.
struct Entry {
    delivery: Delivery,
    id: RecordId,
    received_at: Timestamp,
    line: Vec<u8>,
}

/// The records of the next write.
#[derive(Default)]
struct Gathered {
    entries: Vec<Entry>,
    bytes: usize,
    /// When the first of them was taken in.
    since: Option<Instant>,
}

impl Gathered {
    const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    const fn is_full(&self, limits: &BatchLimits) -> bool {
        !self.is_empty() && (self.entries.len() >= limits.records || self.bytes >= limits.bytes)
    }

    /// How long the first of them may still wait.
    fn time_left(&self, age: Duration) -> Duration {
        self.since.map_or(age, |since| age.saturating_sub(since.elapsed()))
    }

    fn add(&mut self, records: Vec<(Delivery, Arc<Record>)>) {
        for (delivery, record) in records {
            let line = RecordObject::of(&record, attempt(&delivery));
            self.bytes += line.len();
            self.since.get_or_insert_with(Instant::now);
            self.entries.push(Entry { delivery, id: record.id, received_at: record.received_at, line });
        }
    }

    fn take(&mut self) -> Vec<Entry> {
        std::mem::take(self).entries
    }
}

async fn write(worker: &Worker, entries: Vec<Entry>) {
    let deliveries: Vec<Delivery> = entries.iter().map(|entry| entry.delivery.clone()).collect();
    in_share(worker, &deliveries, store(worker, entries)).await;
}

/// Writes one object for each hour in which these records were taken.
async fn store(worker: &Worker, entries: Vec<Entry>) {
    let mut by_hour: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        by_hour.entry(folder(entry.received_at)).or_default().push(entry);
    }
    let mut submissions: Vec<Submission> = Vec::new();
    let mut objects = Vec::with_capacity(by_hour.len());
    let mut written = Vec::with_capacity(by_hour.len());
    for mut entries in by_hour.into_values() {
        entries.sort_unstable_by_key(|entry| entry.id);
        let key = RecordObject::batch_key(entries[0].id, entries[0].received_at);
        match compose(worker, &key, &entries).await {
            Ok(object) => {
                objects.push((key.clone(), object));
                written.push((key, entries));
            }
            Err(error) => submissions.extend(conclude_all(worker, entries, &key, &Err(error))),
        }
    }
    let mut results = if objects.is_empty() { Vec::new() } else { worker.parts.objects.put(objects).await }.into_iter();
    for (key, entries) in written {
        let result = results.next().unwrap_or_else(no_answer);
        submissions.extend(conclude_all(worker, entries, &key, &result));
    }
    commit(worker, submissions).await;
}

/// The lines of these records. An object that is there already is of a write whose commit was lost, at least for its first record;
/// of the others some may have been committed, so their lines stay.
async fn compose(worker: &Worker, key: &str, entries: &[Entry]) -> Result<Bytes, ObjectError> {
    let present = worker.parts.objects.get(key).await?.unwrap_or_default();
    let ids: BTreeSet<RecordId> = entries.iter().map(|entry| entry.id).collect();
    let mut object = Vec::with_capacity(present.len() + entries.iter().map(|entry| entry.line.len()).sum::<usize>());
    for entry in entries {
        object.extend_from_slice(&entry.line);
    }
    for line in lines(&present) {
        let record = RecordObject::parse(line)
            .map_err(|error| ObjectError(format!("the object {key} is there and holds no records: {error}")))?;
        if !ids.contains(&record.message_id) {
            object.extend_from_slice(line);
            object.push(b'\n');
        }
    }
    Ok(object.into())
}

fn conclude_all(worker: &Worker, entries: Vec<Entry>, key: &str, result: &Result<(), ObjectError>) -> Vec<Submission> {
    let conclude = |entry: Entry| conclude(worker, entry.delivery, entry.id, key, result.clone());
    entries.into_iter().map(conclude).collect()
}
