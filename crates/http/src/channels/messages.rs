//! `GET /v1/channels/{name}/messages`: a look at the messages, without taking them from anybody.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use ordermill_core::Timestamp;
use ordermill_core::channel::{MessageKey, TrackingValue};
use ordermill_core::limits::PAGE_ENTRIES_MAX;
use ordermill_ports::Position;
use ordermill_ports::bus::DeadLetter;
use ordermill_ports::queries::Committed;
use serde::Serialize;
use utoipa::ToSchema;

use crate::channels::{ChannelPath, dead};
use crate::cloud_event::CloudEvent;
use crate::cursor::{Cursor as _, DeadLetterId};
use crate::feed::{self, Dress, Dressed, FeedFilter};
use crate::openapi::ChannelProblems;
use crate::problem::Problem;
use crate::query::Params;
use crate::representation::json;
use crate::state::Shared;

/// A message of a channel: an event, with what a broker adds to it.
#[derive(Serialize, ToSchema)]
#[schema(as = ChannelMessage)]
pub(crate) struct MessageView<'a> {
    /// The event.
    #[serde(flatten)]
    event: CloudEvent<'a>,
    /// Messages with one key keep their order.
    #[schema(value_type = String)]
    key: MessageKey<'a>,
    /// What the readers of `order-tracking.events` get.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<TrackingValueSchema>)]
    value: Option<TrackingValue<'a>>,
    /// Why it was given up; in dead-letter channels only.
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letter: Option<GivenUp<'a>>,
}

/// A message of `order-tracking.events`.
#[derive(Serialize, ToSchema)]
#[schema(as = TrackingValue)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TrackingValueSchema {
    /// What the carrier calls the order.
    order_id: String,
    /// Where its parcel is.
    #[schema(example = "PICKED_UP_AT_WAREHOUSE")]
    status: String,
    /// When it was seen there.
    #[schema(format = DateTime)]
    event_ts: String,
    /// Always `v1`.
    #[schema(example = "v1")]
    schema_version: String,
}

/// Why a message was given up.
#[derive(Serialize, ToSchema)]
#[schema(as = GivenUp)]
pub(crate) struct GivenUp<'a> {
    /// Names the dead letter, for `/v1/dead-letters/redrive`.
    id: u64,
    /// The role that gave up.
    #[schema(value_type = String)]
    role: &'static str,
    /// Why.
    reason: &'a str,
    /// How often it was tried.
    tries: u32,
    /// Since when it lies here.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
}

impl<'a> MessageView<'a> {
    /// The same as a dead letter.
    pub fn given_up(self, letter: &'a DeadLetter) -> Self {
        let dead_letter = GivenUp {
            id: letter.id,
            role: letter.delivery.role.as_str(),
            reason: &letter.reason,
            tries: letter.delivery.tries,
            since: letter.since,
        };
        Self { dead_letter: Some(dead_letter), ..self }
    }
}

/// Shows events as messages.
pub(crate) struct AsMessage;

impl Dress for AsMessage {
    type Shown<'a> = MessageView<'a>;

    fn show<'a>(committed: &'a Committed, event: CloudEvent<'a>) -> MessageView<'a> {
        let recorded = &committed.recorded;
        MessageView { event, key: MessageKey(&recorded.subject), value: TrackingValue::of(recorded), dead_letter: None }
    }
}

/// A page of messages, oldest first.
#[derive(Serialize, ToSchema)]
#[schema(as = ChannelMessagePage)]
pub(crate) struct MessagePage<'a> {
    /// The messages.
    #[schema(value_type = Vec<MessageView<'_>>)]
    messages: Messages<'a>,
    /// Gives the next page; `null` at the end. With `last`, the place to follow the stream from.
    next: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Messages<'a> {
    Live(Dressed<'a, AsMessage>),
    GivenUp(dead::Messages<'a>),
}

/// Look at the messages of a channel, oldest first. Nobody loses them by that.
///
/// Under the name of a dead-letter channel: those that were given up, each with its reason. One request looks at 10,000 events or dead
/// letters at the most, so a page may be short and still has its `next`.
#[utoipa::path(
    get, path = "/v1/channels/{name}/messages", tag = "channels", operation_id = "list_channel_messages",
    params(
        ("name" = String, Path, description = "The channel, or a dead-letter channel.", example = "order_queue"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before; the beginning if left out."),
        ("limit" = Option<u32>, Query, description = "Messages in the page, 1 to 500; 50 if left out."),
        ("last" = Option<u32>, Query, description = "The newest so many instead, 1 to 500; not with `cursor`."),
    ),
    responses((status = 200, description = "A page of messages.", body = MessagePage<'_>), ChannelProblems)
)]
pub(crate) async fn list(
    State(state): State<Shared>,
    channel: ChannelPath,
    mut params: Params,
) -> Result<Response, Problem> {
    let read = |text: &str| text.parse().ok().filter(|last| (1..=PAGE_ENTRIES_MAX).contains(last));
    let last = params.parse("last", read, &format!("must be from 1 to {PAGE_ENTRIES_MAX}"));
    let limit = params.limit();
    let (events_after, letters_after) = match channel {
        ChannelPath::Messages(_) => (params.cursor::<Position>(), None),
        ChannelPath::DeadLetters(_) => (None, params.cursor::<DeadLetterId>()),
    };
    if last.is_some() && (events_after.is_some() || letters_after.is_some()) {
        params.report("last", "must not be given with cursor");
    }
    params.finish()?;
    match (channel, last) {
        (ChannelPath::Messages(channel), last) => {
            let filter = FeedFilter::of_types(channel.event_types);
            let queries = &*state.app.queries;
            let found = match last {
                Some(last) => feed::newest(queries, &filter, last).await?,
                None => feed::forward(queries, &filter, events_after.unwrap_or_default(), limit).await?,
            };
            let next = (last.is_some() || !found.is_at_end).then(|| found.next.encode());
            let messages = Messages::Live(Dressed::new(&state, &found.events).await?);
            Ok(json(StatusCode::OK, &MessagePage { messages, next }))
        }
        (ChannelPath::DeadLetters(channel), last) => {
            let bus = &*state.app.bus;
            let found = match last {
                Some(last) => dead::newest(bus, channel, last).await?,
                None => dead::forward(bus, channel, letters_after.map_or(0, |id| id.0), limit).await?,
            };
            let next = (last.is_some() || !found.is_at_end).then(|| DeadLetterId(found.next).encode());
            let (events, letters) = dead::events(&state, found.letters).await?;
            let messages = Messages::GivenUp(dead::Messages::new(&state, &events, &letters).await?);
            Ok(json(StatusCode::OK, &MessagePage { messages, next }))
        }
    }
}
