//! S4, order tracking: `POST /order/tracking`, and the addresses at which its operators look.
//!
//! What it takes is what its clients send. JSON is read as leniently as they know it from Jackson: fields that are not known are passed
//! over; `orderId` may be a number; `eventTs` may be seconds since 1970, as a number or as a text of digits, and stand between blanks as
//! `status` may. It is stricter where being lenient would be guessing: statuses have their names only, a field that is given twice is
//! refused, and so is a batch of which one event is not right, before any of it is taken. XML is read as `tracking::xml` says.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use ordermill_core::id::CorrelationId;
use ordermill_core::input::ParcelReport;
use ordermill_core::parcel::ParcelStatus;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::{KnownFormat, RefOr};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{self, TRACKING_WRITE};
use crate::body::{self, MediaType};
use crate::correlation;
use crate::error_code::{INVALID_TRACKING, MALFORMED_XML};
use crate::health;
use crate::openapi::WireTrackingProblems;
use crate::problem::Problem;
use crate::representation::json;
use crate::state::{Shared, State as Inner};
use crate::tracking::draft::{self, Dialect};
use crate::tracking::intake::{self, Taken};
use crate::tracking::json::{self as json_batch, Speaks};
use crate::tracking::xml as xml_batch;

/// The route that does work.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(track))
}

/// The routes that must answer however much is under way.
pub(super) fn watching() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(actuator_health))
        .routes(routes!(actuator_info))
        .routes(routes!(actuator_prometheus))
}

/// The names of this system.
struct Wire;

impl Speaks for Wire {
    const DIALECT: &'static Dialect = &Dialect {
        list: "event",
        id: "orderId",
        status: "status",
        seen_at: "eventTs",
        status_name: ParcelStatus::carrier_name,
        lenient: true,
        invalid: &INVALID_TRACKING,
    };
}

/// A batch of tracking events.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the schema of what is read without building it")]
#[schema(xml(name = "events"))]
pub(crate) struct TrackingBatch {
    /// From 1 to 10,000 events. Those of one order are taken in this order.
    #[schema(min_items = 1, max_items = 10_000)]
    event: Vec<TrackingEvent>,
}

/// Where a parcel was seen, and when.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the schema of what is read without building it")]
#[schema(xml(name = "event"))]
pub(crate) struct TrackingEvent {
    /// Our id of the order, the shop's `order_ref`, or a name never heard here.
    #[schema(rename = "orderId", min_length = 1, max_length = 128, example = "ORD-1001")]
    order_id: String,
    /// Where the parcel is.
    status: TrackingStatus,
    /// When it was seen there: ISO 8601 with `Z` or an offset, or seconds since 1970. Past and future are taken, from the year -9999 to
    /// 9999.
    #[schema(rename = "eventTs", schema_with = event_ts)]
    event_ts: String,
}

fn event_ts() -> RefOr<Schema> {
    let text = ObjectBuilder::new().schema_type(Type::String);
    let text = text.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
    let number = ObjectBuilder::new().schema_type(Type::Number);
    let either = OneOfBuilder::new().item(text).item(number);
    RefOr::T(either.description(Some("ISO 8601 with `Z` or an offset, or seconds since 1970.")).build().into())
}

/// Where a parcel is.
#[derive(ToSchema)]
#[schema(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(dead_code, reason = "the schema of core's names; a test holds them equal")]
pub(crate) enum TrackingStatus {
    /// The carrier has it.
    PickedUpAtWarehouse,
    /// On the last mile.
    OutForDelivery,
    /// Something is wrong.
    DeliveryIssue,
    /// Handed over; final.
    Delivered,
}

/// What came of one event.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TrackingResult<'a> {
    /// As the event has it.
    order_id: &'a str,
    /// Whether it was taken, now or before.
    accepted: bool,
    /// Whether it is durably queued for publication.
    published: bool,
    /// `duplicate`, `late`, or why it was refused: `same_status`, `already_delivered`, `out_of_order`, `too_many_events`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "duplicate")]
    reason: Option<&'static str>,
}

struct Results<'a>(&'a [Taken]);

impl Serialize for Results<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|taken| TrackingResult {
            order_id: taken.name.as_str(),
            accepted: taken.is_accepted(),
            published: taken.is_published(),
            reason: taken.reason(),
        }))
    }
}

