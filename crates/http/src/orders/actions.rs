//! What people ask of an order: cancel, refund, return, retry, resolve.

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use ordermill_core::event::{Remedy, ReturnedLine};
use ordermill_core::id::{ProductId, check_text};
use ordermill_core::input::{Body as InputBody, Input};
use ordermill_core::intake::Violation;
use ordermill_core::limits::{AMOUNT_MINOR_MAX, ORDER_LINES_MAX, QUANTITY_MAX, TEXT_CHARS_MAX};
use ordermill_ports::Source;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::body::{read_json, read_optional_json};
use crate::error_code::INVALID_REQUEST;
use crate::etag;
use crate::idempotency;
use crate::openapi::ActionProblems;
use crate::orders::place::order_of;
use crate::problem::Problem;
use crate::query::OrderPath;
use crate::representation::{OrderView, json};
use crate::state::{Shared, State as Inner};

/// What is recorded when no reason is given.
const REASON_DEFAULT: &str = "requested";

/// Why an order is to be called off.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CancelRequest {
    /// Shown to the customer; at most 500 characters.
    reason: Option<String>,
}

/// How much is to be given back, and why.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RefundRequest {
    /// In minor units of the order's currency; all that is left if omitted.
    amount_minor: Option<i64>,
    /// At most 500 characters.
    reason: Option<String>,
}

/// What came back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReturnRequest {
    /// From 1 to 500 lines. Those of one product count together.
    #[schema(min_items = 1, max_items = 500)]
    lines: Vec<ReturnRequestLine>,
    /// Whether the units can be sold again: `true` puts them into stock. They stay out of it if omitted.
    #[serde(default)]
    restock: bool,
}

/// Units of one product that came back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReturnRequestLine {
    /// The product.
    product_id: String,
    /// Units.
    #[schema(minimum = 1, maximum = 1_000_000)]
    quantity: i64,
}

/// What a person did.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ResolveRequest {
    /// Kept with the order; at most 500 characters.
    note: Option<String>,
}

/// Nothing: an empty body or `{}`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoContent {}

