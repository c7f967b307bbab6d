//! `GET /v1/tracking/{id}/events` and `GET /v1/tracking/{id}/stream`: everything that was reported of a parcel.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use ordermill_core::event::{Placement, Subject};
use ordermill_core::id::ParcelId;
use ordermill_ports::queries::{Committed, Queries, QueryError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::cloud_event::CloudEvent;
use crate::live::{self, Followed};
use crate::openapi::ParcelProblems;
use crate::orders::events::Events;
use crate::problem::Problem;
use crate::query::{Params, ParcelPath};
use crate::representation::json;
use crate::state::Shared;
use crate::tracking::parcel;
use crate::tracking::reader::Reader;

/// What was reported of a parcel, in the order in which it came in.
#[derive(Serialize, ToSchema)]
pub(crate) struct ParcelEvents<'a> {
    /// `tracking.moved`, `tracking.late` and `tracking.refused`, each with `status` and `seen_at` in its `data`; a refused one with the
    /// `reason`. Duplicates are not kept.
    #[schema(value_type = Vec<CloudEvent<'_>>)]
    events: Events<'a>,
}

/// Get everything that was reported of a parcel, in the order in which it came in.
///
/// Reports that were late, and those that were refused, are here with the others: this is the audit trail.
/// With `Accept: text/event-stream` this is the live stream of `/v1/tracking/{id}/stream`.
#[utoipa::path(
    get, path = "/v1/tracking/{id}/events", tag = "tracking", operation_id = "list_parcel_events",
    params(
        ("id" = String, Path, description = "The parcel, by any of its names."),
        ("after" = Option<u32>, Query, description = "Only events behind this `sequence`."),
    ),
    responses((status = 200, description = "The events.", body = ParcelEvents<'_>), ParcelProblems)
)]
pub(crate) async fn list(
    State(state): State<Shared>,
    _reader: Reader,
    ParcelPath(id): ParcelPath,
    mut params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let after = after(&mut params);
    params.finish()?;
    if live::is_wanted(&headers) {
        return open(&state, &id, after, &headers).await;
    }
    let found = parcel::find(&state, &id).await?;
    let events = state.app.queries.parcel_events(&found.parcel.id, after.unwrap_or(0)).await?;
    let events = Events { source: &state.app.settings.event_source, events: &events, placement: None };
    Ok(json(StatusCode::OK, &ParcelEvents { events }))
}

/// Follow what is reported of a parcel.
///
/// Server-sent events: `id` is the event's `sequence`, `event` its type, `data` the CloudEvent. A client that comes back with
/// `Last-Event-ID` misses nothing. Comments keep the connection alive. The stream stays open until the client or the server goes.
#[utoipa::path(
    get, path = "/v1/tracking/{id}/stream", tag = "tracking", operation_id = "follow_parcel",
    params(
        ("id" = String, Path, description = "The parcel, by any of its names."),
        ("after" = Option<u32>, Query, description = "Only events behind this `sequence`."),
        ("Last-Event-ID" = Option<u32>, Header, description = "The same, as browsers send it when they come back."),
    ),
    responses(
        (status = 200, description = "The events, oldest first, then each as it happens.", body = String, content_type = "text/event-stream"),
        ParcelProblems,
    )
)]
pub(crate) async fn follow(
    State(state): State<Shared>,
    _reader: Reader,
    ParcelPath(id): ParcelPath,
    mut params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let after = after(&mut params);
    params.finish()?;
    open(&state, &id, after, &headers).await
}

fn after(params: &mut Params) -> Option<u32> {
    params.parse("after", |text| text.parse().ok(), "must be the sequence of an event")
}

async fn open(state: &Shared, id: &ParcelId, after: Option<u32>, headers: &HeaderMap) -> Result<Response, Problem> {
    let begin = live::begin(state, headers, after)?;
    let found = parcel::find(state, id).await?;
    Ok(live::follow(state, begin, FollowedParcel(found.parcel.id.clone())))
}

struct FollowedParcel(ParcelId);

impl Followed for FollowedParcel {
    fn subject(&self) -> Subject {
        Subject::Parcel(self.0.clone())
    }

    fn placement(&self) -> Option<&Placement> {
        None
    }

    async fn events(&self, queries: &dyn Queries, after: u32) -> Result<Vec<Committed>, QueryError> {
        queries.parcel_events(&self.0, after).await
    }

    async fn changed(&self, queries: &dyn Queries, after: u32) -> Result<(), QueryError> {
        queries.parcel_changed(&self.0, after).await.map(drop)
    }
}
