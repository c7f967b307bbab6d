//! A file imported and fulfilled: how long a year of orders takes.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use futures_util::stream;
use http::Method;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde::Serialize;
use tokio::sync::mpsc;

use super::cluster::{Cluster, Layout};
use super::figures::Variant;
use super::mailbox::Mailbox;
use super::measure;
use super::totals::{self, Totals};
use super::wire::{NDJSON, Target};

/// Bytes handed to the connection at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Chunks that wait for the connection.
const CHUNKS_AHEAD: usize = 8;
/// How long no mail may come before the rest is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is imported.
#[derive(Debug, Clone, Copy)]
pub(super) struct Files<'a> {
    pub(super) orders: &'a Path,
    pub(super) products: &'a Path,
}

/// What an import took.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Imported {
    pub(super) variant: Variant,
    /// Products in the catalogue.
    pub(super) products: u64,
    /// For the products alone, in seconds.
    pub(super) products_seconds: f64,
    /// Orders accepted.
    pub(super) orders: u64,
    /// Lines refused.
    pub(super) refused: u64,
    /// Until the last order was accepted, in seconds.
    pub(super) accepted_seconds: f64,
    /// Until the last order was mailed, in seconds.
    pub(super) fulfilled_seconds: f64,
    /// Mails of that time.
    pub(super) mails: u64,
    /// Orders with an address and without a mail.
    pub(super) unmailed: u64,
    /// Orders mailed per second.
    pub(super) fulfilled_per_second: f64,
    /// The most memory the servers used, in bytes.
    pub(super) memory_peak_bytes: Option<u64>,
    /// What the shop had come to in the end.
    pub(super) totals: Totals,
}

/// Imports products and orders into fresh servers, waits for the last mail, and asks what the shop has come to.
pub(super) async fn measure(
    files: Files<'_>,
    variant: Variant,
    data: &Path,
    environment: &[(String, String)],
    layout: Layout,
) -> anyhow::Result<Imported> {
    let cluster = Cluster::start(data, environment, layout).await?;
    let target = cluster.front();
    let began = Instant::now();
    let catalogue = send_file(target, "/v1/products", files.products).await?;
    if catalogue.refused() > 0 {
        bail!("{} lines of {} were refused", catalogue.refused(), files.products.display());
    }
    let products_seconds = began.elapsed().as_secs_f64();
    let mailbox = Mailbox::follow(&cluster.mails)?;
    let began = Instant::now();
    let sent = send_file(target, "/v1/orders", files.orders).await?;
    let accepted_seconds = began.elapsed().as_secs_f64();
    let expected = sent.mails_expected();
    let newest = mailbox.wait_for(expected, PATIENCE).await.unwrap_or_else(|| mailbox.newest());
    let fulfilled_seconds = newest.saturating_duration_since(began).as_secs_f64();
    let mails = mailbox.count();
    let memory = measure::memory(&cluster.servers);
    let mut totals = totals::of_shop(target, PATIENCE).await?;
    totals.mails = mailbox.count();
    mailbox.finish()?;
    cluster.stop().await?;
    Ok(Imported {
        variant,
        products: catalogue.accepted(),
        products_seconds,
        orders: sent.accepted(),
        refused: sent.refused(),
        accepted_seconds,
        fulfilled_seconds,
        mails,
        unmailed: expected.saturating_sub(mails),
        fulfilled_per_second: mails as f64 / fulfilled_seconds.max(f64::MIN_POSITIVE),
        memory_peak_bytes: memory.map(|(_, peak)| peak),
        totals,
    })
}

/// What was sent, and what became of it.
struct Sent {
    /// Of each line, whether it asks for mail.
    with_mail: Vec<bool>,
    /// Numbers of refused lines, from 1.
    refused_lines: Vec<usize>,
}

impl Sent {
    fn refused(&self) -> u64 {
        self.refused_lines.len() as u64
    }

    fn accepted(&self) -> u64 {
        self.with_mail.len() as u64 - self.refused()
    }

    /// Every order that is decided sends one mail, if it has an address.
    fn mails_expected(&self) -> u64 {
        let asked = self.with_mail.iter().filter(|with_mail| **with_mail).count();
        let is_asked = |line: &&usize| self.with_mail.get(line.wrapping_sub(1)).copied().unwrap_or(false);
        (asked - self.refused_lines.iter().filter(is_asked).count()) as u64
    }
}

