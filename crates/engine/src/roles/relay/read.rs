//! The events of deliveries, and what becomes of deliveries whose event cannot be read.

use std::collections::BTreeMap;
use std::time::Duration;

use ordermill_ports::damper::Damper;
use ordermill_ports::queries::{Committed, QueryError};
use ordermill_ports::{Delivery, Position, Submission};

use super::answers::{FOR_ROLES, put_off};
use crate::worker::Worker;

/// It is tried again at once, and told now and then.
static COMPLAINTS: Damper = Damper::new(Duration::from_secs(10));

/// Why an event waits that the ledger does not give us.
const NEWER: &str = "only a newer program can read the event";

/// What was found of some deliveries.
#[derive(Default)]
struct Looked {
    found: Vec<(Delivery, Committed)>,
    /// The ledger has no event there that this program knows: whoever runs the newer release publishes it, or this process once it does.
    newer: Vec<Delivery>,
    /// With what is wrong.
    damaged: Vec<(Delivery, String)>,
    /// The ledger cannot be read now.
    later: Vec<Delivery>,
}

/// Reads the events, oldest first. What cannot be read now is given back, what a newer release wrote waits, and what is damaged is given
/// up alone.
pub(super) async fn read(worker: &Worker, deliveries: Vec<Delivery>) -> Vec<(Delivery, Committed)> {
    let Looked { found, newer, damaged, later } = look(worker, deliveries).await;
    let mut settled = Vec::new();
    if !newer.is_empty() {
        tracing::warn!(events = newer.len(), "events of a newer program are not published by this one; they wait");
        settled.extend(newer.into_iter().map(|delivery| put_off(worker, delivery, &FOR_ROLES, NEWER.to_owned())));
    }
    for (delivery, reason) in damaged {
        tracing::error!(position = delivery.position.0, %reason, "an event cannot be read, and is not published");
        settled.push(Submission::settle(delivery.dead_letter(reason)));
    }
    worker.commit_all(settled).await;
    if !later.is_empty() {
        worker.give_back(later).await;
    }
    found
}

async fn look(worker: &Worker, deliveries: Vec<Delivery>) -> Looked {
    let positions: Vec<Position> = deliveries.iter().map(|delivery| delivery.position).collect();
    let mut by_position: BTreeMap<Position, Delivery> =
        deliveries.into_iter().map(|delivery| (delivery.position, delivery)).collect();
    let mut looked = Looked::default();
    match worker.parts.queries.events_at(&positions).await {
        Ok(events) => {
            let with_delivery = |event: Committed| Some((by_position.remove(&event.position)?, event));
            looked.found = events.into_iter().filter_map(with_delivery).collect();
            looked.newer = by_position.into_values().collect();
        }
        Err(QueryError::Unreadable(_)) => look_each(worker, by_position.into_values(), &mut looked).await,
        Err(error) => {
            complain(&error);
            looked.later = by_position.into_values().collect();
        }
    }
    looked
}

/// The same one by one. A ledger that fails says nothing of an event: this one and those behind it are read another time.
async fn look_each(worker: &Worker, mut deliveries: impl Iterator<Item = Delivery>, looked: &mut Looked) {
    for delivery in deliveries.by_ref() {
        match worker.parts.queries.events_at(&[delivery.position]).await {
            Ok(events) => match events.into_iter().next() {
                Some(event) => looked.found.push((delivery, event)),
                None => looked.newer.push(delivery),
            },
            Err(QueryError::Unreadable(reason)) => looked.damaged.push((delivery, reason)),
            Err(error) => {
                complain(&error);
                looked.later.push(delivery);
                break;
            }
        }
    }
    looked.later.extend(deliveries);
}

fn complain(error: &QueryError) {
    if COMPLAINTS.pass().is_some() {
        tracing::error!(%error, "events could not be read");
    }
}
