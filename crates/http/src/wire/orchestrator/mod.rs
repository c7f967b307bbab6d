//! S3: the entry of the event-driven orchestrator, over HTTP and as the invocation of a Lambda function. Both take the order, answer once it
//! is durable, and leave everything else to the order process: an order that cannot be fulfilled is taken and rejected with a mail.

mod function;
mod invoke;
mod order;
mod price;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};
use ordermill_core::input::{Body as InputBody, Input};
use ordermill_core::limits::BODY_BYTES_MAX;
use ordermill_ports::{Source, SubmitError};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) use self::invoke::{INVOCATIONS, refuse as refuse_invocation};
use self::order::OrchestratorOrder;
use crate::auth::{self, ORDERS_WRITE};
use crate::problem::Problem;
use crate::representation::json;
use crate::state::Shared;
use crate::wire::refusals::wire_refusals;
use crate::{body, correlation};

/// Where orders are posted.
pub(super) const ORDER_MANAGEMENT: &str = "/order-management";

/// What the document says of this system, with the shapes that its refusals refer to by name.
#[derive(OpenApi)]
#[openapi(
    tags((name = "wire: orchestrator", description = "The entry of the event-driven orchestrator, over HTTP and as a Lambda function.")),
    components(schemas(invoke::ServiceError<'_>)),
)]
struct Shapes;

/// Routes that do work.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(Shapes::openapi()).routes(routes!(manage)).routes(routes!(invoke::invoke))
}

/// What the order management function returns, and what both entries answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = OrderManagementAnswer)]
pub(crate) struct Returned {
    /// As an HTTP status.
    #[serde(rename = "statusCode")]
    #[schema(example = 200)]
    status_code: u16,
    /// In words.
    #[schema(value_type = String, example = "Order processed successfully")]
    body: &'static str,
    /// When it is worth trying again, in seconds. A header over HTTP, no part of the answer.
    #[serde(skip)]
    retry_after_s: Option<u64>,
}

impl Returned {
    const PROCESSED: Self = Self::new(StatusCode::OK, "Order processed successfully");
    const INVALID: Self = Self::new(StatusCode::BAD_REQUEST, "Invalid order data");
    const FAILED: Self = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Error processing order");

    const fn new(status: StatusCode, body: &'static str) -> Self {
        Self { status_code: status.as_u16(), body, retry_after_s: None }
    }

    fn into_http(self) -> Response {
        let status = StatusCode::from_u16(self.status_code).expect("each of them is made from a status");
        let mut response = json(status, &self);
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Hand over an order. It is answered once it is durable; what becomes of it reaches the customer by mail.
///
/// Only its shape is checked here. An unknown product or a price that is not the catalogue's means that the order is taken and then
/// rejected with a mail. The same `transactionId` with the same order gives the same answer.
#[utoipa::path(
    post, path = "/order-management", tag = "wire: orchestrator", operation_id = "order_management",
    request_body(content = OrchestratorOrder, content_type = "application/json"),
    responses((status = 200, description = "Taken and durable.", body = Returned), Refusals)
)]
async fn manage(State(state): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let auth = state.app.settings.wire.orchestrator_auth;
    if let Err(denied) = auth::admit(&state, &parts.headers, auth, ORDERS_WRITE).await {
        let words = denied.status().canonical_reason().unwrap_or("Denied");
        return denied.sign(Returned::new(denied.status(), words).into_http());
    }
    match read(&state, &parts.headers, body).await {
        Ok(body) => handle(&state, &parts.headers, &body.bytes).await.into_http(),
        Err(problem) => refuse(&problem),
    }
}

async fn read(state: &Shared, headers: &HeaderMap, body: Body) -> Result<body::Whole, Problem> {
    body::read(state, headers, body, BODY_BYTES_MAX).await
}

/// The function itself: from the payload to what it returns.
async fn handle(state: &Shared, headers: &HeaderMap, payload: &[u8]) -> Returned {
    let order_id = state.app.random.order_id(state.app.clock.now());
    let request = match order::read(state, payload, order_id).await {
        Ok(request) => request.traced(correlation::correlation_id(headers), correlation::traceparent(headers)),
        Err(order::Unread::Invalid(violations)) => {
            let fields: Vec<&str> = violations.iter().map(|violation| violation.field.as_str()).collect();
            tracing::info!(?fields, "order data is not valid");
            return Returned::INVALID;
        }
        Err(order::Unread::Failed(error)) => {
            tracing::warn!(%error, "catalogue could not be read");
            return Returned::FAILED;
        }
    };
    let submitted = state.app.ledger.submit_one(Source::Live, Input::new(InputBody::Place(Box::new(request)))).await;
    match submitted {
        Ok(_) => Returned::PROCESSED,
        // The same transaction with another order, or a total beyond every limit.
        Err(SubmitError::Refused(refusal)) => {
            tracing::info!(code = refusal.code(), "order was refused");
            Returned::INVALID
        }
        Err(error) => Returned { retry_after_s: Problem::from(error).retry_after_s, ..Returned::FAILED },
    }
}

/// A problem in the words of the function.
pub(super) fn refuse(problem: &Problem) -> Response {
    let answer = match problem.code.status {
        status if status.is_server_error() => Returned::FAILED,
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Returned::INVALID,
        status => Returned::new(status, Returned::INVALID.body),
    };
    Returned { retry_after_s: problem.retry_after_s, ..answer }.into_http()
}

wire_refusals! {
    /// Why an order was not taken.
    Refusals: Returned = [
        400 "`Invalid order data`: it is not an order, or the transaction was used for another.",
        401 "No valid token, where one is asked for.",
        403 "The token lacks the scope `orders:write`.",
        408 "The body came too slowly.",
        413 "The body is too large.",
        415 "The body is packed: it has a `Content-Encoding`.",
        431 "The headers are too large.",
        500 "`Error processing order`: it could not be stored. The same transaction may be sent again at any time.",
        503 "Tokens cannot be checked at present.",
    ];
}
