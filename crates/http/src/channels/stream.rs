//! `GET /v1/channels/{name}/stream`: messages as they come, as server-sent events.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::HeaderMap;
use ordermill_core::channel::Channel;
use ordermill_core::limits::PAGE_ENTRIES_MAX;

use crate::admission::Room;
use crate::channels::messages::AsMessage;
use crate::channels::{ChannelPath, dead};
use crate::cursor::{Cursor as _, DeadLetterId};
use crate::feed::{self, FeedFilter};
use crate::live;
use crate::openapi::{ChannelProblems, StreamProblems};
use crate::problem::Problem;
use crate::query::Params;
use crate::state::Shared;

/// Between two looks for new dead letters: the bus does not call out when there is one.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// Follow the messages of a channel, or of a dead-letter channel.
///
/// Server-sent events: `id` is a cursor, `event` the type, `data` the message. Without a cursor it begins with what comes next. A client
/// that comes back with `Last-Event-ID` misses nothing. Comments keep the connection alive.
#[utoipa::path(
    get, path = "/v1/channels/{name}/stream", tag = "channels", operation_id = "follow_channel",
    params(
        ("name" = String, Path, description = "The channel, or a dead-letter channel.", example = "order_queue"),
        ("cursor" = Option<String>, Query, description = "Begin behind this place: the `next` of a page of its messages."),
        ("Last-Event-ID" = Option<String>, Header, description = "The same, as browsers send it when they come back."),
    ),
    responses(
        (status = 200, description = "Each message as it comes.", body = String, content_type = "text/event-stream"),
        StreamProblems, ChannelProblems,
    )
)]
pub(crate) async fn follow(
    State(state): State<Shared>,
    channel: ChannelPath,
    mut params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    match channel {
        ChannelPath::Messages(channel) => {
            let begin = feed::stream::begin(&mut params, &headers);
            params.finish()?;
            feed::stream::open::<AsMessage>(&state, FeedFilter::of_types(channel.event_types), begin).await
        }
        ChannelPath::DeadLetters(channel) => {
            let begin = feed::stream::begin::<DeadLetterId>(&mut params, &headers);
            params.finish()?;
            let room = state.admission.stream()?;
            let seen = match begin {
                Some(begin) => begin.0,
                None => dead::newest(&*state.app.bus, channel, 1).await?.next,
            };
            Ok(follow_dead(Follower { state, channel, seen, _room: room }))
        }
    }
}

fn follow_dead(follower: Follower) -> Response {
    let pieces = stream::unfold(Some(follower), |follower| async move {
        let mut follower = follower?;
        match follower.next().await {
            Ok(piece) => piece.map(|piece| (Ok(piece), Some(follower))),
            Err(problem) => {
                tracing::warn!(detail = %problem.detail, channel = follower.channel.dead_letters, "live stream ended");
                Some((Err(std::io::Error::other(problem.code.code)), None))
            }
        }
    });
    live::respond(pieces)
}

/// One who follows the dead letters of a channel.
struct Follower {
    state: Shared,
    channel: &'static Channel,
    /// Everything up to this number was sent, or is of other channels.
    seen: u64,
    _room: Room,
}

impl Follower {
    /// The next piece of the stream: messages, or a sign of life. `None` when the server is closing.
    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let state = Shared::clone(&self.state);
        let keep_alive = tokio::time::sleep(state.app.settings.stream_keep_alive);
        tokio::select! {
            news = self.news() => news.map(Some),
            () = keep_alive => Ok(Some(Bytes::from_static(b":\n\n"))),
            () = state.closed() => Ok(None),
        }
    }

    /// The next dead letters. Safe to cancel.
    async fn news(&mut self) -> Result<Bytes, Problem> {
        loop {
            let bus = &*self.state.app.bus;
            let found = dead::forward(bus, self.channel, self.seen, PAGE_ENTRIES_MAX).await?;
            let (events, letters) = dead::events(&self.state, found.letters).await?;
            if events.is_empty() {
                self.seen = found.next;
                tokio::time::sleep(LOOK_PAUSE).await;
                continue;
            }
            let messages = dead::Messages::new(&self.state, &events, &letters).await?;
            let mut out = Vec::with_capacity(letters.len() * 1_024);
            for (letter, message) in messages.each() {
                live::write_event(&mut out, &DeadLetterId(letter.id).encode(), letter.delivery.kind.name(), &message);
            }
            self.seen = found.next;
            return Ok(out.into());
        }
    }
}
