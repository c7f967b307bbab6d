//! Deliveries that were given up, and their second chance.

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use ordermill_core::Timestamp;
use ordermill_core::event::Subject;
use ordermill_core::limits::PAGE_ENTRIES_MAX;
use ordermill_ports::bus::DeadLetter;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::body::read_json;
use crate::cloud_event::EventName;
use crate::cursor::{Cursor as _, DeadLetterId};
use crate::error_code::INVALID_REQUEST;
use crate::openapi::{ListProblems, RedriveProblems};
use crate::problem::Problem;
use crate::query::Params;
use crate::representation::json;
use crate::state::Shared;

/// A delivery that was given up.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetter)]
pub(crate) struct DeadLetterView<'a> {
    /// Names it here.
    id: u64,
    /// The role that gave up.
    #[schema(value_type = String, example = "archive")]
    role: &'static str,
    /// Why.
    reason: &'a str,
    /// How often it was tried.
    tries: u32,
    /// Since when it lies here.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// The order it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    order_id: Option<ordermill_core::id::OrderId>,
    /// The event that was delivered.
    event: DeliveredEvent<'a>,
}

/// The event that was delivered.
#[derive(Serialize, ToSchema)]
struct DeliveredEvent<'a> {
    /// Its name in the feed.
    #[schema(value_type = String)]
    id: EventName<'a>,
    /// Its type.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    kind: &'static str,
    /// When it was decided.
    #[schema(value_type = String, format = DateTime)]
    time: Timestamp,
}

impl<'a> From<&'a DeadLetter> for DeadLetterView<'a> {
    fn from(letter: &'a DeadLetter) -> Self {
        let delivery = &letter.delivery;
        Self {
            id: letter.id,
            role: delivery.role.as_str(),
            reason: &letter.reason,
            tries: delivery.tries,
            since: letter.since,
            order_id: match &delivery.subject {
                Subject::Order(order_id) => Some(*order_id),
                _ => None,
            },
            event: DeliveredEvent {
                id: EventName { subject: &delivery.subject, version: delivery.version },
                kind: delivery.kind.name(),
                time: delivery.at,
            },
        }
    }
}

/// A page of dead letters, oldest first.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetterPage)]
pub(crate) struct DeadLetterPage<'a> {
    /// The dead letters.
    dead_letters: Vec<DeadLetterView<'a>>,
    /// Gives the next page; `null` at the end.
    next: Option<String>,
}

/// Which dead letters are to be delivered again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedriveRequest {
    /// Their ids, at most 500.
    ids: Vec<u64>,
}

/// What became of a redrive.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Redriven {
    /// How many of them were found and are delivered again.
    redriven: usize,
}

/// List dead letters, oldest first.
#[utoipa::path(
    get, path = "/v1/dead-letters", tag = "operations", operation_id = "list_dead_letters",
    params(
        ("cursor" = Option<String>, Query, description = "The `next` of the page before."),
        ("limit" = Option<u32>, Query, description = "Entries in the page, 1 to 500; 50 if left out."),
    ),
    responses((status = 200, description = "A page of dead letters.", body = DeadLetterPage<'_>), ListProblems)
)]
pub(crate) async fn list(State(state): State<Shared>, mut params: Params) -> Result<Response, Problem> {
    let after = params.cursor::<DeadLetterId>().map(|id| id.0);
    let limit = params.limit();
    params.finish()?;
    // One more than asked for tells whether there is a next page.
    let mut letters = state.app.bus.dead_letters(after, limit + 1).await?;
    let more = letters.len() > limit;
    letters.truncate(limit);
    let next = letters.last().filter(|_| more).map(|letter| DeadLetterId(letter.id).encode());
    let dead_letters = letters.iter().map(DeadLetterView::from).collect();
    Ok(json(StatusCode::OK, &DeadLetterPage { dead_letters, next }))
}

/// Deliver dead letters again, with no tries counted. Ids that are gone are passed over.
#[utoipa::path(
    post, path = "/v1/dead-letters/redrive", tag = "operations", operation_id = "redrive_dead_letters",
    request_body = RedriveRequest,
    responses((status = 200, description = "How many are delivered again.", body = Redriven), RedriveProblems)
)]
pub(crate) async fn redrive(State(state): State<Shared>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let asked: RedriveRequest = read_json(&state, &parts.headers, body, &INVALID_REQUEST).await?;
    if asked.ids.len() > PAGE_ENTRIES_MAX {
        let message = format!("must have at most {PAGE_ENTRIES_MAX} ids, has {}", asked.ids.len());
        return Err(Problem::field(&INVALID_REQUEST, "ids", message));
    }
    let redriven = state.app.bus.redrive(&asked.ids).await?;
    Ok(json(StatusCode::OK, &Redriven { redriven }))
}
