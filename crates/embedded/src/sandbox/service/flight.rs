//! One request to the sandbox, with the calls in it.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use ordermill_ports::payments::PaymentError;
use parking_lot::Mutex;
use tokio::time::timeout;

use super::gateway::{Answer, Waiting};
use super::target::Target;
use super::wire::{Line, Refusal, WireCall};

/// Connections that are kept although nothing goes over them.
const IDLE_MAX: usize = 8;

/// Of the explanation of a refusal.
const REFUSAL_BYTES_MAX: usize = 16 * 1024;

type Connection = SendRequest<Full<Bytes>>;

/// Connections that are kept alive.
pub(super) struct Pool {
    target: Target,
    idle: Mutex<Vec<Connection>>,
}

impl Pool {
    pub(super) const fn new(target: Target) -> Self {
        Self { target, idle: Mutex::new(Vec::new()) }
    }

    pub(super) const fn target(&self) -> &Target {
        &self.target
    }

    /// The one used last that still stands.
    async fn kept(&self) -> Option<Connection> {
        loop {
            let mut connection = self.idle.lock().pop()?;
            if connection.ready().await.is_ok() {
                return Some(connection);
            }
        }
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
    }
}

/// Sends the calls, and tells each its answer.
pub(super) async fn fly(pool: &Pool, batch: Vec<Waiting>, limit: Duration) {
    let mut callers = Callers(Vec::with_capacity(batch.len()));
    let mut calls = Vec::with_capacity(batch.len());
    for Waiting { call, told } in batch {
        calls.push(WireCall::from(call));
        callers.0.push(Some(told));
    }
    let body: Bytes = serde_json::to_vec(&calls).expect("plain data goes into memory").into();
    let error = match timeout(limit, exchange(pool, &body, &mut callers)).await {
        Ok(Ok(())) => PaymentError::Unavailable(format!("{} left a call out of its answer", pool.target)),
        Ok(Err(problem)) => PaymentError::Unavailable(problem),
        Err(_) => PaymentError::Timeout,
    };
    callers.tell_rest(&error);
}

/// Those who wait for the answers of a request, by the number of their call.
struct Callers(Vec<Option<tokio::sync::oneshot::Sender<Answer>>>);

impl Callers {
    fn tell(&mut self, call: usize, answer: Answer) {
        if let Some(told) = self.0.get_mut(call).and_then(Option::take) {
            // Whoever gave up waiting does not hear it.
            let _ = told.send(answer);
        }
    }

    fn tell_rest(&mut self, error: &PaymentError) {
        for told in self.0.iter_mut().filter_map(Option::take) {
            let _ = told.send(Err(error.clone()));
        }
    }
}

async fn exchange(pool: &Pool, body: &Bytes, callers: &mut Callers) -> Result<(), String> {
    let target = &pool.target;
    let request = || target.request(Method::POST, Uri::from_static("/calls"), body.clone());
    let kept = pool.kept().await;
    let is_kept = kept.is_some();
    let mut connection = match kept {
        Some(connection) => connection,
        None => connect(target).await?,
    };
    let mut response = connection.send_request(request()).await;
    if is_kept && response.is_err() {
        // The other side may have closed it meanwhile, as one that was started anew has. The keys make it safe to ask again.
        connection = connect(target).await?;
        response = connection.send_request(request()).await;
    }
    let response = response.map_err(|error| format!("{target} broke the connection: {error}"))?;
    let status = response.status();
    if status != StatusCode::OK {
        return Err(format!("{target} answered {status}: {}", explanation(response.into_body()).await));
    }
    read_lines(target, response.into_body(), callers).await?;
    pool.keep(connection);
    Ok(())
}

async fn connect(target: &Target) -> Result<Connection, String> {
    target.connect().await.map_err(|error| format!("{target} cannot be reached: {error}"))
}

/// Hands the answers over as they come.
async fn read_lines(target: &Target, mut body: Incoming, callers: &mut Callers) -> Result<(), String> {
    let mut begun: Vec<u8> = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| format!("{target} broke off its answer: {error}"))?;
        let Ok(data) = frame.into_data() else { continue };
        begun.extend_from_slice(&data);
        let whole = memchr::memrchr(b'\n', &begun).map_or(0, |last| last + 1);
        for line in begun[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let line: Line = serde_json::from_slice(line)
                .map_err(|error| format!("{target} gave an answer that cannot be read: {error}"))?;
            callers.tell(line.call, line.outcome.into());
        }
        begun.drain(..whole);
    }
    Ok(())
}

/// What a refusal says of itself.
async fn explanation(body: Incoming) -> String {
    let Ok(body) = Limited::new(body, REFUSAL_BYTES_MAX).collect().await else {
        return "without a word".to_owned();
    };
    let body = body.to_bytes();
    match serde_json::from_slice::<Refusal>(&body) {
        Ok(refusal) => refusal.error,
        Err(_) => String::from_utf8_lossy(&body).into_owned(),
    }
}
