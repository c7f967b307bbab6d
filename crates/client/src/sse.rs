//! Live streams: server-sent events, taken up again where they broke off.

use std::marker::PhantomData;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use reqwest::Method;
use serde::de::DeserializeOwned;

use crate::types::Event;
use crate::{Client, Error, excerpt};

/// How long after a break the stream is taken up again, and how often in a row without a word from the server.
const RESUME_PAUSE: Duration = Duration::from_millis(500);
const RESUMES_MAX: u32 = 20;

/// One message of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// Named again when the stream is taken up.
    pub id: Option<String>,
    /// What it is; `message` when the server does not say.
    pub event: Option<String>,
    /// Its text.
    pub data: String,
}

/// What happens at one address, as it happens.
pub struct Live<T> {
    client: Client,
    path: Vec<String>,
    last_id: Option<String>,
    body: Option<BoxStream<'static, Result<Bytes, reqwest::Error>>>,
    parser: Parser,
    resumes: u32,
    /// Whether there was a connection before.
    was_open: bool,
    items: PhantomData<fn() -> T>,
}

impl Client {
    /// Follows one order from its first event on.
    #[must_use]
    pub fn follow(&self, order_id: &str) -> Live<Event> {
        Live::new(self, &["v1", "orders", order_id, "events", "stream"])
    }
}

impl<T: DeserializeOwned> Live<T> {
    /// The stream at this path. Does not connect yet.
    pub(crate) fn new(client: &Client, path: &[&str]) -> Self {
        Self {
            client: client.clone(),
            path: path.iter().map(|part| (*part).to_owned()).collect(),
            last_id: None,
            body: None,
            parser: Parser::default(),
            resumes: 0,
            was_open: false,
            items: PhantomData,
        }
    }

    /// Begins behind this place instead.
    pub(crate) fn behind(mut self, id: Option<&str>) -> Self {
        self.last_id = id.map(ToOwned::to_owned);
        self
    }

    /// The next event. A stream that breaks off is taken up behind the last event seen; nothing is skipped or shown twice.
    /// Safe to cancel.
    ///
    /// # Errors
    /// [`Error`] when there is nothing at this address, or when the server stays away.
    pub async fn next(&mut self) -> Result<T, Error> {
        loop {
            if let Some(message) = self.parser.take() {
                self.resumes = 0;
                if message.id.is_some() {
                    self.last_id.clone_from(&message.id);
                }
                // Messages without data are signs of life.
                if message.data.is_empty() {
                    continue;
                }
                let data = message.data.as_bytes();
                return serde_json::from_slice(data).map_err(|source| Error::Unreadable {
                    status: 200,
                    source,
                    body: excerpt(data),
                });
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<(), Error> {
        let Some(body) = &mut self.body else {
            return self.connect().await;
        };
        match body.next().await {
            Some(Ok(bytes)) => self.parser.push(&bytes),
            Some(Err(_)) | None => {
                self.body = None;
                self.parser = Parser::default();
                tokio::time::sleep(RESUME_PAUSE).await;
            }
        }
        Ok(())
    }

    async fn connect(&mut self) -> Result<(), Error> {
        if self.resumes >= RESUMES_MAX {
            let cause = "the server ended the stream again and again".to_owned();
            return Err(Error::Lost { url: self.client.base.clone(), cause });
        }
        self.resumes += 1;
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let mut request = self.client.request(Method::GET, &path).header("Accept", "text/event-stream");
        if let Some(id) = &self.last_id {
            request = request.header("Last-Event-ID", id);
        }
        match self.client.send(request).await {
            Ok(response) => {
                self.was_open = true;
                self.body = Some(response.bytes_stream().into_stream().boxed());
            }
            // The first connection says at once that nobody is there; a stream that was open waits for the server to come back.
            Err(error) if self.was_open && is_passing(&error) => {
                tokio::time::sleep(RESUME_PAUSE).await;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

fn is_passing(error: &Error) -> bool {
    error.is_connection() || error.problem().is_some_and(crate::Problem::is_transient)
}

/// Cuts a stream into messages (WHATWG HTML, "Server-sent events").
#[derive(Debug, Default)]
struct Parser {
    buffer: BytesMut,
    pending: Message,
    has_data: bool,
    ready: std::collections::VecDeque<Message>,
}

impl Parser {
    fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
            let line = self.buffer.split_to(end + 1);
            let line = String::from_utf8_lossy(&line);
            self.line(line.trim_end_matches(['\n', '\r']));
        }
    }

    fn line(&mut self, line: &str) {
        if line.is_empty() {
            let message = std::mem::take(&mut self.pending);
            if std::mem::take(&mut self.has_data) {
                self.ready.push_back(message);
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.pending.data.push('\n');
                }
                self.pending.data.push_str(value);
            }
            "id" => self.pending.id = Some(value.to_owned()),
            "event" => self.pending.event = Some(value.to_owned()),
            // A line that begins with a colon is a comment: a sign of life. Other fields mean nothing to us.
            _ => {}
        }
    }

    fn take(&mut self) -> Option<Message> {
        self.ready.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_wherever_the_pieces_end() {
        let text =
            ": hello\n\nid: 7\nevent: order.placed\ndata: {\"a\":\ndata: 1}\n\nid:8\r\ndata:x\r\n\r\nretry: 5\n\n";
        for size in 1..text.len() {
            let mut parser = Parser::default();
            for piece in text.as_bytes().chunks(size) {
                parser.push(piece);
            }
            let first = parser.take().expect("the first message");
            assert_eq!((first.id.as_deref(), first.event.as_deref()), (Some("7"), Some("order.placed")));
            assert_eq!(first.data, "{\"a\":\n1}");
            assert_eq!(parser.take().map(|message| (message.id, message.data)), Some((Some("8".into()), "x".into())));
            assert_eq!(parser.take(), None);
        }
    }
}
