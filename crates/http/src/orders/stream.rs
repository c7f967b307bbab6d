//! `GET /v1/orders/{id}/events/stream`: an order's events as they happen, as server-sent events.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use ordermill_core::event::Placement;
use ordermill_core::id::OrderId;
use ordermill_ports::queries::{Committed, QueryError};

use crate::admission::Room;
use crate::cloud_event::CloudEvent;
use crate::error_code::INVALID_QUERY;
use crate::openapi::{OrderProblems, StreamProblems};
use crate::orders::read;
use crate::problem::Problem;
use crate::query::{OrderPath, Params};
use crate::state::Shared;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Tells proxies of the nginx kind not to hold the stream back.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

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
    let last_seen = match headers.get(LAST_EVENT_ID) {
        None => None,
        Some(value) => {
            let last: Option<u32> = value.to_str().ok().and_then(|text| text.trim().parse().ok());
            let wrong = || Problem::field(&INVALID_QUERY, "Last-Event-ID", "must be the sequence of an event");
            Some(last.ok_or_else(wrong)?)
        }
    };
    let room = state.admission.stream()?;
    let order = read::find(state, id).await?;
    let follower = Follower {
        state: Shared::clone(state),
        id,
        placement: Arc::clone(&order.placement),
        seen: last_seen.or(after).unwrap_or(0),
        _room: room,
    };
    let pieces = stream::unfold(Some(follower), |follower| async move {
        let mut follower = follower?;
        match follower.next().await {
            Ok(piece) => piece.map(|piece| (Ok(piece), Some(follower))),
            // The client comes back with the last id it has seen, which is what it should do when the ledger cannot be read.
            Err(error) => {
                tracing::warn!(%error, order_id = %follower.id, "live stream ended");
                Some((Err(error), None))
            }
        }
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    Ok(response)
}

struct Follower {
    state: Shared,
    id: OrderId,
    placement: Arc<Placement>,
    /// The newest event that was sent.
    seen: u32,
    _room: Room,
}

impl Follower {
    /// The next piece of the stream: events, or a sign of life. `None` when the server is closing.
    async fn next(&mut self) -> Result<Option<Bytes>, QueryError> {
        let queries = &self.state.app.queries;
        let events = queries.order_events(self.id, self.seen).await?;
        if !events.is_empty() {
            return Ok(Some(self.write(&events)));
        }
        tokio::select! {
            changed = queries.order_changed(self.id, self.seen) => {
                changed?;
                let events = queries.order_events(self.id, self.seen).await?;
                Ok(Some(self.write(&events)))
            }
            () = tokio::time::sleep(self.state.app.settings.stream_keep_alive) => Ok(Some(Bytes::from_static(b":\n\n"))),
            () = self.state.closed() => Ok(None),
        }
    }

    fn write(&mut self, events: &[Committed]) -> Bytes {
        let mut out = Vec::with_capacity(events.len() * 512);
        for committed in events {
            let recorded = &committed.recorded;
            let head = format!("id: {}\nevent: {}\ndata: ", recorded.version, recorded.event.kind().name());
            out.extend_from_slice(head.as_bytes());
            let event = CloudEvent::new(&self.state.app.settings.event_source, committed, Some(&self.placement));
            // JSON written by serde holds no line ends, so the event is one line of data.
            serde_json::to_writer(&mut out, &event)
                .expect("an event is plain data with text keys, which always serializes");
            out.extend_from_slice(b"\n\n");
            self.seen = self.seen.max(recorded.version);
        }
        out.into()
    }
}