/// Report tracking events.
///
/// JSON `{"event":[{"orderId","status","eventTs"}]}`, or XML `<events><event><orderId/><status/><eventTs/></event></events>`; the answer
/// is JSON. The batch is checked as a whole first: when one event has not the right form, none is taken. Then each is decided by itself,
/// those of one order in their order. The same event again is accepted with `published` false and the reason `duplicate`; one that is
/// older than where the parcel is known to be is accepted with the reason `late` and does not move it; one that cannot be is not accepted,
/// with the reason.
///
/// A batch that was answered 503, or not at all, is safe to send again: events that were taken are duplicates then.
///
/// XML has to be UTF-8, without a `DOCTYPE`. Namespaces and attributes count for nothing, and elements that are not known are passed over.
#[utoipa::path(
    post, path = "/order/tracking", tag = "wire: tracking", operation_id = "track_orders",
    request_body(content((TrackingBatch = "application/json"), (TrackingBatch = "application/xml"))),
    params(("X-Correlation-Id" = Option<String>, Header, description = "Kept with what is stored of these events. At most 128 characters.")),
    responses(
        (status = 202, description = "What came of each event, in their order.", body = Vec<TrackingResult<'_>>),
        WireTrackingProblems,
    )
)]
async fn track(State(state): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let auth = state.app.settings.wire.tracking_auth;
    if let Err(denied) = auth::admit(&state, &parts.headers, auth, TRACKING_WRITE).await {
        return denied.into_response();
    }
    match receive(&state, &parts.headers, body).await {
        Ok(taken) => json(StatusCode::ACCEPTED, &Results(&taken)),
        Err(problem) => problem.into_response(),
    }
}

/// Makes reports of a body.
type Read = fn(&[u8], Option<&CorrelationId>) -> Result<Vec<ParcelReport>, Problem>;

async fn receive(state: &Inner, headers: &HeaderMap, body: Body) -> Result<Vec<Taken>, Problem> {
    let read: Read = match body::media_type(headers) {
        MediaType::Json => read_json,
        MediaType::Xml => {
            check_charset(headers)?;
            read_xml
        }
        MediaType::Ndjson | MediaType::Other => {
            return Err(body::unsupported(headers, "application/json or application/xml"));
        }
    };
    let correlation_id = correlation::correlation_id(headers);
    intake::receive(state, headers, body, move |bytes| read(bytes, correlation_id.as_ref())).await
}

fn read_json(bytes: &[u8], correlation_id: Option<&CorrelationId>) -> Result<Vec<ParcelReport>, Problem> {
    draft::check(Wire::DIALECT, json_batch::read::<Wire>(bytes)?, correlation_id)
}

fn read_xml(bytes: &[u8], correlation_id: Option<&CorrelationId>) -> Result<Vec<ParcelReport>, Problem> {
    draft::check(Wire::DIALECT, xml_batch::read(bytes, Wire::DIALECT)?, correlation_id)
}

/// `charset` stands above what the document says of itself (RFC 7303, 3), so it has to name UTF-8 as well.
fn check_charset(headers: &HeaderMap) -> Result<(), Problem> {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let parameters = value.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let mut charsets = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    match charsets.find(|(_, charset)| !charset.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")) {
        None => Ok(()),
        Some((_, charset)) => {
            let detail = format!("the encoding must be UTF-8, is declared as {}", charset.trim());
            Err(Problem::new(&MALFORMED_XML, detail))
        }
    }
}

/// All is well.
#[derive(Serialize, ToSchema)]
pub(crate) struct ActuatorHealth {
    /// Always `UP`.
    #[schema(value_type = String, example = "UP")]
    status: &'static str,
}

/// Whether the process lives, as this system's load balancer asks. Asks nothing of anything behind it; `/readyz` does.
#[utoipa::path(
    get, path = "/actuator/health", tag = "wire: tracking", operation_id = "actuator_health",
    responses((status = 200, description = "It lives.", body = ActuatorHealth))
)]
async fn actuator_health() -> Response {
    json(StatusCode::OK, &ActuatorHealth { status: "UP" })
}

/// What runs here.
#[derive(Serialize, ToSchema)]
pub(crate) struct ActuatorInfo {
    /// The program.
    build: ActuatorBuild,
}

/// A program.
#[derive(Serialize, ToSchema)]
pub(crate) struct ActuatorBuild {
    /// Its name.
    #[schema(value_type = String, example = "ordermill")]
    name: &'static str,
    /// Its version.
    #[schema(value_type = String, example = "0.1.0")]
    version: &'static str,
}

/// What runs here, as this system's operators ask.
#[utoipa::path(
    get, path = "/actuator/info", tag = "wire: tracking", operation_id = "actuator_info",
    responses((status = 200, description = "The program and its version.", body = ActuatorInfo))
)]
async fn actuator_info() -> Response {
    let build = ActuatorBuild { name: "ordermill", version: env!("CARGO_PKG_VERSION") };
    json(StatusCode::OK, &ActuatorInfo { build })
}

/// The metrics of the process, as at `/metrics`.
#[utoipa::path(
    get, path = "/actuator/prometheus", tag = "wire: tracking", operation_id = "actuator_prometheus",
    responses((status = 200, description = "The metrics.", body = String, content_type = "text/plain"))
)]
async fn actuator_prometheus(state: State<Shared>) -> Response {
    health::metrics(state).await
}
