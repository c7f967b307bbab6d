//! `POST /v1/orders`: the hot path. One parse, one submit, one answer written straight into bytes.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{LOCATION, ORIGIN};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use ordermill_core::input::{Admission, Body as InputBody, Input, Key};
use ordermill_core::intake::OrderDraft;
use ordermill_core::order::Order;
use ordermill_ports::queries::QueryError;
use ordermill_ports::{Outcome, Source};
use tokio::time::{Instant, timeout_at};
use tower::Service;

use crate::body::{self, MediaType};
use crate::correlation::{self, CORRELATION_ID};
use crate::error_code::INVALID_ORDER;
use crate::frame::Frame;
use crate::idempotency::{self, IDEMPOTENCY_KEY_EXPIRES};
use crate::openapi::{BulkLine, OrderRequest, PlaceProblems};
use crate::orders::bulk;
use crate::prefer::{self, PREFERENCE_APPLIED};
use crate::problem::Problem;
use crate::representation::{OrderLink, OrderView, json};
use crate::state::{Shared, State as Inner};

/// Place an order, or many.
///
/// One order as `application/json` is answered 202 as soon as it is durable, as it was taken: the same request with the same
/// `Idempotency-Key` gets the same bytes. With `Prefer: wait=N` it is answered 200 as it was decided (confirmed, rejected,
/// cancelled, or waiting for a person), or 202 when that takes longer than N seconds.
///
/// Many orders as `application/x-ndjson`, one a line, are always answered 200, with one result a line in the order of the lines,
/// as a stream. A line that is refused is refused alone; blank lines are passed over. Read the answer while sending: the server
/// holds no more than a few hundred lines. An `Idempotency-Key` stands for each line together with its number; an `order_ref`
/// makes a line safe to send again by itself.
#[utoipa::path(
    post, path = "/v1/orders", tag = "orders", operation_id = "place_order",
    request_body(content((OrderRequest = "application/json"), (OrderRequest = "application/x-ndjson"))),
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to send again: quoted or bare, at most 128 characters. The same key with the same content gives the first answer, with other content 422. Kept until `Idempotency-Key-Expires`, 24 hours unless configured otherwise."),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: answer when the order is decided, or after N seconds (at most 60)."),
        ("X-Correlation-Id" = Option<String>, Header, description = "Ties together what the request causes; in every answer, event and log line. At most 128 characters."),
        ("traceparent" = Option<String>, Header, description = "The W3C trace context; travels with the order's events."),
    ),
    responses(
        (status = 202, description = "Taken and durable; not decided yet.", body = OrderView<'_>, headers(
            ("Location" = String, description = "The order."),
            ("Idempotent-Replayed" = Option<String>, description = "`true` when this repeats the first answer."),
            ("Idempotency-Key-Expires" = Option<String>, description = "Until when the key gives this answer."),
            ("Preference-Applied" = Option<String>, description = "The wait that was over."),
            ("X-Correlation-Id" = String, description = "The caller's, or the order's id."),
        )),
        (status = 200, description = "Decided (with `Prefer: wait`), or one result a line (with `application/x-ndjson`).", content(
            (OrderView<'_> = "application/json"), (BulkLine = "application/x-ndjson"),
        ), headers(
            ("Location" = Option<String>, description = "The order."),
            ("Preference-Applied" = Option<String>, description = "The wait that was granted."),
        )),
        PlaceProblems,
    )
)]
pub(crate) async fn place(State(state): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let answer = match body::media_type(&parts.headers) {
        MediaType::Json => place_one(&state, &parts.headers, body).await,
        MediaType::Ndjson => bulk::place_many(&state, &parts.headers, body),
        MediaType::Xml | MediaType::Other => {
            Err(body::unsupported(&parts.headers, "application/json or application/x-ndjson"))
        }
    };
    answer.unwrap_or_else(IntoResponse::into_response)
}

/// The route, as the router and the documentation have it.
const ROUTE: &str = "/v1/orders";

/// [`place`] as a service of its own, asked before the router: most requests are for it, and finding it there, through several
/// boxed futures, takes a tenth of the time of such a request.
#[derive(Clone)]
pub(crate) struct Placing(Shared);

impl Placing {
    /// The service with its frame.
    pub fn framed(state: &Shared) -> Frame<Self> {
        Frame::of_route(ROUTE, Shared::clone(state), Self(Shared::clone(state)))
    }

