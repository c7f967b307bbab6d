//! One HTTP/1.1 connection, kept alive: as little client as possible, so that the server is what is measured.

use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Longer than any answer takes; a connection that is silent for longer is broken.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// The media type of one document.
pub(super) const JSON: &str = "application/json";
/// The media type of one document a line.
pub(super) const NDJSON: &str = "application/x-ndjson";

/// Where requests go.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// `127.0.0.1:8080`
    pub(super) authority: String,
    host: HeaderValue,
}

impl Target {
    pub(super) fn new(authority: &str) -> anyhow::Result<Self> {
        Ok(Self { authority: authority.to_owned(), host: HeaderValue::from_str(authority)? })
    }

    /// Reads `http://host:port`.
    pub(super) fn from_url(url: &str) -> anyhow::Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("{url:?} is no address"))?;
        if uri.scheme_str().is_some_and(|scheme| scheme != "http") {
            bail!("{url:?}: the benchmark speaks plain http only");
        }
        let host = uri.host().with_context(|| format!("{url:?} names no host"))?;
        Self::new(&format!("{host}:{}", uri.port_u16().unwrap_or(80)))
    }

    /// A request that only lacks headers of its own.
    pub(super) fn request<B>(&self, method: Method, path: &str, media: &'static str, body: B) -> Request<B> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().unwrap_or_else(|_| Uri::from_static("/"));
        request.headers_mut().insert(HOST, self.host.clone());
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
        request
    }

    /// A new connection for bodies of this type.
    pub(super) async fn connect<B>(&self) -> anyhow::Result<SendRequest<B>>
    where
        B: hyper::body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let stream = TcpStream::connect(&self.authority).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // Ends with the connection; what goes wrong shows at the request that waits on it.
        tokio::spawn(async move { connection.await.ok() });
        Ok(sender)
    }
}

/// A connection that is opened again when it breaks.
pub(super) struct Wire {
    pub(super) target: Target,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Wire {
    pub(super) const fn new(target: Target) -> Self {
        Self { target, sender: None }
    }

    /// Sends one request and reads its whole answer.
    ///
    /// # Errors
    /// When the connection breaks or is silent for too long; the next call opens a new one.
    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> anyhow::Result<(StatusCode, Bytes)> {
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, self.exchange(request)).await;
        let answer = answer.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {} s", ANSWER_TIMEOUT.as_secs())));
        if answer.is_err() {
            self.sender = None;
        }
        answer
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> anyhow::Result<(StatusCode, Bytes)> {
        let sender = match self.sender.take() {
            Some(sender) if !sender.is_closed() => sender,
            _ => self.target.connect().await?,
        };
        let sender = self.sender.insert(sender);
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        Ok((status, read_all(response.into_body()).await?))
    }

    /// A request outside of the measurement, with an expected success.
    ///
    /// # Errors
    /// Also when the answer is no success.
    pub(super) async fn call(
        &mut self,
        method: Method,
        path: &str,
        media: &'static str,
        body: String,
    ) -> anyhow::Result<Bytes> {
        let request = self.target.request(method.clone(), path, media, Full::new(body.into()));
        let (status, bytes) = self.send(request).await.with_context(|| format!("{method} {path}"))?;
        if !status.is_success() {
            bail!("{method} {path} was answered {status}: {}", String::from_utf8_lossy(&bytes));
        }
        Ok(bytes)
    }
}

/// The usual answer comes in one piece, which is taken as it is.
async fn read_all(mut body: Incoming) -> Result<Bytes, hyper::Error> {
    let mut first: Option<Bytes> = None;
    let mut joined: Option<Vec<u8>> = None;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        match (&mut joined, &first) {
            (Some(joined), _) => joined.extend_from_slice(&data),
            (None, Some(begin)) => joined = Some([begin.as_ref(), data.as_ref()].concat()),
            (None, None) => first = Some(data),
        }
    }
    Ok(joined.map(Bytes::from).or(first).unwrap_or_default())
}
