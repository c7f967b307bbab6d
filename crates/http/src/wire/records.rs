//! The queue frontend: takes messages with a shared token and hands their data on as records.
//!
//! Its checks come in one order, and each has one body; a message is either durable or nothing of it is kept.

use std::sync::Once;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use ordermill_core::Timestamp;
use ordermill_core::id::RecordId;
use ordermill_core::input::TakeRecord;
use ordermill_core::intake::record_fits;
use ordermill_core::limits::BODY_BYTES_MAX;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::body;
use crate::correlation;
use crate::json::check_depth;
use crate::problem::Problem;
use crate::records;
use crate::representation::json;
use crate::state::{Shared, State as Inner};
use crate::tracking::instant;
use crate::wire::refusals::wire_refusals;

/// The time of a message; the one field that is always looked at.
const TIMESTREAM: &str = "email_timestream";
/// What a message has in strict mode, each with its answer.
const STRICT: [(&str, &str); 4] = [
    ("email_subject", "Missing email_subject"),
    ("email_sender", "Missing email_sender"),
    (TIMESTREAM, "Missing email_timestream"),
    ("email_content", "Missing email_content"),
];

/// What the document says of this system, with the shapes that its refusals refer to by name.
#[derive(OpenApi)]
#[openapi(
    tags((name = "wire: records", description = "The queue frontend: messages with a shared token.")),
    components(schemas(Refused)),
)]
struct Shapes;

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(Shapes::openapi()).routes(routes!(health, send)).routes(routes!(send_message))
}

/// A message.
#[derive(ToSchema)]
#[schema(as = QueueMessage)]
#[expect(dead_code, reason = "the schema of what is read field by field, as each missing one has its own answer")]
pub(crate) struct Message {
    /// The shared token; never kept.
    token: String,
    /// What is kept, with its time.
    data: MessageData,
}

/// The data of a message; any further field is kept with it.
#[derive(ToSchema)]
#[schema(as = QueueMessageData)]
#[expect(dead_code, reason = "part of a schema")]
pub(crate) struct MessageData {
    /// ISO 8601 with `Z` or an offset, or Unix seconds as a number or a text.
    #[schema(value_type = Value, example = "2023-01-01T00:00:00Z")]
    email_timestream: Value,
}

/// A message that was taken.
#[derive(Serialize, ToSchema)]
#[schema(as = QueueMessageSent)]
pub(crate) struct Sent {
    /// Always `Message sent to SQS`.
    #[schema(value_type = String, example = "Message sent to SQS")]
    message: &'static str,
    /// Names the record that became of it.
    #[schema(value_type = String, example = "rec_0198f3c2a1b47c3e9d5f6a7b8c9d0e1f")]
    message_id: RecordId,
}

/// Why a message was not taken.
#[derive(Serialize, ToSchema)]
#[schema(as = QueueError)]
pub(crate) struct Refused {
    #[serde(skip)]
    #[schema(ignore)]
    status: StatusCode,
    /// One of a few fixed texts.
    #[schema(value_type = String, example = "Invalid payload")]
    error: &'static str,
}

/// The frontend lives.
#[derive(Serialize, ToSchema)]
#[schema(as = QueueHealth)]
pub(crate) struct Health {
    /// Always `healthy`.
    #[schema(value_type = String, example = "healthy")]
    status: &'static str,
}

wire_refusals! {
    /// Of handing over messages.
    SendRefusals: Refused = [
        400 "`Invalid payload`, `Missing email_timestream`, `Invalid email_timestream format`, or another missing field in strict mode.",
        408 "The message came too slowly.",
        413 "`Payload too large`.",
        415 "The message is packed: it has a `Content-Encoding`.",
        431 "The headers are too large.",
        500 "Something went wrong here.",
        503 "`Token unavailable` or `Queue unavailable`: nothing was taken.",
    ];
    /// Of asking how it is.
    HealthRefusals: Refused = [
        431 "The headers are too large.",
        500 "Something went wrong here.",
        503 "Too much is under way.",
    ];
}

const fn refused(status: StatusCode, error: &'static str) -> Refused {
    Refused { status, error }
}

impl Refused {
    const PAYLOAD: Self = refused(StatusCode::BAD_REQUEST, "Invalid payload");
    const TOKEN: Self = refused(StatusCode::UNAUTHORIZED, "Invalid token");
    const FORMAT: Self = refused(StatusCode::BAD_REQUEST, "Invalid email_timestream format");
    const TOO_LARGE: Self = refused(StatusCode::PAYLOAD_TOO_LARGE, "Payload too large");
    const NO_TOKEN: Self = refused(StatusCode::SERVICE_UNAVAILABLE, "Token unavailable");
    const NO_QUEUE: Self = refused(StatusCode::SERVICE_UNAVAILABLE, "Queue unavailable");
}