    /// Whether a request is for it. What a page of another origin sends goes through the router, which answers for such.
    pub fn takes<B>(request: &http::Request<B>) -> bool {
        request.method() == Method::POST && request.uri().path() == ROUTE && !request.headers().contains_key(ORIGIN)
    }
}

impl Service<Request> for Placing {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let state = Shared::clone(&self.0);
        Box::pin(async move { Ok(place(State(state), request).await) })
    }
}

async fn place_one(state: &Inner, headers: &HeaderMap, body: Body) -> Result<Response, Problem> {
    let key = idempotency::key(headers)?;
    let draft: OrderDraft = body::read_json(state, headers, body, &INVALID_ORDER).await?;
    let order_id = state.app.random.order_id(state.app.clock.now());
    let request = draft
        .check(order_id, Admission::Refuse)
        .map_err(|errors| Problem::violations(&INVALID_ORDER, errors))?
        .traced(correlation::correlation_id(headers), correlation::traceparent(headers));
    let key = key.map(|key| Key { fingerprint: request.fingerprint(), key });
    let input = Input::new(InputBody::Place(Box::new(request))).with_key(key);
    let outcome = state.app.ledger.submit_one(Source::Live, input).await?;
    let order = order_of(&outcome)?;

    let wait = prefer::wait(headers, state.app.settings.prefer_wait_max);
    let decided = match wait {
        Some(wait) => decision(state, order, wait).await?,
        None => None,
    };
    let mut response = match &decided {
        Some(decided) => json(StatusCode::OK, &OrderView::new(decided)),
        None => json(StatusCode::ACCEPTED, &OrderView::new(&as_placed(order))),
    };
    if let Some(wait) = wait {
        let applied = HeaderValue::from_str(&format!("wait={}", wait.as_secs()));
        response.headers_mut().insert(PREFERENCE_APPLIED, applied.expect("digits are a header value"));
    }
    if let Some(expires_at) = outcome.key_expires_at {
        let expires_at = HeaderValue::from_str(&expires_at.to_string());
        response
            .headers_mut()
            .insert(IDEMPOTENCY_KEY_EXPIRES, expires_at.expect("an instant in RFC 3339 is a header value"));
    }
    idempotency::mark_replayed(&mut response, outcome.replayed);
    set_address(&mut response, order);
    Ok(response)
}

/// The order an outcome is about.
///
/// # Errors
/// A defect of the ledger.
pub(crate) fn order_of(outcome: &Outcome) -> Result<&Arc<Order>, Problem> {
    outcome.order().ok_or_else(|| Problem::internal(&"the ledger gave no order for an input about one"))
}

/// The order as its first event left it: what a request and all its repetitions are answered with.
pub(crate) fn as_placed(order: &Arc<Order>) -> Arc<Order> {
    if order.version == 1 {
        return Arc::clone(order);
    }
    Arc::new(Order::place(order.id, Arc::clone(&order.placement), order.created_at))
}

/// The order as its decision left it, once there is one; `None` when the time is over or the server is closing. What came after
/// the decision is left out, so that a repetition gives the same answer.
async fn decision(state: &Inner, order: &Order, wait: Duration) -> Result<Option<Order>, QueryError> {
    let deadline = Instant::now() + wait;
    let mut settled = order.is_settled_for_caller();
    let mut version = order.version;
    while !settled {
        let changed = tokio::select! {
            changed = timeout_at(deadline, state.app.queries.order_changed(order.id, version)) => changed,
            () = state.closed() => return Ok(None),
        };
        let Ok(changed) = changed else {
            return Ok(None);
        };
        let changed = changed?;
        settled = changed.is_settled_for_caller();
        version = changed.version;
    }
    let events = state.app.queries.order_events(order.id, 0).await?;
    let mut decided = Order::place(order.id, Arc::clone(&order.placement), order.created_at);
    for committed in events.iter().skip(1) {
        if decided.is_settled_for_caller() {
            break;
        }
        decided.evolve(&committed.recorded.event, committed.recorded.at);
    }
    Ok(Some(decided))
}

fn set_address(response: &mut Response, order: &Order) {
    let header = |text: String| HeaderValue::from_str(&text).expect("an order id and plain words are a header value");
    let correlation = order.placement.correlation_id.as_ref().and_then(|id| HeaderValue::from_str(id.as_str()).ok());
    let headers = response.headers_mut();
    headers.insert(LOCATION, header(OrderLink { order_id: order.id, rest: "" }.to_string()));
    headers.insert(CORRELATION_ID, correlation.unwrap_or_else(|| header(order.id.to_string())));
}
