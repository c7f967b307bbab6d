//! What ties events to the requests that caused them.

use std::collections::HashMap;

use ordermill_core::event::{Event, Subject};
use ordermill_core::id::OrderId;
use ordermill_core::order::Order;
use ordermill_ports::publisher::Trace;
use ordermill_ports::queries::{Committed, QueryError};

use crate::worker::Worker;

/// Orders whose trace is remembered, at least; those that were placed last are those with most events to come.
const TRACES: usize = 16 * 1024;

/// What ties the events of an order to the request that placed it. Read with the order's first event, or from the order itself.
#[derive(Default)]
pub(super) struct Traces {
    /// Two generations: the older one is forgotten when the newer one is full.
    newer: HashMap<OrderId, Trace>,
    older: HashMap<OrderId, Trace>,
}

impl Traces {
    /// Finds what is not known yet of the orders that these events are about.
    pub(super) async fn learn(&mut self, worker: &Worker, events: &[Committed]) -> Result<(), ()> {
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

    pub(super) fn of(&self, event: &Committed) -> Trace {
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
