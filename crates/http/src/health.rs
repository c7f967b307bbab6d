//! `/healthz`, `/readyz` and `/metrics`: for whoever keeps the server running.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error_code::NOT_READY;
use crate::openapi::NotReadyProblems;
use crate::problem::Problem;
use crate::representation::json;
use crate::state::Shared;

/// How long the ledger may take to say that it is ready.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// All is well.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `ok`.
    #[schema(value_type = String, example = "ok")]
    status: &'static str,
}

/// Whether the process lives. Asks nothing of anything behind it.
#[utoipa::path(
    get, path = "/healthz", tag = "operations", operation_id = "health",
    responses((status = 200, description = "It lives.", body = Health))
)]
pub(crate) async fn health() -> Response {
    json(StatusCode::OK, &Health { status: "ok" })
}

/// Whether the server can take orders: the ledger can commit, and shutdown has not begun.
#[utoipa::path(
    get, path = "/readyz", tag = "operations", operation_id = "ready",
    responses((status = 200, description = "It is ready.", body = Health), NotReadyProblems)
)]
pub(crate) async fn ready(State(state): State<Shared>) -> Result<Response, Problem> {
    if state.is_closing() {
        return Err(Problem::new(&NOT_READY, "the server is shutting down"));
    }
    match tokio::time::timeout(READY_TIMEOUT, state.app.ledger.ready()).await {
        Ok(Ok(())) => Ok(json(StatusCode::OK, &Health { status: "ok" })),
        Ok(Err(reason)) => {
            tracing::warn!(%reason, "not ready");
            Err(Problem::new(&NOT_READY, "the ledger cannot commit at present; the cause is in the server's log"))
        }
        Err(_elapsed) => Err(Problem::new(&NOT_READY, "the ledger does not answer")),
    }
}

/// The metrics of the process, in the text format of Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "operations", operation_id = "metrics",
    responses((status = 200, description = "The metrics.", body = String, content_type = "text/plain"))
)]
pub(crate) async fn metrics(State(state): State<Shared>) -> Response {
    let mut response = (state.app.metrics)().into_response();
    let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, format);
    response
}
