//! The server side.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use futures_util::StreamExt;
use futures_util::stream;
use serde::Deserialize;
use tokio::net::TcpListener;

use super::super::{Call, Sandbox, Told};
use super::wire::{BODY_BYTES_MAX, CALLS_MAX, Line, Outcome, Refusal, WireCall};

/// How long calls under way may take to end; longer than a slow payment.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(15);

/// Serves the sandbox until `shutdown` is done; then takes no new connection and lets calls under way end.
///
/// # Errors
/// When the listener is broken for good.
pub async fn serve(
    listener: TcpListener,
    sandbox: Arc<Sandbox>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let router = Router::new()
        .route("/calls", post(answer_calls))
        .route("/journal", get(give_journal))
        .route("/healthz", get(tell_health))
        .fallback(refuse_path)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(sandbox);
    let listener = listener.tap_io(|stream| {
        // Answers are written whole; waiting for more to send would only delay them.
        let _ = stream.set_nodelay(true);
    });
    let (begun, drains) = tokio::sync::oneshot::channel();
    let served = axum::serve(listener, router).with_graceful_shutdown(async move {
        shutdown.await;
        // Nobody listens when the server has failed.
        let _ = begun.send(());
    });
    let drained = async {
        match drains.await {
            Ok(()) => tokio::time::sleep(DRAIN_TIME_MAX).await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = served.into_future() => ended,
        () = drained => {
            tracing::warn!("calls were cut off, as they took too long to end");
            Ok(())
        }
    }
}

async fn answer_calls(State(sandbox): State<Arc<Sandbox>>, body: Bytes) -> Response {
    let calls: Vec<WireCall> = match serde_json::from_slice(&body) {
        Ok(calls) => calls,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &format!("the calls cannot be read: {error}")),
    };
    if calls.len() > CALLS_MAX {
        return refuse(StatusCode::BAD_REQUEST, &format!("at most {CALLS_MAX} calls are taken at once"));
    }
    // A task of its own: what is begun is brought to its end also when the caller hangs up.
    let answered = tokio::spawn(async move {
        let calls: Vec<Call> = calls.into_iter().map(Call::from).collect();
        sandbox.answer_all(&calls).await
    });
    match answered.await {
        Ok(told) => lines(told),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// The answers as lines: those that are to wait come when their time is over.
fn lines(told: Vec<Told>) -> Response {
    let (mut now, mut later) = (Vec::new(), Vec::new());
    for (call, Told { answer, after }) in told.into_iter().enumerate() {
        let line = Line { call, outcome: Outcome::from(answer) };
        if after.is_zero() { write(&mut now, &line) } else { later.push((after, line)) }
    }
    let body = if later.is_empty() {
        Body::from(now)
    } else {
        later.sort_by_key(|(after, _)| *after);
        let since = tokio::time::Instant::now();
        let late = stream::iter(later).then(move |(after, line)| async move {
            tokio::time::sleep_until(since + after).await;
            let mut text = Vec::new();
            write(&mut text, &line);
            text
        });
        Body::from_stream(stream::iter([now]).chain(late).map(Ok::<_, io::Error>))
    };
    ([(CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

fn write(text: &mut Vec<u8>, line: &Line) {
    serde_json::to_writer(&mut *text, line).expect("plain data goes into memory");
    text.push(b'\n');
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    after: u64,
}

async fn give_journal(State(sandbox): State<Arc<Sandbox>>, Query(Page { after }): Query<Page>) -> Response {
    let page = tokio::task::spawn_blocking(move || sandbox.journal.page(after)).await;
    match page.map_err(io::Error::other).flatten() {
        Ok(Some(page)) => ([(CONTENT_TYPE, "text/plain; charset=utf-8")], page).into_response(),
        Ok(None) => refuse(StatusCode::BAD_REQUEST, &format!("no line of the journal begins at byte {after}")),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &format!("the journal cannot be read: {error}")),
    }
}

async fn tell_health(State(sandbox): State<Arc<Sandbox>>) -> Response {
    if sandbox.journal.is_broken() {
        return refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            "a sync of the journal has failed; the sandbox has to be started again",
        );
    }
    "ok\n".into_response()
}

async fn refuse_path(uri: Uri) -> Response {
    refuse(
        StatusCode::NOT_FOUND,
        &format!("{} is not here; this is a payment sandbox: /calls, /journal, /healthz", uri.path()),
    )
}

fn refuse(status: StatusCode, error: &str) -> Response {
    (status, axum::Json(Refusal { error: error.to_owned() })).into_response()
}
