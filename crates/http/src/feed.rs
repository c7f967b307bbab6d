//! `GET /v1/events`: everything that happened, in one feed.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use ordermill_ports::Position;
use serde::Serialize;
use utoipa::ToSchema;

use crate::cloud_event::CloudEvent;
use crate::cursor::Cursor as _;
use crate::openapi::ListProblems;
use crate::problem::Problem;
use crate::query::Params;
use crate::representation::json;
use crate::state::{Shared, State as Inner};

mod dress;
mod filter;
mod scan;
pub(crate) mod stream;

pub(crate) use self::dress::{Dress, Dressed, Plain};
pub(crate) use self::filter::FeedFilter;
pub(crate) use self::scan::{SCAN_EVENTS_MAX, forward, newest};

/// A page of the feed, oldest first.
#[derive(Serialize, ToSchema)]
#[schema(as = EventPage)]
pub(crate) struct EventPage<'a> {
    /// The events.
    #[schema(value_type = Vec<CloudEvent<'_>>)]
    events: Dressed<'a, Plain>,
    /// Gives what comes behind these; at the end of the feed too, so that it can be asked again for news.
    #[schema(value_type = String)]
    next: String,
}

/// Read the feed of all events, oldest first.
///
/// Every event is there once, and the events of one order in their order. Nothing ever appears before a place that was read. With a
/// filter, a page may be short, or empty, and still has its `next`: one request looks at 10,000 events at the most. `change=insert`
/// gives what is new and leaves out what happens to it later, as a change stream of a table does.
#[utoipa::path(
    get, path = "/v1/events", tag = "events", operation_id = "list_events",
    params(
        ("subject" = Option<String>, Query, description = "Events about `order`, `product`, `customer`, `parcel` or `record`; repeated, or separated by commas."),
        ("type" = Option<String>, Query, description = "Events of these types, such as `order.placed`; repeated, or separated by commas."),
        ("change" = Option<String>, Query, description = "`insert`: the first event of its subject; `remove`: its deletion; `modify`: every other."),
        ("wait" = Option<u32>, Query, description = "Where there is nothing behind the cursor yet: answer as soon as there is, or after so many seconds (at most 60)."),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before; the beginning if left out."),
        ("limit" = Option<u32>, Query, description = "Events in the page, 1 to 500; 50 if left out."),
    ),
    responses((status = 200, description = "A page of events.", body = EventPage<'_>), ListProblems)
)]
pub(crate) async fn list(State(state): State<Shared>, mut params: Params) -> Result<Response, Problem> {
    let filter = FeedFilter::from_params(&mut params);
    let patience = patience(&state, &mut params);
    let after = params.cursor::<Position>().unwrap_or_default();
    let limit = params.limit();
    params.finish()?;
    let found = scan::forward_patiently(&state, &filter, after, limit, patience).await?;
    let events = Dressed::new(&state, &found.events).await?;
    Ok(json(StatusCode::OK, &EventPage { events, next: found.next.encode() }))
}

fn patience(state: &Inner, params: &mut Params) -> Duration {
    let seconds = params.parse("wait", |text| text.parse::<u32>().ok(), "must be a number of seconds");
    Duration::from_secs(seconds.unwrap_or(0).into()).min(state.app.settings.prefer_wait_max)
}

/// Whether a request to this route waits for news.
pub(crate) fn waits(route: &str, query: Option<&str>) -> bool {
    route == "/v1/events" && query.is_some_and(|query| query.split('&').any(|pair| pair.starts_with("wait=")))
}
