//! S2: the order API and the order processor. They answer once an order is really confirmed, over the same process as every other order.

mod errand;
mod recovery;
mod request;
mod shapes;
mod written;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};
use ordermill_core::id::OrderId;
use ordermill_core::input::{Admission, Key, PlaceOrder};
use ordermill_core::limits::BODY_BYTES_MAX;
use ordermill_core::order::{Order, RejectReason, Status};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::errand::{Told, first_decision};
pub(crate) use self::recovery::recover;
use self::request::{Invalid, RequestShape};
use self::shapes::{DetailShape, Failure, HealthShape, InvalidShape, OrderShape, ProcessedShape};
use crate::auth::{self, Denied, ORDERS_READ, ORDERS_WRITE};
use crate::error_code::{
    IDEMPOTENCY_KEY_INVALID, IDEMPOTENCY_KEY_REUSED, MIXED_CURRENCIES, TOTAL_TOO_LARGE, UNKNOWN_PRODUCT,
};
use crate::problem::Problem;
use crate::representation::json;
use crate::state::Shared;
use crate::wire::refusals::wire_refusals;
use crate::{body, correlation, idempotency};

/// What the document says of this system, with the shapes that its refusals refer to by name.
#[derive(OpenApi)]
#[openapi(
    tags((name = "wire: order api", description = "The order API and the order processor, which answer once an order is confirmed.")),
    components(schemas(DetailShape<'_>, InvalidShape, Invalid)),
)]
struct Shapes;

/// Routes that do work.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(Shapes::openapi())
        .routes(routes!(place))
        .routes(routes!(place_without_slash))
        .routes(routes!(get))
        .routes(routes!(process))
}

/// Routes that must answer however much is under way.
pub(super) fn watching() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(health))
}

/// Whether a request to this route, which is its path as well, waits for a decision and must not go on without its client.
pub(crate) fn waits(route: &str) -> bool {
    matches!(route, "/orders/" | "/orders" | "/process-order")
}

/// A problem in the words of this API.
pub(super) fn refuse(problem: &Problem) -> Response {
    let code = problem.code;
    if code == &UNKNOWN_PRODUCT || code == &MIXED_CURRENCIES {
        return fail(Failure::NoInventory);
    }
    if code == &TOTAL_TOO_LARGE {
        return invalid(vec![Invalid::value(vec!["body".into(), "quantity".into()], &problem.detail, ().into())]);
    }
    if code == &IDEMPOTENCY_KEY_INVALID || code == &IDEMPOTENCY_KEY_REUSED {
        return invalid(vec![Invalid::value(
            vec!["header".into(), "idempotency-key".into()],
            &problem.detail,
            ().into(),
        )]);
    }
    let mut response = json(code.status, &DetailShape { detail: &problem.detail });
    if let Some(seconds) = problem.retry_after_s {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn deny(denied: Denied) -> Response {
    denied.sign(json(denied.status(), &DetailShape { detail: &denied.message() }))
}

fn fail(failure: Failure) -> Response {
    json(failure.status(), &DetailShape { detail: failure.detail() })
}

fn invalid(detail: Vec<Invalid>) -> Response {
    json(StatusCode::UNPROCESSABLE_ENTITY, &InvalidShape { detail })
}

/// Place an order, and wait until it is confirmed.
///
/// An order that takes longer than the configured patience (5 seconds) is called off and answered 504, unless its money is taken
/// by then. A client that hangs up before the answer keeps no charge.
#[utoipa::path(
    post, path = "/orders/", tag = "wire: order api", operation_id = "order_api_place",
    request_body(content = RequestShape, content_type = "application/json"),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to send again: the same key with the same content gives the first answer, whoever hung up meanwhile.")),
    responses((status = 200, description = "Confirmed: paid and in stock.", body = OrderShape<'_>), PlaceRefusals)
)]
async fn place(State(state): State<Shared>, request: Request) -> Response {
    place_and_wait(&state, request, Shape::Order).await
}

/// Place an order, and wait until it is confirmed: the same without the slash.
#[utoipa::path(
    post, path = "/orders", tag = "wire: order api", operation_id = "order_api_place_without_slash",
    request_body(content = RequestShape, content_type = "application/json"),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to send again.")),
    responses((status = 200, description = "Confirmed: paid and in stock.", body = OrderShape<'_>), PlaceRefusals)
)]
async fn place_without_slash(State(state): State<Shared>, request: Request) -> Response {
    place_and_wait(&state, request, Shape::Order).await
}

/// Process an order: the same process, with the order processor's answer.
#[utoipa::path(
    post, path = "/process-order", tag = "wire: order api", operation_id = "process_order",
    request_body(content = RequestShape, content_type = "application/json"),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to send again.")),
    responses((status = 200, description = "Confirmed: paid and in stock.", body = ProcessedShape), PlaceRefusals)
)]
async fn process(State(state): State<Shared>, request: Request) -> Response {
    place_and_wait(&state, request, Shape::Processed).await
}

/// Read an order of this API: one product, in the configured currency.
#[utoipa::path(
    get, path = "/orders/{id}", tag = "wire: order api", operation_id = "order_api_get",
    params(("id" = String, Path, description = "The `order_id` of the answer.")),
    responses((status = 200, description = "The order as it is now.", body = OrderShape<'_>), ReadRefusals)
)]
async fn get(State(state): State<Shared>, path: Result<Path<String>, PathRejection>, headers: HeaderMap) -> Response {
    if let Err(denied) = auth::admit(&state, &headers, state.app.settings.wire.order_api_auth, ORDERS_READ).await {
        return deny(denied);
    }
    let id = path.ok().and_then(|Path(id)| id.parse().ok());
    read(&state, id).await.unwrap_or_else(|problem| refuse(&problem))
}

