//! Events of the feed as they are shown: with the correlation and the trace of the orders they belong to.

use std::collections::BTreeMap;
use std::sync::Arc;

use ordermill_core::event::{Event, Placement, Subject};
use ordermill_core::id::OrderId;
use ordermill_ports::queries::{Committed, QueryError};
use serde::{Serialize, Serializer};

use crate::cloud_event::CloudEvent;
use crate::state::State;

/// Shows one event of a page.
pub(crate) trait Dress {
    /// What it is shown as.
    type Shown<'a>: Serialize;

    /// Shows it.
    fn show<'a>(committed: &'a Committed, event: CloudEvent<'a>) -> Self::Shown<'a>;
}

/// As it is.
pub(crate) struct Plain;

impl Dress for Plain {
    type Shown<'a> = CloudEvent<'a>;

    fn show<'a>(_committed: &'a Committed, event: CloudEvent<'a>) -> CloudEvent<'a> {
        event
    }
}

/// Events with what belongs to them.
pub(crate) struct Dressed<'a, D> {
    source: &'a str,
    events: &'a [Committed],
    placements: BTreeMap<OrderId, Arc<Placement>>,
    dress: std::marker::PhantomData<D>,
}

impl<'a, D: Dress> Dressed<'a, D> {
    /// Fetches what belongs to them.
    pub async fn new(state: &'a State, events: &'a [Committed]) -> Result<Self, QueryError> {
        let placements = placements(state, events).await?;
        Ok(Self { source: &state.app.settings.event_source, events, placements, dress: std::marker::PhantomData })
    }

    /// Each event with what it is shown as.
    pub fn each(&self) -> impl Iterator<Item = (&Committed, D::Shown<'_>)> {
        self.events.iter().map(|committed| {
            let placement = match &committed.recorded.subject {
                Subject::Order(order_id) => self.placements.get(order_id).map(|placement| &**placement),
                _ => None,
            };
            (committed, D::show(committed, CloudEvent::new(self.source, committed, placement)))
        })
    }
}

impl<D: Dress> Serialize for Dressed<'_, D> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.each().map(|(_, shown)| shown))
    }
}

/// The placements that give the events of a page their correlation and trace.
async fn placements(state: &State, events: &[Committed]) -> Result<BTreeMap<OrderId, Arc<Placement>>, QueryError> {
    let mut placements = BTreeMap::new();
    let mut ids = Vec::new();
    for committed in events {
        match (&committed.recorded.subject, &committed.recorded.event) {
            (Subject::Order(order_id), Event::OrderPlaced(placement)) => {
                placements.insert(*order_id, Arc::clone(placement));
            }
            (Subject::Order(order_id), _) => ids.push(*order_id),
            _ => {}
        }
    }
    ids.retain(|id| !placements.contains_key(id));
    ids.sort_unstable();
    ids.dedup();
    if !ids.is_empty() {
        let orders = state.app.queries.orders(&ids).await?;
        placements.extend(orders.into_iter().flatten().map(|order| (order.id, Arc::clone(&order.placement))));
    }
    Ok(placements)
}
