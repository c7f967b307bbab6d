//! Live streams: the events of one subject as they happen, as server-sent events. `id` is the event's `sequence`, `event` its type, `data`
//! the `CloudEvent`. A client that comes back with `Last-Event-ID` misses nothing; comments keep the connection alive.

use std::fmt::Display;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, stream};
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use ordermill_core::event::{Placement, Subject};
use ordermill_ports::queries::{Committed, Queries, QueryError};
use serde::Serialize;

use crate::admission::Room;
use crate::cloud_event::{CloudEvent, SubjectName};
use crate::error_code::INVALID_QUERY;
use crate::problem::Problem;
use crate::state::{Shared, State};

/// What a browser has seen before it came back.
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Tells proxies of the nginx kind not to hold the stream back.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A subject whose events can be followed.
pub(crate) trait Followed: Send + Sync + 'static {
    /// Which one.
    fn subject(&self) -> Subject;

    /// The placement of the order, where it is one.
    fn placement(&self) -> Option<&Placement>;

    /// Its events behind this version, oldest first.
    fn events(
        &self,
        queries: &dyn Queries,
        after: u32,
    ) -> impl Future<Output = Result<Vec<Committed>, QueryError>> + Send;

    /// Waits for an event behind this version.
    fn changed(&self, queries: &dyn Queries, after: u32) -> impl Future<Output = Result<(), QueryError>> + Send;
}

/// Whether the caller asks for a stream by `Accept`.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut types = values.flat_map(|value| value.split(','));
    types.any(|entry| entry.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/event-stream"))
}

/// Room for a stream, and where it begins.
pub(crate) struct Begin {
    seen: u32,
    room: Room,
}

/// Looks where a stream is to begin, before anything is read for it. What the browser has seen goes before what the address says.
///
/// # Errors
/// No room, or a `Last-Event-ID` that is no sequence.
pub(crate) fn begin(state: &State, headers: &HeaderMap, after: Option<u32>) -> Result<Begin, Problem> {
    let last_seen = match last_event_id(headers) {
        None => None,
        Some(last) => {
            let last: Option<u32> = last.and_then(|text| text.parse().ok());
            let wrong = || Problem::field(&INVALID_QUERY, "Last-Event-ID", "must be the sequence of an event");
            Some(last.ok_or_else(wrong)?)
        }
    };
    Ok(Begin { seen: last_seen.or(after).unwrap_or(0), room: state.admission.stream()? })
}

/// Streams the events of a subject, until the client or the server goes.
pub(crate) fn follow(state: &Shared, begin: Begin, followed: impl Followed) -> Response {
    let follower = Follower { state: Shared::clone(state), followed, seen: begin.seen, _room: begin.room };
    let pieces = stream::unfold(Some(follower), |follower| async move {
        let mut follower = follower?;
        match follower.next().await {
            Ok(piece) => piece.map(|piece| (Ok(piece), Some(follower))),
            // The client comes back with the last id it has seen, which is what it should do when the ledger cannot be read.
            Err(error) => {
                tracing::warn!(%error, subject = %SubjectName(&follower.followed.subject()), "live stream ended");
                Some((Err(error), None))
            }
        }
    });
    respond(pieces)
}

/// Answers with a stream. It is sent piece by piece, and kept by nobody.
pub(crate) fn respond<E>(pieces: impl Stream<Item = Result<Bytes, E>> + Send + 'static) -> Response
where
    E: std::error::Error + Send + Sync + 'static,
{
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

/// Writes one event. JSON written by serde holds no line ends, so it is one line of data.
pub(crate) fn write_event(out: &mut Vec<u8>, id: &impl Display, kind: &str, event: &impl Serialize) {
    out.extend_from_slice(format!("id: {id}\nevent: {kind}\ndata: ").as_bytes());
    serde_json::to_writer(&mut *out, event).expect("an event is plain data with text keys, which always serializes");
    out.extend_from_slice(b"\n\n");
}

/// What a browser has seen before it came back; `Some(None)` when it is not readable.
pub(crate) fn last_event_id(headers: &HeaderMap) -> Option<Option<&str>> {
    headers.get(LAST_EVENT_ID).map(|value| value.to_str().ok().map(str::trim))
}

struct Follower<F> {
    state: Shared,
    followed: F,
    /// The newest event that was sent.
    seen: u32,
    _room: Room,
}

impl<F: Followed> Follower<F> {
    /// The next piece of the stream: events, or a sign of life. `None` when the server is closing.
    async fn next(&mut self) -> Result<Option<Bytes>, QueryError> {
        let queries = &*self.state.app.queries;
        let events = self.followed.events(queries, self.seen).await?;
        if !events.is_empty() {
            return Ok(Some(self.write(&events)));
        }
        tokio::select! {
            changed = self.followed.changed(queries, self.seen) => {
                changed?;
                let events = self.followed.events(queries, self.seen).await?;
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
            let event = CloudEvent::new(&self.state.app.settings.event_source, committed, self.followed.placement());
            write_event(&mut out, &recorded.version, recorded.event.kind().name(), &event);
            self.seen = self.seen.max(recorded.version);
        }
        out.into()
    }
}