/// Cancel an order.
///
/// It acts at once: what is held is released and voided, what was captured is refunded. An order that is cancelled already stays so.
#[utoipa::path(
    post, path = "/v1/orders/{id}/cancel", tag = "orders", operation_id = "cancel_order",
    request_body(content = Option<CancelRequest>, content_type = "application/json"),
    params(("id" = String, Path, description = "The order's id."), ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to send again.")),
    responses((status = 200, description = "The order, cancelled.", body = OrderView<'_>), ActionProblems)
)]
pub(crate) async fn cancel(
    State(state): State<Shared>,
    OrderPath(order_id): OrderPath,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let asked: CancelRequest = read_optional_json(&state, &parts.headers, body, &INVALID_REQUEST).await?;
    let reason = words("reason", asked.reason)?.unwrap_or_else(|| REASON_DEFAULT.into());
    let meaning = ("cancel", order_id, &*reason);
    let input = idempotency::keyed(&parts.headers, InputBody::Cancel { order_id, reason: reason.clone() }, &meaning)?;
    answer(&state, input, StatusCode::OK).await
}

/// Give money back.
///
/// Answered 202 when the refund is recorded; the money goes back soon after. Never more than was captured, with refunds under way counted.
#[utoipa::path(
    post, path = "/v1/orders/{id}/refund", tag = "orders", operation_id = "refund_order",
    request_body(content = Option<RefundRequest>, content_type = "application/json"),
    params(("id" = String, Path, description = "The order's id."), ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to send again.")),
    responses((status = 202, description = "The order, with its refund under way.", body = OrderView<'_>), ActionProblems)
)]
pub(crate) async fn refund(
    State(state): State<Shared>,
    OrderPath(order_id): OrderPath,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let asked: RefundRequest = read_optional_json(&state, &parts.headers, body, &INVALID_REQUEST).await?;
    let amount_minor = asked.amount_minor;
    if amount_minor.is_some_and(|amount| !(1..=AMOUNT_MINOR_MAX).contains(&amount)) {
        return Err(Problem::field(&INVALID_REQUEST, "amount_minor", "must be from 1 to 10^15"));
    }
    let reason = words("reason", asked.reason)?.unwrap_or_else(|| REASON_DEFAULT.into());
    let meaning = ("refund", order_id, amount_minor, &*reason);
    let refund = InputBody::Refund { order_id, amount_minor, reason: reason.clone() };
    let input = idempotency::keyed(&parts.headers, refund, &meaning)?;
    answer(&state, input, StatusCode::ACCEPTED).await
}

/// Take goods back.
///
/// Possible once the order is shipped, and never more than was bought. The units go into stock where `restock` says so. No money moves:
/// give it back with a refund. When everything is back, the order is `returned`.
#[utoipa::path(
    post, path = "/v1/orders/{id}/return", tag = "orders", operation_id = "return_order",
    request_body(content = ReturnRequest, content_type = "application/json"),
    params(("id" = String, Path, description = "The order's id."), ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to send again.")),
    responses((status = 200, description = "The order, with what came back.", body = OrderView<'_>), ActionProblems)
)]
pub(crate) async fn take_back(
    State(state): State<Shared>,
    OrderPath(order_id): OrderPath,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let asked: ReturnRequest = read_json(&state, &parts.headers, body, &INVALID_REQUEST).await?;
    let restock = asked.restock;
    let lines = returned_lines(asked.lines)?;
    let meaning = ("return", order_id, lines.clone(), restock);
    let take_back = InputBody::Return { order_id, lines, restock };
    let input = idempotency::keyed(&parts.headers, take_back, &meaning)?;
    answer(&state, input, StatusCode::OK).await
}

/// Checks what is said to have come back.
fn returned_lines(asked: Vec<ReturnRequestLine>) -> Result<Vec<ReturnedLine>, Problem> {
    if !(1..=ORDER_LINES_MAX).contains(&asked.len()) {
        let message = format!("must have from 1 to {ORDER_LINES_MAX} lines, has {}", asked.len());
        return Err(Problem::field(&INVALID_REQUEST, "lines", message));
    }
    let mut violations = Vec::new();
    let mut lines = Vec::with_capacity(asked.len());
    for (index, line) in asked.into_iter().enumerate() {
        if !(1..=QUANTITY_MAX).contains(&line.quantity) {
            let message = format!("must be from 1 to {QUANTITY_MAX}, is {}", line.quantity);
            violations.push(Violation::new(format!("lines[{index}].quantity"), message));
        }
        match ProductId::new(&line.product_id) {
            Ok(product_id) => lines.push(ReturnedLine { product_id, quantity: line.quantity }),
            Err(error) => violations.push(Violation::new(format!("lines[{index}].product_id"), error.to_string())),
        }
    }
    if violations.is_empty() { Ok(lines) } else { Err(Problem::violations(&INVALID_REQUEST, violations)) }
}

/// Try again what waits for a person.
#[utoipa::path(
    post, path = "/v1/orders/{id}/retry", tag = "orders", operation_id = "retry_order",
    params(("id" = String, Path, description = "The order's id."), ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to send again.")),
    responses((status = 200, description = "The order, under way again.", body = OrderView<'_>), ActionProblems)
)]
pub(crate) async fn retry(
    State(state): State<Shared>,
    OrderPath(order_id): OrderPath,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let NoContent {} = read_optional_json(&state, &parts.headers, body, &INVALID_REQUEST).await?;
    let retry = InputBody::ClearAttention { order_id, remedy: Remedy::Retried, note: None };
    let input = idempotency::keyed(&parts.headers, retry, &("retry", order_id))?;
    answer(&state, input, StatusCode::OK).await
}

/// Say that a person dealt with what the order waited for.
///
/// What is stuck is left as it is. An order that is not decided yet can be retried or cancelled, but not resolved.
#[utoipa::path(
    post, path = "/v1/orders/{id}/resolve", tag = "orders", operation_id = "resolve_order",
    request_body(content = Option<ResolveRequest>, content_type = "application/json"),
    params(("id" = String, Path, description = "The order's id."), ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to send again.")),
    responses((status = 200, description = "The order, no longer waiting.", body = OrderView<'_>), ActionProblems)
)]
pub(crate) async fn resolve(
    State(state): State<Shared>,
    OrderPath(order_id): OrderPath,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let asked: ResolveRequest = read_optional_json(&state, &parts.headers, body, &INVALID_REQUEST).await?;
    let note = words("note", asked.note)?;
    let resolve = InputBody::ClearAttention { order_id, remedy: Remedy::Resolved, note: note.clone() };
    let input = idempotency::keyed(&parts.headers, resolve, &("resolve", order_id, note))?;
    answer(&state, input, StatusCode::OK).await
}

/// Checks the words of a person.
pub(crate) fn words(field: &str, text: Option<String>) -> Result<Option<Box<str>>, Problem> {
    let Some(text) = text else {
        return Ok(None);
    };
    match check_text(&text, TEXT_CHARS_MAX) {
        Ok(()) => Ok(Some(text.into())),
        Err(error) => Err(Problem::violations(&INVALID_REQUEST, vec![Violation::new(field, error.to_string())])),
    }
}

/// Submits, and answers with the order as it is now.
async fn answer(state: &Inner, input: Input, status: StatusCode) -> Result<Response, Problem> {
    let outcome = state.app.ledger.submit_one(Source::Live, input).await?;
    let order = order_of(&outcome)?;
    let mut response = json(status, &OrderView::new(order));
    etag::set(&mut response, order.version.into());
    idempotency::mark_replayed(&mut response, outcome.replayed);
    Ok(response)
}