/// What happens before the message is looked at, and in the ledger.
impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        match problem.code.status {
            StatusCode::BAD_REQUEST => Self::PAYLOAD,
            StatusCode::PAYLOAD_TOO_LARGE => Self::TOO_LARGE,
            StatusCode::SERVICE_UNAVAILABLE => Self::NO_QUEUE,
            status => refused(status, problem.code.title),
        }
    }
}

/// A problem in the words of this frontend.
pub(super) fn refuse(problem: Problem) -> Response {
    Refused::from(problem).into_response()
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = json(self.status, &self);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// Whether the queue frontend lives: as JSON, and as a page for those who like that better.
#[utoipa::path(
    get, path = "/", tag = "wire: records", operation_id = "queue_health",
    responses(
        HealthRefusals,
        (status = 200, description = "It lives.", content((Health = "application/json"), (String = "text/html"))),
    )
)]
pub(crate) async fn health(headers: HeaderMap) -> Response {
    if !prefers_html(&headers) {
        return json(StatusCode::OK, &Health { status: "healthy" });
    }
    let mut response = include_str!("records/health.html").into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

/// Hand a message to the queue.
///
/// Checked in this order: the payload's shape, the token, the time. Only `data` is kept; see `/v1/records/{message_id}`.
#[utoipa::path(
    post, path = "/", tag = "wire: records", operation_id = "queue_send",
    request_body = Message,
    responses(
        (status = 200, description = "Durable; its object is written soon after.", body = Sent),
        (status = 401, description = "`Invalid token`.", body = Refused),
        SendRefusals,
    )
)]
pub(crate) async fn send(State(state): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match accept(&state, &parts.headers, body).await {
        Ok(message_id) => json(StatusCode::OK, &Sent { message: "Message sent to SQS", message_id }),
        Err(refused) => refused.into_response(),
    }
}

/// Hand a message to the queue; the same as `POST /`.
#[utoipa::path(
    post, path = "/message", tag = "wire: records", operation_id = "queue_send_message",
    request_body = Message,
    responses(
        (status = 200, description = "Durable; its object is written soon after.", body = Sent),
        (status = 401, description = "`Invalid token`.", body = Refused),
        SendRefusals,
    )
)]
pub(crate) async fn send_message(state: State<Shared>, request: Request) -> Response {
    send(state, request).await
}

/// The checks, in their order. The type of the body is not looked at: clients send this with and without one.
async fn accept(state: &Inner, headers: &HeaderMap, body: Body) -> Result<RecordId, Refused> {
    let body = body::read(state, headers, body, BODY_BYTES_MAX).await?;
    check_depth(&body.bytes)?;
    let payload = serde_json::from_slice(&body.bytes);
    let Ok(Value::Object(mut payload)) = payload else { return Err(Refused::PAYLOAD) };
    let token = payload.remove("token").filter(|token| !token.is_null()).ok_or(Refused::PAYLOAD)?;
    let Some(Value::Object(data)) = payload.remove("data") else { return Err(Refused::PAYLOAD) };
    check_token(state, &token).await?;
    let occurred_at = occurred_at(&data)?;
    if state.app.settings.wire.records_strict {
        check_strictly(&data)?;
    }
    let data = Value::Object(data);
    if !record_fits(&data) {
        return Err(Refused::TOO_LARGE);
    }
    let correlation_id = correlation::correlation_id(headers);
    let record = TakeRecord::new(records::new_id(state), data, Some(occurred_at), correlation_id);
    Ok(records::submit(state, record).await?)
}

async fn check_token(state: &Inner, given: &Value) -> Result<(), Refused> {
    static SAID: Once = Once::new();
    let Some(reference) = &state.app.settings.wire.records_token else {
        SAID.call_once(|| tracing::warn!("no token is configured for records, so no message is taken"));
        return Err(Refused::NO_TOKEN);
    };
    let secret = state.app.secrets.reveal(reference).await.map_err(|error| {
        tracing::warn!(%error, "token of records cannot be had, so no message is taken");
        Refused::NO_TOKEN
    })?;
    if given.as_str().is_some_and(|given| secret.matches(given)) { Ok(()) } else { Err(Refused::TOKEN) }
}

fn is_blank(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}

