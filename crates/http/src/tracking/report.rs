//! `POST /v1/tracking`: carriers report where parcels are.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use ordermill_core::parcel::{ParcelStatus, Verdict};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::auth::{self, TRACKING_WRITE};
use crate::body::{self, MediaType};
use crate::correlation;
use crate::error_code::INVALID_REQUEST;
use crate::openapi::ReportProblems;
use crate::problem::Problem;
use crate::representation::json;
use crate::state::{Shared, State as Inner};
use crate::tracking::draft::{self, Dialect};
use crate::tracking::intake::{self, Taken};
use crate::tracking::json::{self as batch, Speaks};
use crate::tracking::metrics::verdict_name;
use crate::tracking::parcel::ParcelState;

/// The names of `/v1`.
struct Canonical;

impl Speaks for Canonical {
    const DIALECT: &'static Dialect = &Dialect {
        list: "reports",
        id: "parcel_id",
        status: "status",
        seen_at: "seen_at",
        status_name: ParcelStatus::as_str,
        lenient: false,
        invalid: &INVALID_REQUEST,
    };
}

/// Reports of one carrier, about one parcel or many.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the schema of what is read without building it")]
pub(crate) struct ParcelReports {
    /// From 1 to 10,000 reports. Those of one parcel are taken in this order.
    #[schema(min_items = 1, max_items = 10_000)]
    reports: Vec<ParcelReport>,
}

/// Where a parcel was seen, and when.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the schema of what is read without building it")]
pub(crate) struct ParcelReport {
    /// What the carrier calls the parcel: our id of its order, the shop's `order_ref`, or a name of its own.
    #[schema(min_length = 1, max_length = 128, example = "shop-2026-000123")]
    parcel_id: String,
    /// Where it is.
    status: ParcelState,
    /// When it was seen there, with its offset; past and future are taken.
    #[schema(format = DateTime)]
    seen_at: String,
}

/// What came of each report, in their order.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReportResults {
    /// One for each report.
    #[schema(value_type = Vec<ReportResult<'_>>)]
    results: Results,
}

struct Results(Vec<Taken>);

impl Serialize for Results {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|taken| ReportResult {
            parcel_id: taken.name.as_str(),
            verdict: verdict_name(taken.verdict),
            reason: match taken.verdict {
                Verdict::Refused(reason) => Some(reason.as_str()),
                _ => None,
            },
        }))
    }
}

/// What came of one report.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReportResult<'a> {
    /// The parcel, as the report names it.
    parcel_id: &'a str,
    /// `moved`: the parcel is there now. `late`: older than where it is known to be; kept, and the parcel stays where it is.
    /// `duplicate`: the same report came before; nothing has changed. `refused`: it cannot be; kept for the audit, with its reason.
    #[schema(value_type = VerdictName)]
    verdict: &'static str,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ReportReason>)]
    reason: Option<&'static str>,
}

/// What may come of a report.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(not(test), expect(dead_code, reason = "the schema of core's verdicts; a test holds them equal"))]
pub(crate) enum VerdictName {
    /// The parcel is there now.
    Moved,
    /// Older than where the parcel is known to be.
    Late,
    /// The same report came before.
    Duplicate,
    /// It cannot be.
    Refused,
}

/// Why a report may be refused.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(not(test), expect(dead_code, reason = "the schema of core's refusals; a test holds them equal"))]
pub(crate) enum ReportReason {
    /// The parcel is there already, since another time.
    SameStatus,
    /// The parcel was handed over; nothing comes after that.
    AlreadyDelivered,
    /// A parcel does not go there from where this one is.
    OutOfOrder,
    /// There are too many reports of the parcel. The only refusal that is not kept.
    TooManyEvents,
}

/// Report where parcels are.
///
/// Up to 10,000 reports, as carriers have them. Checked as a whole first: when one has not the right form, none is taken. Then each is
/// decided by itself, those of one parcel in their order, and answered with what came of it, once that is durable. Where a parcel is one
/// of an order here, the order moves with it (`shipped`, `delivered`), a moment later.
///
/// The same report again is a `duplicate`, so a batch that was answered 503, or not at all, is safe to send again: reports that were taken
/// are duplicates then.
#[utoipa::path(
    post, path = "/v1/tracking", tag = "tracking", operation_id = "report_parcels",
    request_body(content = ParcelReports, content_type = "application/json"),
    params(("X-Correlation-Id" = Option<String>, Header, description = "Kept with the events of these reports. At most 128 characters.")),
    responses(
        (status = 202, description = "What came of each report, in their order.", body = ReportResults),
        ReportProblems,
    )
)]
pub(crate) async fn report(State(state): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let auth = state.app.settings.wire.tracking_auth;
    if let Err(denied) = auth::admit(&state, &parts.headers, auth, TRACKING_WRITE).await {
        return denied.into_response();
    }
    match receive(&state, &parts.headers, body).await {
        Ok(taken) => json(StatusCode::ACCEPTED, &ReportResults { results: Results(taken) }),
        Err(problem) => problem.into_response(),
    }
}

async fn receive(state: &Inner, headers: &HeaderMap, body: Body) -> Result<Vec<Taken>, Problem> {
    if body::media_type(headers) != MediaType::Json {
        return Err(body::unsupported(headers, "application/json"));
    }
    let correlation_id = correlation::correlation_id(headers);
    let read = move |bytes: &[u8]| {
        let batch = batch::read::<Canonical>(body::without_mark(bytes))?;
        draft::check(Canonical::DIALECT, batch, correlation_id.as_ref())
    };
    intake::receive(state, headers, body, read).await
}

#[cfg(test)]
mod tests {
    use ordermill_core::parcel::ReportRefusal;

    use super::*;

    #[test]
    fn the_documented_words_are_cores() {
        let documented = [
            ReportReason::SameStatus,
            ReportReason::AlreadyDelivered,
            ReportReason::OutOfOrder,
            ReportReason::TooManyEvents,
        ];
        let refusals = [
            ReportRefusal::SameStatus,
            ReportRefusal::AlreadyDelivered,
            ReportRefusal::OutOfOrder,
            ReportRefusal::TooManyEvents,
        ];
        let documented = serde_json::to_value(documented).expect("it serializes");
        assert_eq!(documented, serde_json::to_value(refusals.map(ReportRefusal::as_str)).expect("it serializes"));
        let documented = [VerdictName::Moved, VerdictName::Late, VerdictName::Duplicate, VerdictName::Refused];
        let verdicts = [Verdict::Moved, Verdict::Late, Verdict::Duplicate, Verdict::Refused(ReportRefusal::SameStatus)];
        let documented = serde_json::to_value(documented).expect("it serializes");
        assert_eq!(documented, serde_json::to_value(verdicts.map(verdict_name)).expect("it serializes"));
    }
}
