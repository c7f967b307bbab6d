//! The journal of a sandbox that is served elsewhere, read page by page.

use std::io::{self, Read};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::{Method, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use ordermill_ports::audit::{AuditError, ProviderEntry};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::super::journal::read_lines;
use super::target::Target;

/// How long a page may take.
const PAGE_TIME_MAX: Duration = Duration::from_secs(30);

/// Visits every completed operation in the journal of the sandbox at `url`, oldest first, while it goes on working. Blocks, and is meant
/// for a thread of its own.
///
/// # Errors
/// [`AuditError`] of the sandbox that is not there, of the first line that cannot be read, or of the callback.
pub fn read_journal_at(
    url: &str,
    visit: &mut dyn FnMut(ProviderEntry) -> Result<(), AuditError>,
) -> Result<(), AuditError> {
    let target = Target::new(url).map_err(|error| AuditError(error.to_string()))?;
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| AuditError(format!("cannot read {target}: {error}")))?;
    let name = format!("the journal of {target}");
    let mut pages = Pages { target, runtime, connection: None, after: 0, page: Bytes::new() };
    read_lines(&mut pages, &name, visit)
}

/// The journal as one long text.
struct Pages {
    target: Target,
    runtime: Runtime,
    connection: Option<SendRequest<Full<Bytes>>>,
    /// Where the present page ends, in bytes.
    after: u64,
    /// What is left of it.
    page: Bytes,
}

impl Read for Pages {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.page.is_empty() {
            let fetched = fetch(&self.target, &mut self.connection, self.after);
            let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no page in time");
            // The limit keeps time by the runtime, so it is set within.
            self.page = self.runtime.block_on(async { timeout(PAGE_TIME_MAX, fetched).await }).map_err(late)??;
            self.after += self.page.len() as u64;
        }
        let count = buffer.len().min(self.page.len());
        self.page.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

async fn fetch(target: &Target, kept: &mut Option<SendRequest<Full<Bytes>>>, after: u64) -> io::Result<Bytes> {
    let is_open = match kept {
        Some(connection) => connection.ready().await.is_ok(),
        None => false,
    };
    let connection = match kept.take().filter(|_| is_open) {
        Some(connection) => kept.insert(connection),
        None => kept.insert(target.connect().await?),
    };
    let path: Uri = format!("/journal?after={after}").parse().expect("a number makes a sound path");
    let response = connection.send_request(target.request(Method::GET, path, Bytes::new())).await;
    let response = response.map_err(io::Error::other)?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
    if status != StatusCode::OK {
        return Err(io::Error::other(format!("it answered {status}: {}", String::from_utf8_lossy(&body))));
    }
    Ok(body)
}
