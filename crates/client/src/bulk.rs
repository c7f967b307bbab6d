//! Bulk requests: one JSON object a line there, one answer a line back.

use std::convert::Infallible;

use bytes::{Bytes, BytesMut};
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::Problem;
use crate::{Client, Error, excerpt};

/// The answer to one line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Counts the lines of the request, from 1. 0 stands for the request as a whole.
    #[serde(default)]
    pub line: u64,
    /// The order, when one was taken or was there already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The answers to a bulk request, as they come.
pub struct Answers {
    base: String,
    body: BoxStream<'static, Result<Bytes, reqwest::Error>>,
    buffer: BytesMut,
    ended: bool,
}

impl Client {
    pub(crate) async fn send_lines(
        &self,
        path: &[&str],
        lines: impl Stream<Item = Bytes> + Send + 'static,
    ) -> Result<Answers, Error> {
        let body = reqwest::Body::wrap_stream(lines.map(Ok::<_, Infallible>));
        let request = self.request(Method::POST, path).header("Content-Type", "application/x-ndjson").body(body);
        let response = self.send(request).await?;
        let body = response.bytes_stream().into_stream().boxed();
        Ok(Answers { base: self.base.clone(), body, buffer: BytesMut::new(), ended: false })
    }
}

impl Answers {
    /// The next answer; `None` behind the last. Safe to cancel.
    ///
    /// # Errors
    /// [`Error::Lost`] when the connection ended early; what was answered until then holds.
    pub async fn next(&mut self) -> Result<Option<Answer>, Error> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1);
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return parse(&line).map(Some);
            }
            if self.ended {
                let line = self.buffer.split();
                return if line.trim_ascii().is_empty() { Ok(None) } else { parse(&line).map(Some) };
            }
            match self.body.next().await {
                Some(Ok(bytes)) => self.buffer.extend_from_slice(&bytes),
                Some(Err(error)) => return Err(Error::of_transport(&self.base, error)),
                None => self.ended = true,
            }
        }
    }
}

fn parse(line: &[u8]) -> Result<Answer, Error> {
    serde_json::from_slice(line).map_err(|source| Error::Unreadable { status: 200, source, body: excerpt(line) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(pieces: &[&'static str]) -> Answers {
        let pieces: Vec<Result<Bytes, reqwest::Error>> = pieces.iter().map(|piece| Ok(Bytes::from(*piece))).collect();
        let body = futures_util::stream::iter(pieces).boxed();
        Answers { base: String::new(), body, buffer: BytesMut::new(), ended: false }
    }

    #[tokio::test]
    async fn answers_are_cut_at_line_ends_wherever_the_pieces_end() {
        let mut answers = answers(&[
            "{\"line\":1,\"order_id\":\"ord_1\",\"status\":\"placed\"}\n{\"li",
            "ne\":2,\"problem\":{\"type\":\"/errors/unknown_product\",\"title\":\"t\",\"status\":422}}\n\n{\"line\":3}",
        ]);
        let first = answers.next().await.expect("readable").expect("an answer");
        assert_eq!((first.line, first.order_id.as_deref()), (1, Some("ord_1")));
        assert_eq!(first.other["status"], "placed");
        let second = answers.next().await.expect("readable").expect("an answer");
        assert_eq!(second.problem.as_ref().map(Problem::code), Some("unknown_product"));
        assert_eq!(answers.next().await.expect("readable").map(|answer| answer.line), Some(3));
        assert_eq!(answers.next().await.expect("readable"), None);
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_off_is_no_answer() {
        let mut answers = answers(&["{\"line\":1}\n{\"line\":"]);
        assert!(answers.next().await.is_ok());
        assert!(matches!(answers.next().await, Err(Error::Unreadable { .. })));
    }
}
