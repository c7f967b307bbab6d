//! Where a sandbox is served.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::uri::Authority;
use http::{Method, Request, Uri};
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Connecting takes a fraction of this, on any network where payments make sense.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(2);

/// The text is no address of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the address of a sandbox is http://HOST:PORT")]
pub struct UrlError;

/// An address, checked.
#[derive(Debug, Clone)]
pub(super) struct Target {
    authority: Arc<str>,
    host: HeaderValue,
}

impl Target {
    /// Takes `http://host:port`.
    pub(super) fn new(url: &str) -> Result<Self, UrlError> {
        let authority = url.strip_prefix("http://").ok_or(UrlError)?;
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let parsed: Authority = authority.parse().map_err(|_| UrlError)?;
        if parsed.port_u16().is_none() || parsed.host().is_empty() || authority.contains('@') {
            return Err(UrlError);
        }
        let host = HeaderValue::from_str(authority).map_err(|_| UrlError)?;
        Ok(Self { authority: authority.into(), host })
    }

    pub(super) fn request(&self, method: Method, path: Uri, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = path;
        request.headers_mut().insert(HOST, self.host.clone());
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request
    }

    /// A new connection, kept alive until it is dropped or the other side closes it.
    pub(super) async fn connect(&self) -> io::Result<SendRequest<Full<Bytes>>> {
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no connection in time");
        let stream = timeout(CONNECT_TIME_MAX, TcpStream::connect(&*self.authority)).await.map_err(late)??;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        // Ends with the connection; what goes wrong shows at the request that waits on it.
        tokio::spawn(async move { connection.await.ok() });
        Ok(sender)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the payment sandbox at http://{}", self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port_and_nothing_else() {
        for url in ["http://127.0.0.1:9090", "http://[::1]:9090/", "http://sandbox.local:80"] {
            assert!(Target::new(url).is_ok(), "{url}");
        }
        for url in ["", "127.0.0.1:9090", "https://a:1", "http://a", "http://a:1/b", "http://me:pw@a:1", "http://:1"] {
            assert!(Target::new(url).is_err(), "{url}");
        }
    }
}
