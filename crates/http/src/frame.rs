//! What goes round every request: room, time limit, panic guard, correlation, span, metrics, access log.
//!
//! One layer and one future for all of it, as each layer costs a box and a clone on the hot path.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::HttpBody as _;
use axum::extract::{MatchedPath, Request};
use axum::response::Response;
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue};
use tower::{Layer, Service};
use tracing::Instrument as _;

use crate::admission::Room;
use crate::body;
use crate::correlation::{self, CORRELATION_ID};
use crate::error_code::HEADERS_TOO_LARGE;
use crate::feed;
use crate::prefer;
use crate::problem::Problem;
use crate::state::Shared;
use crate::wire;

/// Puts the frame round each route.
#[derive(Clone)]
pub(crate) struct FrameLayer {
    state: Shared,
    sheds: bool,
}

impl FrameLayer {
    /// For routes that do work: what is too much is shed.
    pub fn shedding(state: Shared) -> Self {
        Self { state, sheds: true }
    }

    /// For routes that must answer however much is under way.
    pub fn always(state: Shared) -> Self {
        Self { state, sheds: false }
    }
}

impl<S> Layer<S> for FrameLayer {
    type Service = Frame<S>;

    fn layer(&self, inner: S) -> Frame<S> {
        Frame { inner, state: Shared::clone(&self.state), sheds: self.sheds, route: None }
    }
}

/// A route with its frame.
#[derive(Clone)]
pub(crate) struct Frame<S> {
    inner: S,
    state: Shared,
    sheds: bool,
    /// The route's pattern, where it was not found by the router.
    route: Option<&'static str>,
}

impl<S> Frame<S> {
    /// A frame round the one service of a route that is not looked up in the router.
    pub fn of_route(route: &'static str, state: Shared, inner: S) -> Self {
        Self { inner, state, sheds: true, route: Some(route) }
    }
}

impl<S> Service<Request> for Frame<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let begun = Instant::now();
        let state = Shared::clone(&self.state);
        let method = request.method().clone();
        let (fixed, matched) = (self.route, request.extensions().get::<MatchedPath>().cloned());
        let given = correlation::correlation_id(request.headers());
        // The span is there for whoever looks closely; an event at a higher level names what it is about by itself.
        let span = tracing::debug_span!(
            "request",
            %method,
            route = fixed.or(matched.as_ref().map(MatchedPath::as_str)),
            correlation_id = given.as_ref().map(|id| id.as_str()),
            status = tracing::field::Empty,
            latency_ms = tracing::field::Empty,
        );
        let admitted = self.admit(&request, fixed.or(matched.as_ref().map(MatchedPath::as_str)));
        let answered = admitted.map(|(room, limit)| (room, limit, self.inner.call(request)));
        let framed = async move {
            let response = match answered {
                Ok((room, limit, answer)) => {
                    let answer = AssertUnwindSafe(tokio::time::timeout(limit, answer)).catch_unwind().await;
                    drop(room);
                    outcome(answer)
                }
                Err(problem) => Err(problem),
            };
            let path = fixed.or(matched.as_ref().map(MatchedPath::as_str));
            let mut response = response.unwrap_or_else(|problem| wire::refuse(path, problem));
            set_correlation(response.headers_mut(), given.as_ref().map(|id| id.as_str()));
            let took = begun.elapsed();
            let status = response.status();
            state.metrics.record(&method, path, status, took);
            log_access(response.headers(), status.as_u16(), took);
            Ok(response)
        };
        Box::pin(framed.instrument(span))
    }
}

impl<S> Frame<S> {
    /// Room and time for a request.
    fn admit(&self, request: &Request, route: Option<&str>) -> Result<(Option<Room>, Duration), Problem> {
        let settings = &self.state.app.settings;
        let headers = request.headers();
        let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if bytes > settings.header_bytes_max {
            let detail = format!("the headers may have at most {} bytes, have {bytes}", settings.header_bytes_max);
            return Err(Problem::new(&HEADERS_TOO_LARGE, detail));
        }
        if !request.body().is_end_stream() {
            body::check_encoding(headers)?;
        }
        let for_news = route.is_some_and(|route| feed::waits(route, request.uri().query()));
        let prefers = headers.contains_key(prefer::PREFER) || for_news;
        let waits_anyway = route.is_some_and(wire::waits);
        let extra = if prefers { settings.prefer_wait_max } else { Duration::ZERO };
        let extra = if waits_anyway { extra.max(settings.wire.order_api_patience) } else { extra };
        let waits = prefers || waits_anyway;
        let room = if self.sheds { Some(self.state.admission.request(waits)?) } else { None };
        Ok((room, settings.request_timeout + extra))
    }
}

type Answer = std::thread::Result<Result<Result<Response, Infallible>, tokio::time::error::Elapsed>>;

fn outcome(answer: Answer) -> Result<Response, Problem> {
    match answer {
        Ok(Ok(Ok(response))) => Ok(response),
        Ok(Ok(Err(never))) => match never {},
        // What was submitted may still be committed.
        Ok(Err(_elapsed)) => Err(Problem::outcome_unknown()),
        Err(panic) => Err(Problem::panicked(&*panic)),
    }
}

/// The caller's id, or the one the handler chose, or a new one.
fn set_correlation(headers: &mut HeaderMap, given: Option<&str>) {
    if let Some(value) = given.and_then(|given| HeaderValue::from_str(given).ok()) {
        headers.insert(CORRELATION_ID, value);
        return;
    }
    headers.entry(CORRELATION_ID).or_insert_with(|| {
        let id = format!("req_{}", uuid::Uuid::new_v4().as_simple());
        HeaderValue::from_str(&id).expect("hexadecimal digits are a header value")
    });
}

fn log_access(headers: &HeaderMap, status: u16, took: Duration) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let latency_ms = took.as_secs_f64() * 1_000.0;
    let span = tracing::Span::current();
    span.record("status", status);
    span.record("latency_ms", latency_ms);
    let correlation_id = headers.get(CORRELATION_ID).and_then(|value| value.to_str().ok());
    tracing::debug!(status, latency_ms, correlation_id, "answered");
}
