//! Relay: hands committed events to the broker that carries them to the other roles and to readers outside.
//!
//! A delivery is acknowledged only after the broker has the event. What it did not take, or did not answer for, is published again: readers
//! know an event by its position. Events of one subject are handed over in their order, by whichever process leases the subject's
//! partition; where one fails, later ones may be there before it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use ordermill_core::event::{Event, Subject};
use ordermill_core::id::OrderId;
use ordermill_core::order::Order;
use ordermill_ports::publisher::{Announcement, Answers, Publisher, Trace};
use ordermill_ports::queries::{Committed, QueryError};
use ordermill_ports::{Delivery, Position, Submission};

use crate::worker::Worker;

/// Events handed over in one go.
const BATCH: usize = 1_024;
/// Such batches that the broker has not answered for: while it writes one, the next is on its way.
const UNDER_WAY: usize = 4;
/// Orders whose trace is remembered, at least; those that were placed last are those with most events to come.
const TRACES: usize = 16 * 1024;

pub(super) async fn run(worker: Worker, publisher: Arc<dyn Publisher>) {
    let published = metrics::counter!("ordermill_relay_events_total");
    let mut traces = Traces::default();
    let mut under_way = FuturesUnordered::new();
    let mut stopping = false;
    while !stopping || !under_way.is_empty() {
        tokio::select! {
            Some(count) = under_way.next(), if !under_way.is_empty() => published.increment(count),
            received = worker.receive(BATCH), if !stopping && under_way.len() < UNDER_WAY => match received {
                Some(deliveries) => {
                    // One batch after the other is handed over, so that events keep their order.
                    let (deliveries, announcements) = look_up(&worker, &mut traces, deliveries).await;
                    let answers = publisher.publish(announcements).await;
                    under_way.push(finish(&worker, deliveries, answers));
                }
                None => stopping = true,
            },
        }
    }
}

/// Acknowledges what the broker has, and puts the rest back. Returns how many it has.
async fn finish(worker: &Worker, deliveries: Vec<Delivery>, answers: Answers) -> u64 {
    let (mut taken, mut failed, mut reason) = (Vec::new(), Vec::new(), None);
    for (delivery, answer) in deliveries.into_iter().zip(answers.await) {
        match answer {
            Ok(()) => taken.push(Submission::settle(delivery.ack())),
            Err(error) => {
                reason = Some(error);
                failed.push(delivery);
            }
        }
    }
    let count = taken.len() as u64;
    worker.commit_all(taken).await;
    if let Some(error) = reason {
        tracing::error!(events = failed.len(), %error, "events were not published; they are published again");
        worker.give_back(failed).await;
    }
    count
}

/// Reads the events of these deliveries. Those that cannot be read now were given back; one that is damaged is given up alone.
async fn look_up(
    worker: &Worker,
    traces: &mut Traces,
    deliveries: Vec<Delivery>,
) -> (Vec<Delivery>, Vec<Announcement>) {
    let queries = &worker.parts.queries;
    let positions: Vec<Position> = deliveries.iter().map(|delivery| delivery.position).collect();
    let found = match queries.events_at(&positions).await {
        Ok(found) => found,
        Err(QueryError::Unreadable(_)) => read_each(worker, &positions).await,
        Err(error) => {
            tracing::error!(%error, "events could not be read");
            worker.give_back(deliveries).await;
            return (Vec::new(), Vec::new());
        }
    };
    if traces.learn(worker, &found).await.is_err() {
        worker.give_back(deliveries).await;
        return (Vec::new(), Vec::new());
    }
    let mut by_position: BTreeMap<Position, Delivery> =
        deliveries.into_iter().map(|delivery| (delivery.position, delivery)).collect();
    let (mut ready, mut announcements) = (Vec::with_capacity(found.len()), Vec::with_capacity(found.len()));
    for event in found {
        let Some(delivery) = by_position.remove(&event.position) else { continue };
        let trace = traces.of(&event);
        ready.push(delivery);
        announcements.push(Announcement { event, trace });
    }
    let damaged = by_position.into_values().map(|delivery| {
        tracing::error!(position = delivery.position.0, "an event cannot be read, and is not published");
        Submission::settle(delivery.dead_letter("the event cannot be read".to_owned()))
    });
    worker.commit_all(damaged.collect()).await;
    (ready, announcements)
}

/// The same one by one, without those that cannot be read.
async fn read_each(worker: &Worker, positions: &[Position]) -> Vec<Committed> {
    let mut found = Vec::with_capacity(positions.len());
    for position in positions {
        found.extend(worker.parts.queries.events_at(&[*position]).await.unwrap_or_default());
    }
    found
}

/// What ties the events of an order to the request that placed it. Read with the order's first event, or from the order itself.
#[derive(Default)]
struct Traces {
    /// Two generations: the older one is forgotten when the newer one is full.
    newer: HashMap<OrderId, Trace>,
    older: HashMap<OrderId, Trace>,
}

impl Traces {
    /// Finds what is not known yet of the orders that these events are about.
    async fn learn(&mut self, worker: &Worker, events: &[Committed]) -> Result<(), ()> {
        let mut missing = Vec::new();
        for event in events {
            let Subject::Order(id) = event.recorded.subject else { continue };
            if let Event::OrderPlaced(placement) = &event.recorded.event {
                let (correlation_id, traceparent) = (placement.correlation_id.clone(), placement.traceparent.clone());
                self.remember(id, Trace { correlation_id, traceparent });
            } else if !self.newer.contains_key(&id) {
                match self.older.remove(&id) {
                    Some(trace) => self.remember(id, trace),
                    None => missing.push(id),
                }
            }
        }
        missing.sort_unstable();
        missing.dedup();
        if missing.is_empty() {
            return Ok(());
        }
        match worker.parts.queries.orders(&missing).await {
            Ok(orders) => {
                for order in orders.into_iter().flatten() {
                    self.remember(order.id, trace_of(&order));
                }
                Ok(())
            }
            // Of a damaged order the events go without.
            Err(QueryError::Unreadable(_)) => Ok(()),
            Err(error) => {
                tracing::error!(%error, "orders could not be read");
                Err(())
            }
        }
    }

    fn remember(&mut self, id: OrderId, trace: Trace) {
        if self.newer.len() >= TRACES {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(id, trace);
    }

    fn of(&self, event: &Committed) -> Trace {
        if let Subject::Order(id) = event.recorded.subject {
            return self.newer.get(&id).or_else(|| self.older.get(&id)).cloned().unwrap_or_default();
        }
        let correlation_id = match &event.recorded.event {
            Event::TrackingMoved(report) | Event::TrackingLate(report) => report.correlation_id.clone(),
            Event::TrackingRefused(report) => report.correlation_id.clone(),
            Event::RecordReceived(received) => received.correlation_id.clone(),
            _ => None,
        };
        Trace { correlation_id, traceparent: None }
    }
}

fn trace_of(order: &Order) -> Trace {
    let placement = &order.placement;
    Trace { correlation_id: placement.correlation_id.clone(), traceparent: placement.traceparent.clone() }
}
