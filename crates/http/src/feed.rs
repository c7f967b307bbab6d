//! `GET /v1/events`: everything that happened, in one feed.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use ordermill_core::event::{Event, Placement, Subject};
use ordermill_core::id::OrderId;
use ordermill_ports::Position;
use ordermill_ports::queries::{Committed, QueryError};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::cloud_event::CloudEvent;
use crate::cursor::Cursor as _;
use crate::openapi::ListProblems;
use crate::problem::Problem;
use crate::query::Params;
use crate::representation::json;
use crate::state::{Shared, State as Inner};

/// A page of the feed, oldest first.
#[derive(Serialize, ToSchema)]
#[schema(as = EventPage)]
pub(crate) struct EventPage<'a> {
    /// The events.
    #[schema(value_type = Vec<CloudEvent<'_>>)]
    events: FeedEvents<'a>,
    /// Gives what comes behind these; at the end of the feed too, so that it can be asked again for news.
    #[schema(value_type = String)]
    next: String,
}

struct FeedEvents<'a> {
    source: &'a str,
    events: &'a [Committed],
    placements: BTreeMap<OrderId, Arc<Placement>>,
}

impl Serialize for FeedEvents<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.events.iter().map(|committed| {
            let placement = match &committed.recorded.subject {
                Subject::Order(order_id) => self.placements.get(order_id).map(|placement| &**placement),
                _ => None,
            };
            CloudEvent::new(self.source, committed, placement)
        }))
    }
}

/// Read the feed of all events, oldest first.
///
/// Every event is there once, and the events of one order in their order. Nothing ever appears before a place that was read.
#[utoipa::path(
    get, path = "/v1/events", tag = "events", operation_id = "list_events",
    params(
        ("cursor" = Option<String>, Query, description = "The `next` of the page before; the beginning if left out."),
        ("limit" = Option<u32>, Query, description = "Events in the page, 1 to 500; 50 if left out."),
    ),
    responses((status = 200, description = "A page of events.", body = EventPage<'_>), ListProblems)
)]
pub(crate) async fn list(State(state): State<Shared>, mut params: Params) -> Result<Response, Problem> {
    let after = params.cursor::<Position>().unwrap_or_default();
    let limit = params.limit();
    params.finish()?;
    let events = state.app.queries.feed(after, limit).await?;
    let placements = placements(&state, &events).await?;
    let next = events.last().map_or(after, |committed| committed.position).encode();
    let events = FeedEvents { source: &state.app.settings.event_source, events: &events, placements };
    Ok(json(StatusCode::OK, &EventPage { events, next }))
}

/// The placements that give the events of a page their correlation and trace.
async fn placements(state: &Inner, events: &[Committed]) -> Result<BTreeMap<OrderId, Arc<Placement>>, QueryError> {
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
