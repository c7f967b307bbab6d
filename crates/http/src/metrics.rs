//! Counts and times of requests. Handles are kept by route, so that the hot path neither builds nor looks up labels.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{Method, StatusCode};
use metrics::{Counter, Histogram};
use parking_lot::RwLock;

/// How long requests took, in seconds, by route.
pub const REQUEST_SECONDS: &str = "ordermill_http_request_seconds";
/// How many requests were answered, by method, route and status.
pub const REQUESTS_TOTAL: &str = "ordermill_http_requests_total";

/// The label of requests that match no route: their paths are the caller's invention.
const NO_ROUTE: &str = "(none)";
/// Methods with a row of their own; all others share the last one, as callers can invent them too.
const METHODS: [(&str, Option<Method>); 7] = [
    ("GET", Some(Method::GET)),
    ("POST", Some(Method::POST)),
    ("PUT", Some(Method::PUT)),
    ("DELETE", Some(Method::DELETE)),
    ("HEAD", Some(Method::HEAD)),
    ("OPTIONS", Some(Method::OPTIONS)),
    ("other", None),
];
/// Every status that is answered here; anything else counts as 0.
const STATUSES: [u16; 21] =
    [200, 201, 202, 304, 400, 401, 402, 403, 404, 405, 408, 409, 412, 413, 415, 422, 431, 500, 503, 504, 0];

/// The handles of one route.
struct Route {
    name: Arc<str>,
    seconds: Histogram,
    requests: Vec<OnceLock<Counter>>,
}

impl Route {
    fn new(name: &str) -> Self {
        let name: Arc<str> = name.into();
        let seconds = metrics::histogram!(REQUEST_SECONDS, "route" => Arc::clone(&name));
        let requests = std::iter::repeat_with(OnceLock::new).take(METHODS.len() * STATUSES.len()).collect();
        Self { name, seconds, requests }
    }

    fn counter(&self, method: &Method, status: StatusCode) -> &Counter {
        let known = METHODS.iter().position(|(_, known)| known.as_ref() == Some(method));
        let row = known.unwrap_or(METHODS.len() - 1);
        let known = STATUSES.iter().position(|known| *known == status.as_u16());
        let column = known.unwrap_or(STATUSES.len() - 1);
        self.requests[row * STATUSES.len() + column].get_or_init(|| {
            let (method, _) = METHODS[row];
            let status = STATUSES[column].to_string();
            metrics::counter!(REQUESTS_TOTAL, "method" => method, "route" => Arc::clone(&self.name), "status" => status)
        })
    }
}

/// The handles of every route that was asked for.
#[derive(Default)]
pub(crate) struct RequestMetrics {
    routes: RwLock<HashMap<Box<str>, Arc<Route>>>,
}

impl RequestMetrics {
    /// Counts one answered request. `route` is the pattern it matched.
    pub fn record(&self, method: &Method, route: Option<&str>, status: StatusCode, took: Duration) {
        let route = self.route(route.unwrap_or(NO_ROUTE));
        route.counter(method, status).increment(1);
        route.seconds.record(took.as_secs_f64());
    }

    fn route(&self, name: &str) -> Arc<Route> {
        if let Some(route) = self.routes.read().get(name) {
            return Arc::clone(route);
        }
        // There are as many as there are patterns in the router, so this does not grow with requests.
        let mut routes = self.routes.write();
        Arc::clone(routes.entry(name.into()).or_insert_with(|| Arc::new(Route::new(name))))
    }
}
