//! Answers that say no: RFC 9457 problem documents.

use std::borrow::Cow;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use ordermill_core::intake::Violation;
use ordermill_core::refusal::Refusal;
use ordermill_ports::SubmitError;
use ordermill_ports::bus::BusError;
use ordermill_ports::damper::Damper;
use ordermill_ports::queries::QueryError;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::error_code::{self, ErrorCode};

/// After how many seconds a request is worth trying again when nothing better is known.
const RETRY_AFTER_DEFAULT_S: u64 = 1;

/// A problem, ready to be answered or written into a line of a bulk answer.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    /// Which kind.
    pub code: &'static ErrorCode,
    /// About this occurrence.
    pub detail: Cow<'static, str>,
    /// The fields that are wrong.
    pub errors: Vec<Violation>,
    /// When it is worth trying again, in seconds.
    pub retry_after_s: Option<u64>,
}

impl Problem {
    /// A problem with what is to be said about this occurrence.
    pub fn new(code: &'static ErrorCode, detail: impl Into<Cow<'static, str>>) -> Self {
        let retry_after_s = (code.status == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY_AFTER_DEFAULT_S);
        Self { code, detail: detail.into(), errors: Vec::new(), retry_after_s }
    }

    /// One field is wrong.
    pub fn field(code: &'static ErrorCode, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::violations(code, vec![Violation::new(field, message)])
    }

    /// Some fields are wrong.
    pub fn violations(code: &'static ErrorCode, errors: Vec<Violation>) -> Self {
        let detail = match errors.as_slice() {
            [only] => format!("{}: {}", only.field, only.message),
            more => format!("{} fields are not valid", more.len()),
        };
        Self { errors, ..Self::new(code, detail) }
    }

    /// Too much of something is under way.
    pub fn overloaded(detail: &'static str) -> Self {
        Self::new(&error_code::OVERLOADED, detail)
    }

    /// A defect, or a backend that breaks its contract. The cause goes to the log and not to the caller.
    pub fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "request failed");
        Self::new(&error_code::INTERNAL, "the cause is in the server's log, under the correlation id of this answer")
    }

    /// A panic was caught.
    pub fn panicked(panic: &(dyn std::any::Any + Send)) -> Self {
        let words = panic.downcast_ref::<&str>().copied();
        let words = words.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Self::internal(&format_args!("panic: {}", words.unwrap_or("without words")))
    }
}

/// The path of the field a refusal is about, where there is one.
fn refused_field(refusal: &Refusal) -> Option<String> {
    match refusal {
        Refusal::UnknownProduct { line, .. } => Some(format!("lines[{line}].product_id")),
        Refusal::PriceChanged { line, .. } | Refusal::MixedCurrencies { line, .. } => {
            Some(format!("lines[{line}].unit_price"))
        }
        Refusal::TotalTooLarge { line } => Some(format!("lines[{line}].quantity")),
        Refusal::OrderRefTaken { .. } => Some("order_ref".to_owned()),
        Refusal::RefundTooLarge { .. } => Some("amount_minor".to_owned()),
        Refusal::ReturnTooLarge { .. } => Some("lines".to_owned()),
        _ => None,
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        let errors = refused_field(&refusal).map(|field| Violation::new(field, message.clone()));
        Self { errors: errors.into_iter().collect(), ..Self::new(error_code::of_refusal(&refusal), message) }
    }
}

/// While the ledger cannot commit, every line of every import is refused for the same reason.
static NOT_COMMITTED: Damper = Damper::new(Duration::from_secs(10));

/// Likewise every read while it cannot be read.
static NOT_READ: Damper = Damper::new(Duration::from_secs(10));

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Refused(refusal) => refusal.into(),
            SubmitError::Overloaded { retry_after } => Self {
                retry_after_s: Some(whole_seconds(retry_after)),
                ..Self::overloaded("too many orders are undecided")
            },
            SubmitError::NotCommitted { reason } => {
                if let Some(kept_back) = NOT_COMMITTED.pass() {
                    tracing::warn!(%reason, kept_back, "commit failed");
                }
                Self::new(&error_code::NOT_COMMITTED, "the ledger could not commit; nothing has changed")
            }
            SubmitError::Unknown { reason } => {
                tracing::warn!(%reason, "commit without an answer");
                Self::outcome_unknown()
            }
            SubmitError::Closing => {
                Self::new(&error_code::CLOSING, "the ledger takes nothing more; nothing has changed")
            }
        }
    }
}

