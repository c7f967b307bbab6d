//! A client of the HTTP interface, as the command line uses it.
//!
//! It is a tolerant reader: what a newer server adds is kept beside the known fields and shown, not refused.

mod bulk;
mod channels;
mod customers;
mod dead_letters;
mod error;
mod invoke;
mod orders;
mod parcels;
mod products;
mod records;
mod sse;
mod types;

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;

pub use bulk::{Answer, Answers};
pub use channels::{Channel, Consumer, MessagePage};
pub use customers::{Customer, CustomerPage};
pub use dead_letters::{DeadLetter, DeadLetterListing, DeadLetterPage, Redriven};
pub use error::{Error, Problem, Violation};
pub use orders::{Listing, Placing};
pub use parcels::{Parcel, ParcelPage, ReportResult};
pub use records::{Record, RecordListing, RecordPage};
pub use sse::{Live, Message};
pub use types::{Attention, Event, Events, Line, Money, Order, OrderPage, Product, ProductPage, Stock, StockPage};

/// How long a connection may take to come about. The server is near; one that is not there refuses at once.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an answer may take to begin or to go on, beyond the time the caller asked to wait.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of an answer that is no problem document that are shown.
const EXCERPT_BYTES_MAX: usize = 300;

/// Talks to one server. Cheap to clone; connections are shared.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<HeaderValue>,
}

impl Client {
    /// A client of the server at `url`, such as `http://127.0.0.1:7070`. Does not connect yet.
    ///
    /// # Errors
    /// [`Error::Url`] when the text is no URL with `http` or `https`.
    pub fn new(url: &str) -> Result<Self, Error> {
        let parsed =
            reqwest::Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let parsed = parsed.ok_or_else(|| Error::Url(url.to_owned()))?;
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .tcp_nodelay(true)
            // Ours is the only hop; a proxy of the environment is not meant for it.
            .no_proxy()
            .user_agent(concat!("ordermill/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(Error::Setup)?;
        Ok(Self { http, base: parsed.as_str().trim_end_matches('/').to_owned(), token: None })
    }

    /// Shows this token with every request.
    ///
    /// # Errors
    /// [`Error::Token`] when it holds what no header may hold.
    pub fn with_token(self, token: &str) -> Result<Self, Error> {
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| Error::Token)?;
        value.set_sensitive(true);
        Ok(Self { token: Some(value), ..self })
    }

    /// The server's address, without a slash at its end.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Whether the server can take orders at present.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when it is not there, [`Error::Refused`] with the reason when it is not ready.
    pub async fn ready(&self) -> Result<(), Error> {
        self.send(self.request(Method::GET, &["readyz"])).await.map(drop)
    }

    /// A request to the path of these parts, each escaped.
    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        self.query(method, path, &[])
    }

    /// A request with a query.
    fn query(&self, method: Method, path: &[&str], query: &[(&str, String)]) -> RequestBuilder {
        let mut url = self.base.clone();
        for part in path {
            url.push('/');
            escape(part, &mut url);
        }
        for (index, (name, value)) in query.iter().enumerate() {
            url.push(if index == 0 { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            escape(value, &mut url);
        }
        let request = self.http.request(method, url);
        match &self.token {
            Some(token) => request.header(AUTHORIZATION, token.clone()),
            None => request,
        }
    }

    /// Sends, and gives the answer if it is a yes.
    async fn send(&self, request: RequestBuilder) -> Result<Response, Error> {
        let response = request.send().await.map_err(|error| Error::of_transport(&self.base, error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let body = response.bytes().await.map_err(|error| Error::of_transport(&self.base, error))?;
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(Error::Refused(Box::new(problem.with_status(status)))),
            Err(_) => Err(Error::Unexpected { status, body: excerpt(&body) }),
        }
    }

    async fn read<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Error> {
        let response = self.send(request).await?;
        let status = response.status().as_u16();
        let body = response.bytes().await.map_err(|error| Error::of_transport(&self.base, error))?;
        serde_json::from_slice(&body).map_err(|source| Error::Unreadable { status, source, body: excerpt(&body) })
    }
}

fn excerpt(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(EXCERPT_BYTES_MAX)]).into_owned()
}

/// Percent-encodes one part of a path: everything but the unreserved characters of RFC 3986.
fn escape(part: &str, out: &mut String) {
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped_and_bases_are_trimmed() {
        let client = Client::new("http://127.0.0.1:7070/").expect("a URL");
        assert_eq!(client.base(), "http://127.0.0.1:7070");
        let query = [("cursor", "a+b&c".to_owned()), ("limit", "5".to_owned())];
        let request = client.query(Method::GET, &["v1", "products", "a/b c?ä"], &query).build().expect("a request");
        let expected = "http://127.0.0.1:7070/v1/products/a%2Fb%20c%3F%C3%A4?cursor=a%2Bb%26c&limit=5";
        assert_eq!(request.url().as_str(), expected);
    }

    #[test]
    fn a_token_goes_with_every_request_and_is_not_shown() {
        let client = Client::new("http://127.0.0.1:7070").expect("a URL").with_token("hunter2").expect("a token");
        let request = client.request(Method::GET, &["v1", "orders"]).build().expect("a request");
        assert_eq!(request.headers()[AUTHORIZATION], "Bearer hunter2");
        assert!(!format!("{client:?} {request:?}").contains("hunter2"));
        assert!(matches!(client.with_token("a\nb"), Err(Error::Token)));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for url in ["", "127.0.0.1:7070", "ftp://x", "http://"] {
            assert!(matches!(Client::new(url), Err(Error::Url(_))), "{url}");
        }
    }

    #[tokio::test]
    async fn a_server_without_tls_is_told_from_one_that_is_not_there() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("https://{}", listener.local_addr().expect("it is bound"));
        tokio::spawn(async move {
            let (mut peer, _) = listener.accept().await.expect("somebody connects");
            let mut hello = [0; 64];
            peer.read_exact(&mut hello).await.expect("the client begins");
            peer.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("the client reads");
            peer.read_exact(&mut [0; 65_536]).await.expect_err("the client ends");
        });
        let error = Client::new(&url).expect("a URL").ready().await.expect_err("it is no server of https");
        assert!(matches!(error, Error::NoTls { .. }) && !error.is_connection(), "{error:?}");
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_unreachable() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        drop(listener);
        let error = Client::new(&url).expect("a URL").ready().await.expect_err("nobody listens");
        assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
        assert!(error.is_connection(), "{error}");
    }
}
