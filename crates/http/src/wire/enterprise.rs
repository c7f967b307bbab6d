//! S1: the order service of the enterprise sales platform.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::header::{LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use ordermill_core::Timestamp;
use ordermill_core::id::CustomerId;
use ordermill_core::input::{Admission, Body as InputBody, Input, Key, PlaceOrder};
use ordermill_core::intake::{LineDraft, OrderDraft, Violation};
use ordermill_core::money::Money;
use ordermill_core::order::Order;
use ordermill_ports::Source;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{self, Denied, ORDERS_WRITE};
use crate::error_code::{INVALID_ORDER, UNKNOWN_PRODUCT};
use crate::openapi::OrderRequestLine;
use crate::orders::place::{as_placed, order_of};
use crate::problem::Problem;
use crate::representation::{MoneySchema, OrderLink, OrderStatus, json as answer};
use crate::state::Shared;
use crate::wire::refusals::wire_refusals;
use crate::{body, correlation, idempotency};

/// What the document says of this system, with the shapes that its refusals refer to by name.
#[derive(OpenApi)]
#[openapi(
    tags((name = "wire: enterprise", description = "The order service of the enterprise platform.")),
    components(schemas(Message<'_>)),
)]
struct Shapes;

/// Routes that do work.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(Shapes::openapi()).routes(routes!(place))
}

/// Routes that must answer however much is under way.
pub(super) fn watching() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(health))
}

/// An order as a client of the enterprise platform sends it: one product with its quantity, or lines. The customer is the token's subject.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EnterpriseOrderRequest)]
pub(crate) struct OrderBody {
    /// Kept with the order's metadata.
    message: Option<String>,
    /// The product; or `lines`.
    #[schema(min_length = 1, max_length = 128)]
    product_id: Option<String>,
    /// Units of the product.
    #[schema(minimum = 1, maximum = 1_000_000)]
    quantity: Option<i64>,
    /// From 1 to 500 lines; or `product_id` and `quantity`.
    #[schema(value_type = Option<Vec<OrderRequestLine>>, min_items = 1, max_items = 500)]
    lines: Option<Vec<LineDraft>>,
    /// May be left out; nobody else than the token's subject.
    customer_id: Option<String>,
    /// Where mails go; none are sent without it.
    #[schema(format = "email")]
    customer_email: Option<String>,
    /// The shop's own number, unique for ever.
    order_ref: Option<String>,
    /// ISO 4217; the products' own if left out.
    currency: Option<String>,
    /// A token of the payment provider; its default if left out.
    payment_method: Option<String>,
    /// A text or an object, at most 8 KiB.
    #[schema(value_type = Option<serde_json::Value>)]
    shipping_address: Option<Value>,
    /// When the customer ordered, where that was earlier.
    #[schema(format = DateTime)]
    placed_at: Option<String>,
    /// An object of the shop's own, at most 8 KiB.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}

/// An order that was taken and is durable.
#[derive(Serialize, ToSchema)]
#[schema(as = EnterpriseOrder)]
struct Processed {
    /// `Processed order:` and the order's id.
    #[schema(example = "Processed order:ord_0198f3c2a1b47c3e9d5f6a7b8c9d0e1f")]
    message: String,
    /// The order's id; `/v1/orders/{id}` tells how far it has come.
    #[schema(value_type = String, example = "ord_0198f3c2a1b47c3e9d5f6a7b8c9d0e1f")]
    order_id: String,
    /// Whose order it is: the token's subject.
    user_id: String,
    /// How far it had come when it was taken.
    #[schema(value_type = OrderStatus)]
    status: &'static str,
    /// The sum of its lines.
    #[schema(value_type = MoneySchema)]
    total: Money,
    /// When it was taken.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// What is said to a client: one message.
#[derive(Serialize, ToSchema)]
#[schema(as = EnterpriseMessage)]
struct Message<'a> {
    /// In words.
    #[schema(value_type = String)]
    message: &'a str,
}

/// Whether the service answers at all.
#[derive(Serialize, ToSchema)]
#[schema(as = EnterpriseHealth)]
struct Health {
    /// Always `OK`.
    #[schema(example = "OK")]
    status: &'static str,
}

/// Whether the service answers.
#[utoipa::path(
    get, path = "/v1/health/", tag = "wire: enterprise", operation_id = "enterprise_health",
    responses((status = 200, description = "It answers.", body = Health), HealthRefusals)
)]
async fn health() -> Response {
    answer(StatusCode::OK, &Health { status: "OK" })
}

/// Place an order as the subject of the bearer token, which needs the scope `orders:write`. It is answered as soon as it is durable.
#[utoipa::path(
    post, path = "/v1/order/", tag = "wire: enterprise", operation_id = "enterprise_place_order",
    request_body(content = OrderBody, content_type = "application/json"),
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to send again: the same key with the same content gives the first answer."),
    ),
    responses(
        (status = 200, description = "Taken and durable.", body = Processed, headers(("Location" = String, description = "The order."))),
        PlaceRefusals,
    )
)]
async fn place(State(state): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let caller = match auth::authorize(&state, &parts.headers, ORDERS_WRITE).await {
        Ok(caller) => caller,
        Err(denied) => return deny(denied),
    };
    match take(&state, &parts.headers, body, &caller.subject).await {
        Ok(response) => response,
        Err(problem) => refuse(&problem),
    }
}