/// Streams a file of lines as one bulk request.
async fn send_file(target: &Target, path: &str, file: &Path) -> anyhow::Result<Sent> {
    let (chunks, body) = mpsc::channel::<Bytes>(CHUNKS_AHEAD);
    let file = file.to_owned();
    let reader = tokio::task::spawn_blocking(move || read_lines(file, &chunks));
    let body = stream::unfold(body, |mut body| async move {
        let chunk = body.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(Frame::data(chunk)), body))
    });
    let body = StreamBody::new(Box::pin(body));
    let mut sender = target.connect().await?;
    let response = sender.send_request(target.request(Method::POST, path, NDJSON, body)).await?;
    if !response.status().is_success() {
        bail!("POST {path} was answered {}", response.status());
    }
    let mut results = response.into_body();
    let mut refused_lines = Vec::new();
    let mut text = Vec::new();
    let mut answered: usize = 0;
    while let Some(frame) = results.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        text.extend_from_slice(&data);
        let Some(end) = text.iter().rposition(|byte| *byte == b'\n') else { continue };
        for line in text[..end].split(|byte| *byte == b'\n') {
            answered += 1;
            refused_lines.extend(refused_line(line)?);
        }
        text.drain(..=end);
    }
    let with_mail = reader.await??;
    if answered != with_mail.len() {
        bail!("POST {path} answered {answered} of {} lines", with_mail.len());
    }
    Ok(Sent { with_mail, refused_lines })
}

/// The number of a line that was refused; `None` of any other.
fn refused_line(result: &[u8]) -> anyhow::Result<Option<usize>> {
    const PROBLEM: &[u8] = b"\"problem\"";
    // Most lines are results without one, and need no reading.
    if !result.windows(PROBLEM.len()).any(|window| window == PROBLEM) {
        return Ok(None);
    }
    let result: serde_json::Value = serde_json::from_slice(result).context("a result line of a bulk request")?;
    let line = result["line"].as_u64().context("a result line without its number")?;
    Ok(Some(usize::try_from(line)?))
}

/// Reads a file, packed or plain, and passes its lines on in chunks. Gives for each line whether it asks for mail.
fn read_lines(path: PathBuf, chunks: &mpsc::Sender<Bytes>) -> anyhow::Result<Vec<bool>> {
    let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
    let is_packed = path.extension().is_some_and(|extension| extension == "gz");
    let reader: Box<dyn Read> = if is_packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut reader = BufReader::with_capacity(CHUNK_BYTES, reader);
    let mut with_mail = Vec::new();
    let mut chunk = Vec::with_capacity(2 * CHUNK_BYTES);
    let mut line = Vec::new();
    loop {
        line.clear();
        let is_end = reader.read_until(b'\n', &mut line)? == 0;
        if !line.trim_ascii().is_empty() {
            with_mail.push(line.windows(16).any(|window| window == b"\"customer_email\""));
            chunk.extend_from_slice(line.trim_ascii());
            chunk.push(b'\n');
        }
        if chunk.len() >= CHUNK_BYTES || (is_end && !chunk.is_empty()) {
            // Nobody listens any more only when the request has failed, which is told there.
            if chunks.blocking_send(Bytes::from(std::mem::take(&mut chunk))).is_err() {
                return Ok(with_mail);
            }
        }
        if is_end {
            return Ok(with_mail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_line_that_asked_for_mail_is_not_waited_for() {
        let sent = Sent { with_mail: vec![true, false, true, true], refused_lines: vec![2, 3] };
        assert_eq!((sent.accepted(), sent.refused(), sent.mails_expected()), (2, 2, 2));
    }

    #[test]
    fn refused_lines_are_told_by_their_number() {
        assert_eq!(refused_line(b"{\"line\":7,\"order_id\":\"ord_1\"}").expect("JSON"), None);
        assert_eq!(refused_line(b"{\"line\":7,\"problem\":{\"type\":\"x\"}}").expect("JSON"), Some(7));
    }

    #[test]
    fn a_file_is_passed_on_line_by_line() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("orders.ndjson");
        std::fs::write(&path, "{\"customer_email\":\"a@b\"}\n\n{}").expect("a file");
        let (chunks, mut body) = mpsc::channel(CHUNKS_AHEAD);
        let with_mail = read_lines(path, &chunks).expect("lines");
        assert_eq!(with_mail, [true, false]);
        assert_eq!(body.try_recv().expect("a chunk"), Bytes::from_static(b"{\"customer_email\":\"a@b\"}\n{}\n"));
    }
}
