//! `/v1/records`: data that is handed over to be kept, one object each.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, StatusCode};
use ordermill_core::Timestamp;
use ordermill_core::id::{CorrelationId, RecordId};
use ordermill_core::input::{Body as InputBody, Input, TakeRecord};
use ordermill_core::intake::RecordDraft;
use ordermill_core::record::Record;
use ordermill_ports::ledger::OutcomeSubject;
use ordermill_ports::queries::RecordFilter;
use ordermill_ports::{Outcome, Source};
use serde::{Serialize, Serializer};
use serde_json::Value;
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::body::read_json;
use crate::correlation;
use crate::cursor::Cursor as _;
use crate::error_code::{INVALID_REQUEST, RECORD_NOT_FOUND};
use crate::etag;
use crate::idempotency;
use crate::openapi::{ListProblems, ReadRecordProblems, RecordProblems, RecordRequest};
use crate::problem::Problem;
use crate::query::{Params, RecordPath};
use crate::representation::json;
use crate::state::{Shared, State as Inner};
use crate::submit;

/// How long it is tried to find out whether a record was taken.
const FIND_OUT_TIMEOUT: Duration = Duration::from_secs(5);

/// A record.
#[derive(Serialize, ToSchema)]
#[schema(as = Record)]
pub(crate) struct RecordView<'a> {
    /// Its id.
    #[schema(value_type = String, example = "rec_0198f3c2a1b47c3e9d5f6a7b8c9d0e1f")]
    record_id: RecordId,
    /// How far it has come.
    status: RecordStatus,
    /// What was handed over.
    #[schema(value_type = Object)]
    data: &'a Value,
    /// The time the data names as its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    occurred_at: Option<Timestamp>,
    /// When it was taken.
    #[schema(value_type = String, format = DateTime)]
    received_at: Timestamp,
    /// The key of its object, once it is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "processed/2026/01/31/12/rec_0198f3c2a1b47c3e9d5f6a7b8c9d0e1f.json")]
    key: Option<&'a str>,
    /// Which of the tries to write it succeeded, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    /// When it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    stored_at: Option<Timestamp>,
    /// Given by the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    correlation_id: Option<&'a CorrelationId>,
}

/// How far a record has come.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RecordStatus {
    /// Taken and durable; its object is not written yet.
    Queued,
    /// Its object is written.
    Stored,
}

impl<'a> RecordView<'a> {
    fn new(record: &'a Record) -> Self {
        let stored = record.stored.as_ref();
        Self {
            record_id: record.id,
            status: if stored.is_some() { RecordStatus::Stored } else { RecordStatus::Queued },
            data: &record.received.data,
            occurred_at: record.received.occurred_at,
            received_at: record.received_at,
            key: stored.map(|stored| &*stored.key),
            attempts: stored.map(|stored| stored.attempts),
            stored_at: record.stored_at,
            correlation_id: record.received.correlation_id.as_ref(),
        }
    }
}

/// A page of records, newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = RecordPage)]
pub(crate) struct RecordPage {
    /// The records.
    #[schema(value_type = Vec<RecordView<'_>>)]
    records: RecordViews,
    /// Gives the next page; `null` at the end.
    next: Option<String>,
}

struct RecordViews(Vec<Arc<Record>>);

impl Serialize for RecordViews {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|record| RecordView::new(record)))
    }
}