impl Problem {
    /// The request may have been carried out.
    pub fn outcome_unknown() -> Self {
        Self::new(
            &error_code::OUTCOME_UNKNOWN,
            "the request may have been carried out; send it again with the same Idempotency-Key to find out",
        )
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Backend(reason) => {
                if let Some(kept_back) = NOT_READ.pass() {
                    tracing::warn!(%reason, kept_back, "read failed");
                }
                Self::new(&error_code::UNAVAILABLE, "the ledger could not be read")
            }
            QueryError::Unreadable(_) => Self::internal(&error),
        }
    }
}

impl From<BusError> for Problem {
    fn from(error: BusError) -> Self {
        tracing::warn!(reason = %error, "bus failed");
        let detail = match error {
            BusError::Ledger(_) => "the ledger could not be read; the server's log says why",
            BusError::Broker(_) => {
                "the broker does not answer, so how far the roles are is not known; orders are taken all the same, \
                 and the server's log says why"
            }
        };
        Self::new(&error_code::UNAVAILABLE, detail)
    }
}

fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// The shape of every problem document (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument<'a> {
    /// Names the kind of problem and leads to its page: `/errors/` and the code.
    #[serde(rename = "type")]
    #[schema(value_type = String, format = "uri-reference", example = "/errors/invalid_order")]
    kind: TypeUri,
    /// The same for every occurrence of this kind.
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 422)]
    status: u16,
    /// About this occurrence.
    detail: &'a str,
    /// The stable code to branch on.
    code: &'static str,
    /// The fields that are wrong, all of them.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<FieldError>, required = false)]
    errors: &'a [Violation],
    /// When it is worth trying again, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u64>,
}

/// One field that is wrong.
#[derive(Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// Path of the field.
    #[schema(example = "lines[2].quantity")]
    field: String,
    /// What is wrong with it.
    #[schema(example = "must be from 1 to 1000000, is 0")]
    message: String,
}

struct TypeUri(&'static str);

impl Serialize for TypeUri {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("/errors/{}", self.0))
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ProblemDocument {
            kind: TypeUri(self.code.code),
            title: self.code.title,
            status: self.code.status.as_u16(),
            detail: &self.detail,
            code: self.code.code,
            errors: &self.errors,
            retry_after_s: self.retry_after_s,
        }
        .serialize(serializer)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let json = serde_json::to_vec(&self).expect("a problem is plain data with text keys, which always serializes");
        let mut response = Response::new(json.into());
        *response.status_mut() = self.code.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_round_up_and_are_never_none() {
        assert_eq!(whole_seconds(Duration::ZERO), 1);
        assert_eq!(whole_seconds(Duration::from_millis(1_001)), 2);
        assert_eq!(whole_seconds(Duration::from_secs(3)), 3);
    }

    #[test]
    fn a_document_names_all_that_is_wrong() {
        let errors = vec![Violation::new("a", "is missing"), Violation::new("b[1].c", "is short")];
        let problem = Problem::violations(&error_code::INVALID_ORDER, errors);
        let json = serde_json::to_value(&problem).expect("it serializes");
        let expected = serde_json::json!({
            "type": "/errors/invalid_order", "title": "The order is not valid", "status": 422, "code": "invalid_order",
            "detail": "2 fields are not valid",
            "errors": [{"field": "a", "message": "is missing"}, {"field": "b[1].c", "message": "is short"}],
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn what_is_away_is_named_without_its_words() {
        let detail = |error: BusError| Problem::from(error).detail;
        let (ledger, broker) = (detail(BusError::Ledger("x:5432".into())), detail(BusError::Broker("x:9092".into())));
        assert!(ledger.contains("the ledger") && broker.contains("the broker"), "{ledger} {broker}");
        assert!(!ledger.contains("x:") && !broker.contains("x:"), "{ledger} {broker}");
    }

    #[test]
    fn a_backends_words_stay_inside() {
        let problem = Problem::from(SubmitError::NotCommitted { reason: "disk /secret/path is full".to_owned() });
        let json = serde_json::to_string(&problem).expect("it serializes");
        assert!(!json.contains("secret"), "{json}");
        assert_eq!(problem.retry_after_s, Some(1));
    }
}
