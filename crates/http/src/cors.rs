//! Pages of other origins (CORS): none may call, unless the operator names them. What they may do is what anybody else may; no cookies
//! are involved, as callers show tokens in a header.

use std::time::Duration;

use http::header::{
    ACCEPT, ALLOW, AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::correlation::{CORRELATION_ID, TRACEPARENT};
use crate::idempotency::{IDEMPOTENCY_KEY, IDEMPOTENCY_KEY_EXPIRES, IDEMPOTENT_REPLAYED};
use crate::live::LAST_EVENT_ID;
use crate::prefer::{PREFER, PREFERENCE_APPLIED};
use crate::settings::Settings;

/// How long a browser may remember what it was told.
const MAX_AGE: Duration = Duration::from_secs(3_600);

/// The layer; `None` when no origin is named, so that nothing is paid for it.
pub(crate) fn layer(settings: &Settings) -> Option<CorsLayer> {
    if settings.cors_origins.is_empty() {
        return None;
    }
    let methods = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE];
    let asked = [
        ACCEPT,
        AUTHORIZATION,
        CONTENT_TYPE,
        IDEMPOTENCY_KEY,
        IF_MATCH,
        IF_NONE_MATCH,
        LAST_EVENT_ID,
        PREFER,
        TRACEPARENT,
        CORRELATION_ID,
    ];
    let answered = [
        ALLOW,
        ETAG,
        IDEMPOTENCY_KEY_EXPIRES,
        IDEMPOTENT_REPLAYED,
        LOCATION,
        PREFERENCE_APPLIED,
        RETRY_AFTER,
        WWW_AUTHENTICATE,
        CORRELATION_ID,
    ];
    let layer = CorsLayer::new().allow_methods(methods).allow_headers(asked).expose_headers(answered);
    Some(layer.allow_origin(origins(&settings.cors_origins)).max_age(MAX_AGE))
}

fn origins(named: &[Box<str>]) -> AllowOrigin {
    if named.iter().any(|origin| &**origin == "*") {
        return AllowOrigin::any();
    }
    // An origin that is no header value can be no browser's.
    AllowOrigin::list(named.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()))
}