/// Hand over a record.
///
/// Answered 202 as soon as it is durable; the records role writes its object soon after, under a key that follows from the record. The
/// same request with the same `Idempotency-Key` gets the same answer.
#[utoipa::path(
    post, path = "/v1/records", tag = "records", operation_id = "take_record",
    request_body = RecordRequest,
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to send again."),
        ("X-Correlation-Id" = Option<String>, Header, description = "Kept with the record."),
    ),
    responses(
        (status = 202, description = "Taken and durable.", body = RecordView<'_>, headers(
            ("Location" = String, description = "The record."),
            ("Idempotent-Replayed" = Option<String>, description = "`true` when this repeats the first answer."),
        )),
        RecordProblems,
    )
)]
pub(crate) async fn take(State(state): State<Shared>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let draft: RecordDraft = read_json(&state, &parts.headers, body, &INVALID_REQUEST).await?;
    let mut record = draft.check(new_id(&state)).map_err(|errors| Problem::violations(&INVALID_REQUEST, errors))?;
    record.received.correlation_id = correlation::correlation_id(&parts.headers);
    let meaning = ("take_record", record.received.data.clone(), record.received.occurred_at);
    let input = idempotency::keyed(&parts.headers, InputBody::TakeRecord(Box::new(record)), &meaning)?;
    let outcome = state.app.ledger.submit_one(Source::Live, input).await?;
    let record = record_of(&outcome)?;
    // What is answered first is answered each time.
    let taken = Record { stored: None, stored_at: None, ..Record::clone(record) };
    let mut response = json(StatusCode::ACCEPTED, &RecordView::new(&taken));
    let address = HeaderValue::from_str(&format!("/v1/records/{}", record.id));
    response.headers_mut().insert(LOCATION, address.expect("a record's id is a header value"));
    idempotency::mark_replayed(&mut response, outcome.replayed);
    Ok(response)
}

/// A new id.
pub(crate) fn new_id(state: &Inner) -> RecordId {
    RecordId::from_uuid(state.app.random.order_id(state.app.clock.now()).uuid())
}

/// Takes a record that was checked elsewhere. A commit that was not heard of is found out, as a caller without a key would send it again
/// and it would be there twice.
///
/// # Errors
/// Why it was not taken.
pub(crate) async fn submit(state: &Inner, record: TakeRecord) -> Result<RecordId, Problem> {
    let input = Input::new(InputBody::TakeRecord(Box::new(record)));
    let known = timeout(FIND_OUT_TIMEOUT, submit::until_known(state, input)).await;
    let outcome = known.map_err(|_elapsed| Problem::outcome_unknown())??;
    record_of(&outcome).map(|record| record.id)
}

fn record_of(outcome: &Outcome) -> Result<&Arc<Record>, Problem> {
    match &outcome.subject {
        OutcomeSubject::Record(record) => Ok(record),
        _ => Err(Problem::internal(&"the ledger gave no record for an input about one")),
    }
}

/// List records, newest first.
#[utoipa::path(
    get, path = "/v1/records", tag = "records", operation_id = "list_records",
    params(
        ("stored" = Option<bool>, Query, description = "Whose object is written, or is not."),
        ("from" = Option<String>, Query, description = "Taken at this instant or later."),
        ("to" = Option<String>, Query, description = "Taken before this instant."),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500, description = "Records in the page, 1 to 500; 50 if left out."),
    ),
    responses((status = 200, description = "A page of records.", body = RecordPage), ListProblems)
)]
pub(crate) async fn list(State(state): State<Shared>, mut params: Params) -> Result<Response, Problem> {
    let filter = RecordFilter {
        stored: params.parse("stored", |text| text.parse().ok(), "must be true or false"),
        from: params.time("from"),
        to: params.time("to"),
    };
    let before = params.cursor::<RecordId>();
    let limit = params.limit();
    params.finish()?;
    let page = state.app.queries.list_records(filter, before, limit).await?;
    let next = page.next.map(|id| id.encode());
    Ok(json(StatusCode::OK, &RecordPage { records: RecordViews(page.entries), next }))
}

/// Get one record.
#[utoipa::path(
    get, path = "/v1/records/{id}", tag = "records", operation_id = "get_record",
    params(
        ("id" = String, Path, description = "The record's id, `rec_…`."),
        ("If-None-Match" = Option<String>, Header, description = "An `ETag`; answered 304 while the record is still that one."),
    ),
    responses(
        (status = 200, description = "The record.", body = RecordView<'_>, headers(("ETag" = String, description = "The record's version."))),
        (status = 304, description = "Unchanged."),
        ReadRecordProblems,
    )
)]
pub(crate) async fn get(
    State(state): State<Shared>,
    RecordPath(id): RecordPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let record = state.app.queries.record(id).await?;
    let record = record.ok_or_else(|| Problem::new(&RECORD_NOT_FOUND, format!("there is no record {id}")))?;
    Ok(etag::answer_read(&headers, record.version.into(), &RecordView::new(&record)))
}
