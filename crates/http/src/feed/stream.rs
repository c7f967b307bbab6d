//! `GET /v1/events/stream`: the feed as it grows, as server-sent events.

use std::marker::PhantomData;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::HeaderMap;
use ordermill_core::limits::PAGE_ENTRIES_MAX;
use ordermill_ports::Position;
use ordermill_ports::queries::QueryError;

use crate::admission::Room;
use crate::cursor::Cursor;
use crate::feed::dress::{Dress, Dressed, Plain};
use crate::feed::{FeedFilter, scan};
use crate::live;
use crate::openapi::{ListProblems, StreamProblems};
use crate::problem::Problem;
use crate::query::Params;
use crate::state::Shared;

/// Follow the feed.
///
/// Server-sent events: `id` is a cursor, `event` the type, `data` the CloudEvent. Without a cursor it begins with what happens next. A
/// client that comes back with `Last-Event-ID` misses nothing. Comments keep the connection alive. The stream stays open until the
/// client or the server goes.
#[utoipa::path(
    get, path = "/v1/events/stream", tag = "events", operation_id = "follow_events",
    params(
        ("subject" = Option<String>, Query, description = "Events about `order`, `product`, `customer`, `parcel` or `record`; repeated, or separated by commas."),
        ("type" = Option<String>, Query, description = "Events of these types, such as `order.placed`; repeated, or separated by commas."),
        ("change" = Option<String>, Query, description = "`insert`: the first event of its subject; `remove`: its deletion; `modify`: every other."),
        ("cursor" = Option<String>, Query, description = "Begin behind this place: the `next` of a page of `/v1/events`."),
        ("Last-Event-ID" = Option<String>, Header, description = "The same, as browsers send it when they come back."),
    ),
    responses(
        (status = 200, description = "Each event as it happens.", body = String, content_type = "text/event-stream"),
        ListProblems, StreamProblems,
    )
)]
pub(crate) async fn follow(
    State(state): State<Shared>,
    mut params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let filter = FeedFilter::from_params(&mut params);
    let begin = begin(&mut params, &headers);
    params.finish()?;
    open::<Plain>(&state, filter, begin).await
}

/// Where the caller wants to begin: behind what a browser has seen, or where the address says.
pub(crate) fn begin<C: Cursor>(params: &mut Params, headers: &HeaderMap) -> Option<C> {
    let asked = params.cursor::<C>();
    let Some(last) = live::last_event_id(headers) else { return asked };
    let seen = last.and_then(C::decode);
    if seen.is_none() {
        params.report("Last-Event-ID", "must be the id of an event of this stream");
    }
    seen
}

/// Opens a live stream; without a place to begin, at the end of the feed.
///
/// # Errors
/// No room, or the ledger cannot be read.
pub(crate) async fn open<D: Dress + Send + Sync + 'static>(
    state: &Shared,
    filter: FeedFilter,
    begin: Option<Position>,
) -> Result<Response, Problem> {
    let room = state.admission.stream()?;
    let seen = match begin {
        Some(begin) => begin,
        None => state.app.queries.head().await?,
    };
    let follower = Follower::<D> { state: Shared::clone(state), filter, seen, _room: room, dress: PhantomData };
    let pieces = stream::unfold(Some(follower), |follower| async move {
        let mut follower = follower?;
        match follower.next().await {
            Ok(piece) => piece.map(|piece| (Ok(piece), Some(follower))),
            // The client comes back with the last id it has seen, which is what it should do when the ledger cannot be read.
            Err(error) => {
                tracing::warn!(%error, "live stream of the feed ended");
                Some((Err(error), None))
            }
        }
    });
    Ok(live::respond(pieces))
}

struct Follower<D> {
    state: Shared,
    filter: FeedFilter,
    /// Everything up to here was sent, or is not wanted.
    seen: Position,
    _room: Room,
    dress: PhantomData<fn() -> D>,
}

impl<D: Dress> Follower<D> {
    /// The next piece of the stream: events, or a sign of life. `None` when the server is closing.
    async fn next(&mut self) -> Result<Option<Bytes>, QueryError> {
        let state = Shared::clone(&self.state);
        let keep_alive = tokio::time::sleep(state.app.settings.stream_keep_alive);
        tokio::select! {
            news = self.news() => news.map(Some),
            () = keep_alive => Ok(Some(Bytes::from_static(b":\n\n"))),
            () = state.closed() => Ok(None),
        }
    }

    /// The next events that are wanted. Safe to cancel: what was looked at for nothing is not looked at again.
    async fn news(&mut self) -> Result<Bytes, QueryError> {
        let queries = &*self.state.app.queries;
        loop {
            let found = scan::forward(queries, &self.filter, self.seen, PAGE_ENTRIES_MAX).await?;
            if !found.events.is_empty() {
                let dressed = Dressed::<D>::new(&self.state, &found.events).await?;
                let mut out = Vec::with_capacity(found.events.len() * 512);
                for (committed, shown) in dressed.each() {
                    let kind = committed.recorded.event.kind().name();
                    live::write_event(&mut out, &committed.position.encode(), kind, &shown);
                }
                self.seen = found.next;
                return Ok(out.into());
            }
            self.seen = found.next;
            if found.is_at_end {
                queries.feed_grown(self.seen).await?;
            }
        }
    }
}