fn occurred_at(data: &Map<String, Value>) -> Result<Timestamp, Refused> {
    let value = data.get(TIMESTREAM).filter(|value| !is_blank(value));
    let value = value.ok_or(refused(StatusCode::BAD_REQUEST, "Missing email_timestream"))?;
    read_instant(value).ok_or(Refused::FORMAT)
}

/// ISO 8601 with an offset or `Z`, or Unix seconds as a number or a text, however far away.
fn read_instant(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => instant::parse_jackson(text).ok(),
        Value::Number(number) => instant::parse_seconds(&number.to_string()).ok(),
        _ => None,
    }
}

fn check_strictly(data: &Map<String, Value>) -> Result<(), Refused> {
    for (field, error) in STRICT {
        if data.get(field).is_none_or(is_blank) {
            return Err(refused(StatusCode::BAD_REQUEST, error));
        }
    }
    Ok(())
}

/// Whether a page is liked better than JSON (RFC 9110, 12.5.1). Who likes everything alike gets JSON.
fn prefers_html(headers: &HeaderMap) -> bool {
    let ranges: Vec<(String, f32)> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
            (name, weight.unwrap_or(1.0))
        })
        .collect();
    let weight = |names: [&str; 3]| {
        // The most exact range that fits counts.
        let found = names.iter().find_map(|name| ranges.iter().find(|(range, _)| range == name));
        found.map_or(0.0, |(_, weight)| *weight)
    };
    weight(["text/html", "text/*", "*/*"]) > weight(["application/json", "application/*", "*/*"])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_is_for_those_who_like_it_better() {
        let prefers =
            |accept: &'static str| prefers_html(&HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]));
        assert!(!prefers_html(&HeaderMap::new()));
        for html in ["text/html", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "Text/*"] {
            assert!(prefers(html), "{html}");
        }
        for json in ["*/*", "application/json", "application/json, text/html", "text/html;q=0.5, application/json"] {
            assert!(!prefers(json), "{json}");
        }
    }

    #[track_caller]
    fn reads(value: Value, expected: &str) {
        assert_eq!(read_instant(&value).map(|at| at.to_string()).as_deref(), Some(expected), "{value}");
    }

    #[test]
    fn iso_8601_has_a_zone_and_may_have_a_fraction() {
        reads(json!("2023-01-01T00:00:00Z"), "2023-01-01T00:00:00Z");
        reads(json!("2023-01-01T00:00:00+02:00"), "2022-12-31T22:00:00Z");
        reads(json!("2023-01-01T00:00:00-0530"), "2023-01-01T05:30:00Z");
        reads(json!("2023-01-01T00:00:00.123Z"), "2023-01-01T00:00:00.123Z");
        reads(json!(" 2023-01-01 00:00:00Z "), "2023-01-01T00:00:00Z");
        reads(json!("2023-01-01T00:00:00.1234567Z"), "2023-01-01T00:00:00.1234567Z");
    }

    #[test]
    fn unix_seconds_are_a_number_or_a_text() {
        reads(json!(1_672_531_200), "2023-01-01T00:00:00Z");
        reads(json!("1672531200"), "2023-01-01T00:00:00Z");
        reads(json!(1_672_531_200.5), "2023-01-01T00:00:00.5Z");
        reads(json!("1672531200.25"), "2023-01-01T00:00:00.25Z");
        reads(json!(1_672_531_200.123_456), "2023-01-01T00:00:00.123456Z");
        reads(json!(0), "1970-01-01T00:00:00Z");
        reads(json!(-1), "1969-12-31T23:59:59Z");
        reads(json!("-1.5"), "1969-12-31T23:59:58.5Z");
    }

    #[test]
    fn the_far_past_and_future_are_times() {
        reads(json!("0001-01-01T00:00:00Z"), "0001-01-01T00:00:00Z");
        reads(json!("9999-12-30T00:00:00Z"), "9999-12-30T00:00:00Z");
        reads(json!("9999-12-31T23:59:59Z"), "9999-12-30T22:00:00.999999999Z");
        reads(json!(-62_135_596_800_i64), "0001-01-01T00:00:00Z");
    }

    #[test]
    fn what_is_no_time() {
        for bad in [
            "yesterday",
            "2023-01-01",
            "2023-01-01T00:00:00",
            "2023-13-01T00:00:00Z",
            "1e9",
            "inf",
            "nan",
            ".",
            "-",
            "1.2.3",
        ] {
            assert_eq!(read_instant(&json!(bad)), None, "{bad}");
        }
        for bad in [json!(true), json!([]), json!({}), json!(1_672_531_200_000_i64), json!(1e300), json!(u64::MAX)] {
            assert_eq!(read_instant(&bad), None, "{bad}");
        }
    }
}
