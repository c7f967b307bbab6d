//! Archive: the order with its timeline as one object, rewritten at each later change.
//!
//! It runs at the lowest share, off the way to the mail: it waits until an order has been quiet for a moment, so that changes in
//! quick succession make one object, and while orders are on their way it works only for a small part of the time.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ordermill_core::event::Event;
use ordermill_core::id::OrderId;
use ordermill_core::input::{Body, Input};
use ordermill_core::order::Order;
use ordermill_core::process::Step;
use ordermill_ports::ledger::OutcomeSubject;
use ordermill_ports::objects::ObjectError;
use ordermill_ports::queries::Position;
use ordermill_ports::{Delivery, Outcome, Submission, SubmitError};

use crate::archive_object::ArchiveObject;
use crate::worker::{Worker, order_id};

/// Orders that wait to become quiet, at most; beyond it the role reads on later from its cursor.
const WAITING_MAX: usize = 8_192;
/// How often waiting orders are looked at.
const TICK: Duration = Duration::from_millis(100);
/// Between two tries to find out whether an object was written over.
const MEND_PAUSE: Duration = Duration::from_secs(1);

pub(super) async fn run(worker: Worker) {
    let mut waiting = Waiting::default();
    loop {
        let room = WAITING_MAX.saturating_sub(waiting.deliveries);
        tokio::select! {
            received = worker.receive(room), if room > 0 => match received {
                Some(deliveries) => waiting.add(deliveries),
                None => return,
            },
            () = tokio::time::sleep(TICK), if !waiting.is_empty() => {}
        }
        while let Some(batch) = waiting.take_quiet(&worker.settings.archive_settle, worker.settings.archive_batch) {
            let began = Instant::now();
            let deliveries: Vec<Delivery> = batch.iter().flatten().cloned().collect();
            worker.guard(Step::Archive, &deliveries, archive(&worker, batch)).await;
            worker.keep_to_share(worker.settings.archive_share_percent, began.elapsed()).await;
            if worker.is_stopping() {
                return;
            }
        }
    }
}

/// Deliveries by order, in the order in which they came.
#[derive(Default)]
struct Waiting {
    by_order: HashMap<OrderId, Vec<Delivery>>,
    since: VecDeque<(Instant, OrderId)>,
    /// Those without an order: nothing to archive.
    settled: Vec<Delivery>,
    deliveries: usize,
}

impl Waiting {
    const fn is_empty(&self) -> bool {
        self.deliveries == 0
    }

    fn add(&mut self, deliveries: Vec<Delivery>) {
        let now = Instant::now();
        self.deliveries += deliveries.len();
        for delivery in deliveries {
            let Some(order_id) = order_id(&delivery) else {
                self.settled.push(delivery);
                continue;
            };
            let of_order = self.by_order.entry(order_id).or_default();
            if of_order.is_empty() {
                self.since.push_back((now, order_id));
            }
            of_order.push(delivery);
        }
    }

    /// A batch of orders that have waited long enough, each with its deliveries.
    fn take_quiet(&mut self, settle: &Duration, max: usize) -> Option<Vec<Vec<Delivery>>> {
        let mut batch = Vec::new();
        while batch.len() < max {
            match self.since.front() {
                Some((since, order_id)) if since.elapsed() >= *settle => {
                    batch.extend(self.by_order.remove(order_id));
                    self.since.pop_front();
                }
                _ => break,
            }
        }
        if !self.settled.is_empty() {
            batch.push(std::mem::take(&mut self.settled));
        }
        self.deliveries -= batch.iter().map(Vec::len).sum::<usize>();
        (!batch.is_empty()).then_some(batch)
    }
}

/// Writes the objects of a batch of orders, and acknowledges their deliveries.
async fn archive(worker: &Worker, batch: Vec<Vec<Delivery>>) {
    let mut submissions = Vec::new();
    let mut objects = Vec::new();
    let mut written = Vec::new();
    // The first delivery of each order stands for all of them; what cannot be looked up is dealt with there, and the others with it.
    let mut rest: HashMap<Position, Vec<Delivery>> = HashMap::with_capacity(batch.len());
    let mut firsts = Vec::with_capacity(batch.len());
    for mut deliveries in batch {
        let first = deliveries.remove(0);
        rest.insert(first.position, deliveries);
        firsts.push(first);
    }
    for (first, order) in worker.look_up(Step::Archive, firsts).await {
        let mut deliveries = rest.remove(&first.position).unwrap_or_default();
        deliveries.insert(0, first);
        let Some(order) = order.filter(|order| order.is_archive_due()) else {
            submissions.extend(deliveries.into_iter().map(|delivery| Submission::settle(delivery.ack())));
            continue;
        };
        match compose(worker, &order).await {
            Ok(object) => {
                objects.push(object);
                written.push((order, deliveries));
            }
            Err(error) => submissions.extend(put_off(worker, deliveries, &error)),
        }
    }
    worker.parts.bus.give_back(rest.into_values().flatten().collect()).await;
    let results = worker.parts.objects.put(objects).await;
    let mut reported = Vec::with_capacity(written.len());
    for ((order, deliveries), result) in written.into_iter().zip(results) {
        match result {
            Ok(()) => {
                let index = submissions.len();
                submissions.extend(report(&order, deliveries));
                reported.push((index, order));
            }
            Err(error) => submissions.extend(put_off(worker, deliveries, &error)),
        }
    }
    let mut results: Vec<_> = worker.commit_all(submissions).await.into_iter().map(Some).collect();
    for (index, order) in reported {
        if let Some(result) = results.get_mut(index).and_then(Option::take) {
            write_over(worker, order, result).await;
        }
    }
}

