//! The invocation of a Lambda function, as the AWS SDKs call it.

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use serde::de::IgnoredAny;
use utoipa::ToSchema;

use super::function::FunctionName;
use super::order::OrchestratorOrder;
use super::{Returned, handle, read};
use crate::auth::{self, Denied, ORDERS_WRITE};
use crate::error_code::{BODY_TOO_LARGE, MALFORMED_JSON, OVERLOADED, UNSUPPORTED_MEDIA_TYPE};
use crate::problem::Problem;
use crate::query::Params;
use crate::representation::json;
use crate::state::Shared;
use crate::wire::refusals::wire_refusals;

/// Where functions are invoked.
pub(in crate::wire) const INVOCATIONS: &str = "/2015-03-31/functions/{name}/invocations";

/// The only version there is.
const LATEST: &str = "$LATEST";

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const EXECUTED_VERSION: HeaderName = HeaderName::from_static("x-amz-executed-version");
const INVOCATION_TYPE: HeaderName = HeaderName::from_static("x-amz-invocation-type");

/// An error of the Lambda service, as the SDKs read it.
#[derive(Serialize, ToSchema)]
#[schema(as = LambdaError)]
pub(super) struct ServiceError<'a> {
    /// Whose fault it is: `User` or `Service`.
    #[serde(rename = "Type")]
    #[schema(example = "User")]
    kind: &'static str,
    /// In words.
    #[serde(rename = "Message")]
    #[schema(value_type = String)]
    message: &'a str,
}

/// How a function is to be invoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InvocationType {
    RequestResponse,
    Event,
    DryRun,
}

/// Invoke the order management function: the call of the AWS SDKs, with this server as their endpoint.
///
/// The payload is the order. What the function returns is the answer's body; `X-Amz-Function-Error` is never set, as the function itself
/// returns its errors. Signatures are not checked; where tokens are asked for, a bearer token is.
#[utoipa::path(
    post, path = "/2015-03-31/functions/{name}/invocations", tag = "wire: orchestrator", operation_id = "invoke_function",
    request_body(content = OrchestratorOrder, content_type = "application/json"),
    params(
        ("name" = String, Path, description = "The function: its name, `name:qualifier`, or its ARN.", example = "order-management"),
        ("Qualifier" = Option<String>, Query, description = "A version or an alias; all are the same."),
        ("X-Amz-Invocation-Type" = Option<String>, Header, description = "`RequestResponse` (the default), `Event` or `DryRun`."),
    ),
    responses(
        (status = 200, description = "What the function returned.", body = Returned, headers(
            ("X-Amz-Executed-Version" = String, description = "Always `$LATEST`."), ("x-amzn-RequestId" = String, description = "Names the call."),
        )),
        (status = 202, description = "`Event`: the order is durable, or it is none."),
        (status = 204, description = "`DryRun`: the function is there, and may be invoked."),
        Refusals,
    )
)]
pub(super) async fn invoke(
    State(state): State<Shared>,
    name: Result<Path<String>, PathRejection>,
    mut params: Params,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let auth = state.app.settings.wire.orchestrator_auth;
    let name = name.map(|Path(name)| name).unwrap_or_default();
    let response = match auth::admit(&state, &parts.headers, auth, ORDERS_WRITE).await {
        Err(denied) => deny(denied),
        Ok(_) => match not_found(&state, &name, params.take("Qualifier").as_deref()) {
            Some(response) => response,
            None => run(&state, &parts.headers, body).await,
        },
    };
    with_request_id(response)
}

/// What is said when there is no such function.
fn not_found(state: &Shared, name: &str, qualifier: Option<&str>) -> Option<Response> {
    let Some(function) = FunctionName::parse(name) else {
        return Some(not_valid("the function's name is not valid"));
    };
    if let (Some(here), Some(there)) = (function.qualifier, qualifier)
        && here != there
    {
        return Some(not_valid("the qualifier in the function's name is not the one in the query"));
    }
    if state.app.settings.wire.orchestrator_functions.iter().any(|known| **known == *function.name) {
        return None;
    }
    let message = format!("Function not found: {}", function.name);
    Some(error(StatusCode::NOT_FOUND, "ResourceNotFoundException", &message))
}