async fn take(state: &Shared, headers: &HeaderMap, body: Body, subject: &CustomerId) -> Result<Response, Problem> {
    let key = idempotency::key(headers)?;
    let asked: OrderBody = body::read_json(state, headers, body, &INVALID_ORDER).await?;
    let order_id = state.app.random.order_id(state.app.clock.now());
    let draft = asked.into_draft(subject).map_err(|violations| Problem::violations(&INVALID_ORDER, violations))?;
    let request: PlaceOrder = draft
        .check(order_id, Admission::Refuse)
        .map_err(|violations| Problem::violations(&INVALID_ORDER, violations))?
        .traced(correlation::correlation_id(headers), correlation::traceparent(headers));
    let key = key.map(|key| Key { fingerprint: request.fingerprint(), key });
    let input = Input::new(InputBody::Place(Box::new(request))).with_key(key);
    let outcome = state.app.ledger.submit_one(Source::Live, input).await?;
    let order = as_placed(order_of(&outcome)?);
    let mut response = answer(StatusCode::OK, &Processed::new(&order));
    idempotency::mark_replayed(&mut response, outcome.replayed);
    let address = HeaderValue::from_str(&OrderLink { order_id: order.id, rest: "" }.to_string());
    response.headers_mut().insert(LOCATION, address.expect("an order id is a header value"));
    Ok(response)
}

impl Processed {
    fn new(order: &Order) -> Self {
        Self {
            message: format!("Processed order:{}", order.id),
            order_id: order.id.to_string(),
            user_id: order.placement.customer_id.to_string(),
            status: order.status.as_str(),
            total: order.placement.total,
            created_at: order.created_at,
        }
    }
}

impl OrderBody {
    /// The order in core's words; core checks the rest.
    fn into_draft(self, subject: &CustomerId) -> Result<OrderDraft, Vec<Violation>> {
        let mut violations = Vec::new();
        let lines = match (self.lines, self.product_id, self.quantity) {
            (Some(lines), None, None) => lines,
            (Some(_), _, _) => {
                violations.push(Violation::new("lines", "must be left out beside product_id and quantity"));
                Vec::new()
            }
            (None, Some(product_id), Some(quantity)) => vec![LineDraft { product_id, quantity, unit_price: None }],
            (None, product_id, quantity) => {
                let missing = [("product_id", product_id.is_none()), ("quantity", quantity.is_none())];
                let missing = missing.into_iter().filter(|(_, missing)| *missing);
                violations
                    .extend(missing.map(|(field, _)| Violation::new(field, "is required, unless there are lines")));
                Vec::new()
            }
        };
        if self.customer_id.is_some_and(|customer_id| customer_id != subject.as_str()) {
            violations.push(Violation::new("customer_id", "must be the token's subject, or left out"));
        }
        let metadata = with_message(self.metadata, self.message).unwrap_or_else(|violation| {
            violations.push(violation);
            None
        });
        if !violations.is_empty() {
            return Err(violations);
        }
        Ok(OrderDraft {
            customer_id: subject.to_string(),
            customer_email: self.customer_email,
            order_ref: self.order_ref,
            currency: self.currency,
            payment_method: self.payment_method,
            shipping_address: self.shipping_address,
            lines,
            placed_at: self.placed_at,
            metadata,
        })
    }
}

/// The metadata with the client's message in it.
fn with_message(metadata: Option<Value>, message: Option<String>) -> Result<Option<Value>, Violation> {
    match (metadata, message) {
        (metadata, None) => Ok(metadata),
        (None, Some(message)) => Ok(Some(json!({ "message": message }))),
        (Some(Value::Object(mut fields)), Some(message)) => {
            if fields.insert("message".to_owned(), message.into()).is_some() {
                return Err(Violation::new("metadata.message", "must be left out beside message"));
            }
            Ok(Some(Value::Object(fields)))
        }
        // Core says what is wrong with it.
        (other, Some(_)) => Ok(other),
    }
}

/// A problem in the words of this service: whatever is wrong with a payload is 400.
pub(super) fn refuse(problem: &Problem) -> Response {
    let status = match problem.code.status {
        _ if problem.code == &UNKNOWN_PRODUCT => StatusCode::NOT_FOUND,
        StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
        other => other,
    };
    let message = match problem.errors.as_slice() {
        [] | [_] => problem.detail.to_string(),
        more => {
            let each: Vec<String> = more.iter().map(|error| format!("{}: {}", error.field, error.message)).collect();
            each.join("; ")
        }
    };
    let mut response = answer(status, &Message { message: &message });
    if let Some(seconds) = problem.retry_after_s {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn deny(denied: Denied) -> Response {
    denied.sign(answer(denied.status(), &Message { message: &denied.message() }))
}

wire_refusals! {
    /// Why an order was not taken.
    PlaceRefusals: Message<'static> = [
        400 "The payload is not an order; the message says which fields it needs.",
        401 "No valid token.",
        403 "The token lacks the scope `orders:write`.",
        404 "There is no such product.",
        408 "The body came too slowly.",
        409 "The `order_ref` belongs to another order.",
        413 "The body is too large.",
        415 "The body is not `application/json`, or packed: it has a `Content-Encoding`.",
        431 "The headers are too large.",
        500 "Something went wrong here.",
        503 "Too much is under way, or the order could not be stored; `Retry-After` says when to try again.",
    ];
    /// Why there is no sign of life.
    HealthRefusals: Message<'static> = [
        431 "The headers are too large.",
        500 "Something went wrong here.",
    ];
}
