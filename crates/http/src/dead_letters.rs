//! Deliveries that were given up, and their second chance.

use std::collections::BTreeSet;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use ordermill_core::Timestamp;
use ordermill_core::event::Subject;
use ordermill_core::limits::PAGE_ENTRIES_MAX;
use ordermill_core::process::Role;
use ordermill_ports::bus::DeadLetter;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::body::read_json;
use crate::channels::dead;
use crate::cloud_event::EventName;
use crate::cursor::{Cursor as _, DeadLetterId};
use crate::error_code::{DEAD_LETTER_NOT_FOUND, INVALID_REQUEST};
use crate::openapi::{DeadLetterProblems, ListProblems, RedriveProblems};
use crate::problem::Problem;
use crate::query::{DeadLetterPath, Params};
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
    /// What it says; where one dead letter is asked for, and its event can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    data: Option<Box<RawValue>>,
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
                data: None,
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
    /// Those that are not there, in the order of the request: redriven before, or never given.
    not_found: Vec<u64>,
}

/// List dead letters, oldest first.
///
/// One request looks at 10,000 dead letters at the most, so a page of those of one role or reason may be short and still has its `next`.
#[utoipa::path(
    get, path = "/v1/dead-letters", tag = "operations", operation_id = "list_dead_letters",
    params(
        ("role" = Option<String>, Query, description = "Only those that this role gave up.", example = "archive"),
        ("reason" = Option<String>, Query, description = "Only those with this text somewhere in their reason."),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500, description = "Entries in the page, 1 to 500; 50 if left out."),
    ),
    responses((status = 200, description = "A page of dead letters.", body = DeadLetterPage<'_>), ListProblems)
)]
pub(crate) async fn list(State(state): State<Shared>, mut params: Params) -> Result<Response, Problem> {
    let role = params.parse("role", Role::from_name, "must be the name of a role, such as archive");
    let reason = params.take("reason");
    let after = params.cursor::<DeadLetterId>().map_or(0, |id| id.0);
    let limit = params.limit();
    params.finish()?;
    let fits = |letter: &DeadLetter| {
        role.is_none_or(|role| letter.delivery.role == role)
            && reason.as_ref().is_none_or(|reason| letter.reason.contains(reason))
    };
    // One more than asked for tells whether there is a next page.
    let mut found = dead::find(&*state.app.bus, fits, after, limit + 1).await?;
    let next = if found.letters.len() > limit {
        found.letters.truncate(limit);
        found.letters.last().map(|letter| letter.id)
    } else {
        (!found.is_at_end).then_some(found.next)
    };
    let dead_letters = found.letters.iter().map(DeadLetterView::from).collect();
    let next = next.map(|id| DeadLetterId(id).encode());
    Ok(json(StatusCode::OK, &DeadLetterPage { dead_letters, next }))
}

/// Look at one dead letter, with what its event says.
#[utoipa::path(
    get, path = "/v1/dead-letters/{id}", tag = "operations", operation_id = "get_dead_letter",
    params(("id" = u64, Path, description = "The dead letter.", example = 7)),
    responses((status = 200, description = "The dead letter.", body = DeadLetterView<'_>), DeadLetterProblems)
)]
pub(crate) async fn get(
    State(state): State<Shared>,
    DeadLetterPath(id): DeadLetterPath,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    let found = state.app.bus.dead_letters(Some(id.saturating_sub(1)), 1).await?;
    let Some(letter) = found.into_iter().find(|letter| letter.id == id) else {
        let detail = format!("there is no dead letter {id}; it may have been redriven");
        return Err(Problem::new(&DEAD_LETTER_NOT_FOUND, detail));
    };
    let event = dead::event(&state, &letter).await?;
    let mut view = DeadLetterView::from(&letter);
    view.event.data = event.map(|committed| {
        RawValue::from_string(committed.recorded.event.data()).expect("event data is written as JSON")
    });
    Ok(json(StatusCode::OK, &view))
}

/// Deliver dead letters again, with no tries counted. Ids that are gone are passed over, and named.
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
    let found: BTreeSet<u64> = state.app.bus.redrive(&asked.ids).await?.into_iter().collect();
    let not_found = asked.ids.into_iter().filter(|id| !found.contains(id)).collect();
    Ok(json(StatusCode::OK, &Redriven { redriven: found.len(), not_found }))
}
