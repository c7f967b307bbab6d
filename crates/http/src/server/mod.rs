//! The server: connections, their limits and their end.

mod io;

use std::convert::Infallible;
use std::future::Future;
use std::io::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::IntoResponse as _;
use bytes::Bytes;
use futures_util::future::Either;
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower::{Service as _, ServiceExt as _};

use crate::orders::place::Placing;
use crate::problem::Problem;
use crate::router;
use crate::server::io::{Activity, TimedIo};
use crate::settings::Settings;
use crate::state::{App, Shared, State};
use crate::wire;

/// Bytes hyper buffers of a request before its handler takes them: one whole order of usual size, and pieces of a bulk body.
const READ_BUFFER_BYTES_MAX: usize = 64 * 1024;
/// Connections beyond the limit that are told so at once; further ones are closed without a word.
const REFUSALS_MAX: usize = 64;
/// How long a refused client may take to read that.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);
/// Before the next try when the system has no room for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves the interface until `shutdown` is done; then takes no new connection, lets requests under way end within
/// [`Settings::drain_timeout`], answers those that wait, and ends live streams.
///
/// HTTP/1.1 only: each connection then has one request at a time, so the limit on connections bounds everything behind it.
/// A proxy in front can speak anything else to its clients.
///
/// # Errors
/// When the listener is broken for good.
pub async fn serve(listener: TcpListener, app: App, shutdown: impl Future) -> Result<(), Error> {
    let state = State::new(app);
    tokio::spawn(wire::recover(Shared::clone(&state)));
    let placing = Placing::framed(&state);
    run(listener, &state, router::with_state(&state), Some(placing), shutdown).await
}

/// Serves health and metrics alone, in the same way: for a process that takes no orders.
///
/// # Errors
/// When the listener is broken for good.
pub async fn serve_health(listener: TcpListener, app: App, shutdown: impl Future) -> Result<(), Error> {
    let state = State::new(app);
    run(listener, &state, router::watching_alone(&state), None, shutdown).await
}

async fn run(
    listener: TcpListener,
    state: &Shared,
    router: Router,
    placing: Option<crate::frame::Frame<Placing>>,
    shutdown: impl Future,
) -> Result<(), Error> {
    let drain_timeout = state.app.settings.drain_timeout;
    let (abort, aborted) = watch::channel(());
    let server = Server {
        router,
        placing,
        connections: Arc::new(Semaphore::new(state.app.settings.connections_max.min(Semaphore::MAX_PERMITS))),
        refusals: Arc::new(Semaphore::new(REFUSALS_MAX)),
        http: http(&state.app.settings),
        graceful: GracefulShutdown::new(),
        aborted,
        state: Shared::clone(state),
    };
    let accepted = tokio::select! {
        accepted = server.accept(&listener) => accepted,
        _ = shutdown => Ok(()),
    };
    // New connections are refused by the system from here on.
    drop(listener);
    server.state.close();
    tracing::info!(drain_timeout_s = drain_timeout.as_secs(), "no new connections; ending what is under way");
    // Also what goes on behind connections that are gone: the ledger is closed after this.
    let drained = async {
        server.graceful.shutdown().await;
        state.errands_done().await;
    };
    if tokio::time::timeout(drain_timeout, drained).await.is_err() {
        tracing::warn!("requests were cut off, as they took longer than the drain timeout");
    }
    drop(abort);
    accepted
}

fn http(settings: &Settings) -> http1::Builder {
    let mut http = http1::Builder::new();
    // hyper counts the idle time and the head of a request as one; the head alone is timed by `TimedIo`. The number of headers is
    // bounded by hyper's own default of 100: setting it would cost an allocation per request.
    http.timer(TokioTimer::new())
        .header_read_timeout(settings.idle_timeout)
        // Somewhat more than the limit that is explained with a problem document.
        .max_header_size(settings.header_bytes_max.saturating_mul(2).max(8 * 1024))
        .max_buf_size(READ_BUFFER_BYTES_MAX);
    http
}

struct Server {
    state: Shared,
    router: Router,
    /// Placing an order, past the router; `None` where none are taken.
    placing: Option<crate::frame::Frame<Placing>>,
    connections: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    http: http1::Builder,
    graceful: GracefulShutdown,
    aborted: watch::Receiver<()>,
}

impl Server {
    async fn accept(&self, listener: &TcpListener) -> Result<(), Error> {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => match Arc::clone(&self.connections).try_acquire_owned() {
                    Ok(room) => self.connect(stream, room),
                    Err(_) => self.refuse(stream),
                },
                Err(error) if is_of_one_connection(&error) => {}
                // Out of file descriptors or memory: connections that end give room.
                Err(error) => {
                    tracing::warn!(%error, "no connection could be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn connect(&self, stream: TcpStream, room: OwnedSemaphorePermit) {
        // Answers are written whole; waiting for more to send would only delay them.
        let _ = stream.set_nodelay(true);
        let activity = Arc::new(Activity::default());
        let settings = &self.state.app.settings;
        let io = TimedIo::new(stream, Arc::clone(&activity), settings.head_read_timeout, settings.write_timeout);
        let (router, placing) = (self.router.clone(), self.placing.clone());
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let under_way = activity.begin(wire::waits(request.uri().path()));
            let request: Request = request.map(Body::new);
            let answer = match &placing {
                Some(placing) if Placing::takes(&request) => Either::Left(placing.clone().call(request)),
                _ => Either::Right(router.clone().oneshot(request)),
            };
            async move {
                let response = answer.await.unwrap_or_else(|never: Infallible| match never {});
                Ok::<_, Infallible>(response.map(|body| Tracked { body, _under_way: under_way }))
            }
        });
        let connection = self.graceful.watch(self.http.serve_connection(TokioIo::new(io), service));
        let mut aborted = self.aborted.clone();
        tokio::spawn(async move {
            tokio::select! {
                ended = connection => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "connection ended early");
                    }
                }
                // The sender is dropped when the time for draining is over.
                _ = aborted.changed() => {}
            }
            drop(room);
        });
    }

    /// Tells a client that there is no room, without reading what it wants.
    fn refuse(&self, mut stream: TcpStream) {
        let Ok(room) = Arc::clone(&self.refusals).try_acquire_owned() else {
            return;
        };
        tokio::spawn(async move {
            let told = async {
                stream.write_all(&refusal().await).await?;
                stream.shutdown().await?;
                // Closing with unread bytes would reset the connection, and the client would lose the answer.
                tokio::io::copy(&mut (&mut stream).take(64 * 1024), &mut tokio::io::sink()).await
            };
            let _ = tokio::time::timeout(REFUSAL_TIMEOUT, told).await;
            drop(room);
        });
    }
}

/// Errors of `accept` that concern the one client alone.
fn is_of_one_connection(error: &Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// The answer to a connection beyond the limit.
async fn refusal() -> Vec<u8> {
    let response = Problem::overloaded("too many connections are open").into_response();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let mut bytes =
        format!("HTTP/1.1 {}\r\nconnection: close\r\ncontent-length: {}\r\n", parts.status, body.len()).into_bytes();
    for (name, value) in &parts.headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&body);
    bytes
}

/// A body that says when its request is over: when it was sent, or given up.
struct Tracked {
    body: Body,
    _under_way: io::UnderWay,
}

impl HttpBody for Tracked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
