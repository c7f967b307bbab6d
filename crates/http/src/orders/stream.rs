//! `GET /v1/orders/{id}/events/stream`: an order's events as they happen, as server-sent events.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use ordermill_core::event::{Placement, Subject};
use ordermill_core::id::OrderId;
use ordermill_ports::queries::{Committed, Queries, QueryError};

use crate::live::{self, Followed};
use crate::openapi::{OrderProblems, StreamProblems};
use crate::orders::read;
use crate::problem::Problem;
use crate::query::{OrderPath, Params};
use crate::state::Shared;

/// Follow the events of an order.
///
/// Server-sent events: `id` is the event's `sequence`, `event` its type, `data` the CloudEvent. A client that comes back with
/// `Last-Event-ID` misses nothing. Comments keep the connection alive. The stream stays open until the client or the server goes.
#[utoipa::path(
    get, path = "/v1/orders/{id}/events/stream", tag = "orders", operation_id = "follow_order_events",
    params(
        ("id" = String, Path, description = "The order's id."),
        ("after" = Option<u32>, Query, description = "Only events behind this `sequence`."),
        ("Last-Event-ID" = Option<u32>, Header, description = "The same, as browsers send it when they come back."),
    ),
    responses(
        (status = 200, description = "The events, oldest first, then each as it happens.", body = String, content_type = "text/event-stream"),
        OrderProblems, StreamProblems,
    )
)]
pub(crate) async fn follow(
    State(state): State<Shared>,
    OrderPath(id): OrderPath,
    mut params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let after = params.parse("after", |text| text.parse().ok(), "must be the sequence of an event");
    params.finish()?;
    open(&state, id, after, &headers).await
}

/// Opens a live stream.
///
/// # Errors
/// No such order, no room, or a `Last-Event-ID` that is no sequence.
pub(crate) async fn open(
    state: &Shared,
    id: OrderId,
    after: Option<u32>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let begin = live::begin(state, headers, after)?;
    let order = read::find(state, id).await?;
    Ok(live::follow(state, begin, FollowedOrder { id, placement: Arc::clone(&order.placement) }))
}

struct FollowedOrder {
    id: OrderId,
    placement: Arc<Placement>,
}

impl Followed for FollowedOrder {
    fn subject(&self) -> Subject {
        Subject::Order(self.id)
    }

    fn placement(&self) -> Option<&Placement> {
        Some(&self.placement)
    }

    async fn events(&self, queries: &dyn Queries, after: u32) -> Result<Vec<Committed>, QueryError> {
        queries.order_events(self.id, after).await
    }

    async fn changed(&self, queries: &dyn Queries, after: u32) -> Result<(), QueryError> {
        queries.order_changed(self.id, after).await.map(drop)
    }
}