/// Writes the object of an order again if another process wrote it at the same time, as can be where a role's work goes from one to
/// another: the older of the two may have come last, and lies over what the ledger says is archived.
async fn write_over(worker: &Worker, mut written: Arc<Order>, mut result: Result<Outcome, SubmitError>) {
    loop {
        let newest = match result {
            Ok(Outcome { subject: OutcomeSubject::Order(order), .. }) => Ok(Some(order)),
            // Nobody says what is committed, so it is read.
            _ => worker.parts.queries.order(written.id).await,
        };
        let mended = match newest {
            Ok(Some(newest)) => mend(worker, &written, &newest).await.map(|mended| mended.then_some(newest)),
            Ok(None) => return,
            Err(error) => Err(ObjectError(error.to_string())),
        };
        match mended {
            Ok(None) => return,
            Ok(Some(newest)) => {
                tracing::info!(order_id = %newest.id, version = newest.version, "an order was archived by two; it is written again");
                let body = Body::Archived { order_id: newest.id, version: newest.version };
                let results = worker.commit(vec![Submission::new(Input::new(body))]).await;
                (written, result) = (newest, results.into_iter().next().unwrap_or(Err(SubmitError::Closing)));
            }
            Err(error) if worker.is_stopping() => {
                tracing::error!(order_id = %written.id, %error, "the object of an order may be older than what is archived");
                return;
            }
            Err(error) => {
                tracing::warn!(order_id = %written.id, %error, "the object of an order cannot be compared with what is archived yet");
                result = Err(SubmitError::Closing);
                worker.pause(MEND_PAUSE).await;
            }
        }
    }
}

/// Writes the object of an order as it is now, if the ledger knows of another's write since the version that was written here.
async fn mend(worker: &Worker, written: &Order, newest: &Arc<Order>) -> Result<bool, ObjectError> {
    let is_own = newest.archived == Some(written.version);
    if is_own && newest.version <= written.version.saturating_add(1) {
        return Ok(false);
    }
    let events = worker.parts.queries.order_events(written.id, written.version).await;
    let events = events.map_err(|error| ObjectError(error.to_string()))?;
    let is_anothers =
        |event: &Event| matches!(event, Event::OrderArchived(archived) if archived.version != written.version);
    let is_overtaken = newest.archived > Some(written.version);
    if !is_overtaken && !events.iter().any(|committed| is_anothers(&committed.recorded.event)) {
        return Ok(false);
    }
    let object = compose(worker, newest).await?;
    worker.parts.objects.put(vec![object]).await.into_iter().next().unwrap_or(Ok(()))?;
    Ok(true)
}

async fn compose(worker: &Worker, order: &Arc<Order>) -> Result<(String, bytes::Bytes), ObjectError> {
    let events =
        worker.parts.queries.order_events(order.id, 0).await.map_err(|error| ObjectError(error.to_string()))?;
    Ok((ArchiveObject::key(order.id, order.created_at), ArchiveObject::of(order, &events).into()))
}

/// The object lies there: the first delivery carries the news, the others are done with it.
fn report(order: &Order, deliveries: Vec<Delivery>) -> Vec<Submission> {
    let report = |(index, delivery): (usize, Delivery)| {
        if index > 0 {
            return Submission::settle(delivery.ack());
        }
        let body = Body::Archived { order_id: order.id, version: order.version };
        Submission::settling(Input::new(body).caused_by(delivery.version), delivery.ack())
    };
    deliveries.into_iter().enumerate().map(report).collect()
}

/// Not written: tried again later, in the end a dead letter.
fn put_off(worker: &Worker, deliveries: Vec<Delivery>, error: &ObjectError) -> Vec<Submission> {
    deliveries.into_iter().map(|delivery| worker.put_off(Step::Archive, delivery, error.to_string())).collect()
}