/// Whether the service answers. It says nothing of the ledger, which `/readyz` does: a load balancer must not kill every task for it.
#[utoipa::path(
    get, path = "/health", tag = "wire: order api", operation_id = "order_api_health",
    responses((status = 200, description = "It answers.", body = HealthShape), HealthRefusals)
)]
async fn health(State(state): State<Shared>) -> Response {
    json(StatusCode::OK, &HealthShape { status: "healthy", timestamp: state.app.clock.now() })
}

/// Which of the two answers is asked for.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Order,
    Processed,
}

async fn place_and_wait(state: &Shared, request: Request, shape: Shape) -> Response {
    let (parts, body) = request.into_parts();
    if let Err(denied) = auth::admit(state, &parts.headers, state.app.settings.wire.order_api_auth, ORDERS_WRITE).await
    {
        return deny(denied);
    }
    let (request, key) = match checked(state, &parts.headers, body).await {
        Ok(checked) => checked,
        Err(response) => return response,
    };
    match errand::run(state, request, key).await {
        Ok(Told { order, receipt }) => written::receipted(answer(&order, shape), receipt),
        Err(problem) => refuse(&problem),
    }
}

/// The order of a request, with its key.
async fn checked(state: &Shared, headers: &HeaderMap, body: Body) -> Result<(PlaceOrder, Option<Key>), Response> {
    let key = idempotency::key(headers).map_err(|problem| refuse(&problem))?;
    let body = body::read(state, headers, body, BODY_BYTES_MAX).await.map_err(|problem| refuse(&problem))?;
    let bytes: &[u8] = &body.bytes;
    if !request::is_json(headers) {
        return Err(invalid(vec![Invalid::no_object(String::from_utf8_lossy(bytes).into())]));
    }
    let read = request::read(bytes, state.app.settings.wire.order_api_currency).map_err(invalid)?;
    let (mut draft, fields) = read.split();
    draft.metadata = key.is_none().then(recovery::mark);
    let order_id = state.app.random.order_id(state.app.clock.now());
    let request = draft
        .check(order_id, Admission::Refuse)
        .map_err(|violations| invalid(fields.explain(&violations)))?
        .traced(correlation::correlation_id(headers), correlation::traceparent(headers));
    let key = key.map(|key| Key { fingerprint: request.fingerprint(), key });
    Ok((request, key))
}

/// What a client is told of an order that was decided.
fn answer(order: &Order, shape: Shape) -> Response {
    if order.status != Status::Confirmed {
        return fail(failure(order));
    }
    let (at, total) = (order.status_since, order.placement.total);
    match shape {
        Shape::Processed => json(StatusCode::OK, &ProcessedShape::new(at, total)),
        Shape::Order => match OrderShape::new(order, Status::Confirmed, Some(at)) {
            Some(shown) => json(StatusCode::OK, &shown),
            None => refuse(&Problem::internal(&"an order of one line has another shape")),
        },
    }
}

fn failure(order: &Order) -> Failure {
    match order.reject_reason {
        Some(RejectReason::PaymentDeclined | RejectReason::InsufficientFunds | RejectReason::CaptureFailed) => {
            Failure::Declined
        }
        Some(RejectReason::OutOfStock | RejectReason::UnknownProduct | RejectReason::PriceChanged) => {
            Failure::NoInventory
        }
        Some(RejectReason::ReservationExpired) => Failure::TimedOut,
        None if order.cancel_reason.as_deref().is_some_and(errand::is_ours) => Failure::TimedOut,
        None => Failure::Cancelled,
    }
}

async fn read(state: &Shared, id: Option<OrderId>) -> Result<Response, Problem> {
    let found = match id {
        Some(id) => state.app.queries.order(id).await?,
        None => None,
    };
    let currency = state.app.settings.wire.order_api_currency;
    let not_found = || json(StatusCode::NOT_FOUND, &DetailShape { detail: "Order not found" });
    let Some(order) = found.filter(|order| order.placement.total.currency == currency) else { return Ok(not_found()) };
    let decided = first_decision(state, Arc::clone(&order)).await?;
    let processed_at = (!decided.status.is_undecided()).then_some(decided.status_since);
    let shown = OrderShape::new(&order, order.status, processed_at);
    Ok(shown.map_or_else(not_found, |shown| json(StatusCode::OK, &shown)))
}

wire_refusals! {
    /// Why an order was not confirmed.
    PlaceRefusals: DetailShape<'static> = [
        400 "Unknown product or too few units; or the body broke off.",
        401 "No valid token, where one is asked for.",
        402 "The payment was declined.",
        403 "The token lacks the scope `orders:write`.",
        408 "The body came too slowly.",
        409 "Somebody else cancelled the order first.",
        413 "The body is too large.",
        415 "The body is packed: it has a `Content-Encoding`.",
        431 "The headers are too large.",
        500 "Something went wrong here.",
        503 "Too much is under way, or the order could not be stored; `Retry-After` says when to try again.",
        504 "It took too long and was called off; nothing is charged.",
    ], InvalidShape = [
        422 "The request is not valid.",
    ];
    /// Why an order cannot be read.
    ReadRefusals: DetailShape<'static> = [
        401 "No valid token, where one is asked for.",
        403 "The token lacks the scope `orders:read`.",
        404 "There is no such order.",
        431 "The headers are too large.",
        500 "Something went wrong here.",
        503 "Too much is under way, or the order could not be read; `Retry-After` says when to try again.",
    ];
    /// Why there is no sign of life.
    HealthRefusals: DetailShape<'static> = [
        431 "The headers are too large.",
        500 "Something went wrong here.",
    ];
}
