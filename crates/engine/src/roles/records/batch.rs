//! Many records in one object, by size and age.

use std::collections::BTreeMap;
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

use super::{attempt, commit, conclude, in_share, load, next};
use crate::BatchLimits;
use crate::record_object::{RecordObject, folder};
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

/// Writes what was taken in one hour apart from the others.
async fn store(worker: &Worker, entries: Vec<Entry>) {
    let mut by_hour: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        by_hour.entry(folder(entry.received_at)).or_default().push(entry);
    }
    let mut submissions: Vec<Submission> = Vec::new();
    for entries in by_hour.into_values() {
        submissions.append(&mut store_hour(worker, entries).await);
    }
    commit(worker, submissions).await;
}

/// Writes records to the object that is named after the first of them. Where it is there already, the commit of whoever wrote it was
/// lost, or is still on its way: what it holds of them is stored by it, and the others go to the object of their own first.
async fn store_hour(worker: &Worker, mut entries: Vec<Entry>) -> Vec<Submission> {
    entries.sort_unstable_by_key(|entry| entry.id);
    let mut submissions = Vec::with_capacity(entries.len());
    while let Some(first) = entries.first() {
        let key = RecordObject::batch_key(first.id, first.received_at);
        let written = match worker.parts.objects.create(&key, compose(&entries)).await {
            Ok(true) => Ok(None),
            Ok(false) => present(worker, &key, &entries).await.map(Some),
            Err(error) => Err(error),
        };
        let mut left = Vec::new();
        for entry in entries {
            let attempts = match &written {
                Ok(None) => Ok(attempt(&entry.delivery)),
                Ok(Some(present)) => match present.get(&entry.id) {
                    Some(attempts) => Ok(*attempts),
                    None => {
                        left.push(entry);
                        continue;
                    }
                },
                Err(error) => Err(error.clone()),
            };
            submissions.push(conclude(worker, entry.delivery, entry.id, &key, attempts));
        }
        entries = left;
    }
    submissions
}

/// The lines of these records.
fn compose(entries: &[Entry]) -> Bytes {
    let mut object = Vec::with_capacity(entries.iter().map(|entry| entry.line.len()).sum());
    entries.iter().for_each(|entry| object.extend_from_slice(&entry.line));
    object.into()
}

/// Which of these records an object holds that is there already, the first of them certainly, and which of its tries wrote each.
async fn present(worker: &Worker, key: &str, entries: &[Entry]) -> Result<BTreeMap<RecordId, u32>, ObjectError> {
    let unsound = |problem: &str| ObjectError(format!("the object {key} is there and {problem}"));
    let object = worker.parts.objects.get(key).await?.unwrap_or_default();
    let lines = RecordObject::parse_all(&object).map_err(|error| unsound(&format!("holds no records: {error}")))?;
    let lines: BTreeMap<RecordId, &RecordObject> = lines.iter().map(|line| (line.message_id, line)).collect();
    let mut present = BTreeMap::new();
    for entry in entries {
        let own = RecordObject::parse(&entry.line).map_err(|error| unsound(&format!("is not read back: {error}")))?;
        let line = lines.get(&entry.id).filter(|line| line.received_at == own.received_at && line.data == own.data);
        present.extend(line.map(|line| (entry.id, line.attempts)));
    }
    let is_sound = entries.first().is_none_or(|first| present.contains_key(&first.id));
    if is_sound { Ok(present) } else { Err(unsound("does not hold the record it is named after")) }
}
