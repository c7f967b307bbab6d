//! `GET /v1/orders/{id}/events`: what happened to an order.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use ordermill_core::event::Placement;
use ordermill_ports::queries::Committed;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::cloud_event::CloudEvent;
use crate::live;
use crate::openapi::OrderProblems;
use crate::orders::{read, stream};
use crate::problem::Problem;
use crate::query::{OrderPath, Params};
use crate::representation::json;
use crate::state::Shared;

/// The events of an order, oldest first.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderEvents)]
pub(crate) struct OrderEvents<'a> {
    /// The events.
    #[schema(value_type = Vec<CloudEvent<'_>>)]
    events: Events<'a>,
}

/// The events of one subject.
pub(crate) struct Events<'a> {
    /// The installation.
    pub source: &'a str,
    /// The events.
    pub events: &'a [Committed],
    /// The placement of the order, where it is one.
    pub placement: Option<&'a Placement>,
}

impl Serialize for Events<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let dressed = |committed| CloudEvent::new(self.source, committed, self.placement);
        serializer.collect_seq(self.events.iter().map(dressed))
    }
}

/// Get the events of an order, oldest first.
///
/// With `Accept: text/event-stream` this is the live stream of `/v1/orders/{id}/events/stream`.
#[utoipa::path(
    get, path = "/v1/orders/{id}/events", tag = "orders", operation_id = "list_order_events",
    params(
        ("id" = String, Path, description = "The order's id."),
        ("after" = Option<u32>, Query, description = "Only events behind this `sequence`."),
    ),
    responses((status = 200, description = "The events.", body = OrderEvents<'_>), OrderProblems)
)]
pub(crate) async fn list(
    State(state): State<Shared>,
    OrderPath(id): OrderPath,
    mut params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let after = params.parse("after", |text| text.parse().ok(), "must be the sequence of an event");
    params.finish()?;
    if live::is_wanted(&headers) {
        return stream::open(&state, id, after, &headers).await;
    }
    let order = read::find(&state, id).await?;
    let events = state.app.queries.order_events(id, after.unwrap_or(0)).await?;
    let events =
        Events { source: &state.app.settings.event_source, events: &events, placement: Some(&order.placement) };
    Ok(json(StatusCode::OK, &OrderEvents { events }))
}