fn not_valid(message: &str) -> Response {
    error(StatusCode::BAD_REQUEST, "InvalidParameterValueException", message)
}

async fn run(state: &Shared, headers: &HeaderMap, body: Body) -> Response {
    let Some(kind) = invocation_type(headers) else {
        return not_valid("X-Amz-Invocation-Type must be RequestResponse, Event or DryRun");
    };
    let body = match read(state, headers, body).await {
        Ok(body) => body,
        Err(problem) => return refuse(&problem),
    };
    if kind == InvocationType::DryRun {
        return empty(StatusCode::NO_CONTENT);
    }
    // A call without a payload has an empty event.
    let payload = if body.bytes.trim_ascii().is_empty() { b"{}" } else { &*body.bytes };
    if let Err(cause) = serde_json::from_slice::<IgnoredAny>(payload) {
        return refuse(&Problem::new(&MALFORMED_JSON, format!("Could not parse request body into json: {cause}")));
    }
    let returned = handle(state, headers, payload).await;
    let mut response = match kind {
        // Nobody hears what an event came to, so what may still be done is to be sent again.
        InvocationType::Event if returned.status_code >= 500 => {
            error(StatusCode::INTERNAL_SERVER_ERROR, "ServiceException", returned.body)
        }
        InvocationType::Event => empty(StatusCode::ACCEPTED),
        _ => json(StatusCode::OK, &returned),
    };
    response.headers_mut().insert(EXECUTED_VERSION, HeaderValue::from_static(LATEST));
    response
}

fn invocation_type(headers: &HeaderMap) -> Option<InvocationType> {
    match headers.get(INVOCATION_TYPE).map(HeaderValue::as_bytes) {
        None | Some(b"RequestResponse") => Some(InvocationType::RequestResponse),
        Some(b"Event") => Some(InvocationType::Event),
        Some(b"DryRun") => Some(InvocationType::DryRun),
        Some(_) => None,
    }
}

/// A problem as the Lambda service tells it.
pub(in crate::wire) fn refuse(problem: &Problem) -> Response {
    let code = problem.code;
    let (status, name) = if code == &OVERLOADED {
        (StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException")
    } else if code == &BODY_TOO_LARGE {
        (code.status, "RequestTooLargeException")
    } else if code == &UNSUPPORTED_MEDIA_TYPE {
        (code.status, "UnsupportedMediaTypeException")
    } else if code.status.is_client_error() {
        (code.status, "InvalidRequestContentException")
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, "ServiceException")
    };
    let mut response = error(status, name, &problem.detail);
    if let Some(seconds) = problem.retry_after_s {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn deny(denied: Denied) -> Response {
    let name = match denied {
        Denied::Unauthenticated => "UnrecognizedClientException",
        Denied::Forbidden { .. } => "AccessDeniedException",
        Denied::Unavailable => "ServiceException",
    };
    denied.sign(error(denied.status(), name, &denied.message()))
}

fn error(status: StatusCode, name: &'static str, message: &str) -> Response {
    let kind = if status.is_server_error() { "Service" } else { "User" };
    let mut response = json(status, &ServiceError { kind, message });
    response.headers_mut().insert(ERROR_TYPE, HeaderValue::from_static(name));
    response
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn with_request_id(mut response: Response) -> Response {
    let id = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string());
    response.headers_mut().insert(REQUEST_ID, id.expect("a UUID is a header value"));
    response
}

wire_refusals! {
    /// Why a function was not invoked.
    Refusals: ServiceError<'static> = [
        400 "`InvalidRequestContentException`: the payload is no JSON; `InvalidParameterValueException`: the call is not valid.",
        401 "`UnrecognizedClientException`: no valid token, where one is asked for.",
        403 "`AccessDeniedException`: the token lacks the scope `orders:write`.",
        404 "`ResourceNotFoundException`: there is no such function.",
        408 "The payload came too slowly.",
        413 "`RequestTooLargeException`",
        415 "`UnsupportedMediaTypeException`: the payload is packed: it has a `Content-Encoding`.",
        429 "`TooManyRequestsException`: too much is under way.",
        431 "The headers are too large.",
        500 "`ServiceException`",
        503 "Tokens cannot be checked at present.",
    ];
}
