//! NDJSON bodies: lines as they arrive, in chunks, with bounded memory.

use std::time::Duration;

use axum::body::Body;
use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::FutureExt as _;
use ordermill_core::limits::NDJSON_LINE_BYTES_MAX;
use tokio::time::{Instant, timeout_at};

use crate::body;
use crate::error_code::{BODY_TOO_LARGE, REQUEST_TIMEOUT};
use crate::problem::Problem;
use crate::settings::Settings;

/// Lines of one chunk at the most: as many as share one commit well.
const CHUNK_LINES_MAX: usize = 256;

/// One line that is not blank.
#[derive(Debug)]
pub(crate) struct Line {
    /// Counts all lines, blank ones too, from 1.
    pub number: u64,
    /// Its content, or why there is none.
    pub content: Result<Bytes, Problem>,
}

/// Cuts a body into lines.
pub(crate) struct Lines {
    body: Body,
    buffer: BytesMut,
    /// How much of the buffer is known to hold no line end.
    scanned: usize,
    number: u64,
    /// Within a line that was too long, until its end.
    skipping: bool,
    /// When the line at the front of the buffer began.
    begun: Option<Instant>,
    ended: bool,
    /// Found while lines before it were still to be handed out.
    broken: Option<Problem>,
    line_timeout: Duration,
    idle_timeout: Duration,
}

impl Lines {
    pub fn new(body: Body, settings: &Settings) -> Self {
        Self {
            body,
            buffer: BytesMut::new(),
            scanned: 0,
            number: 0,
            skipping: false,
            begun: None,
            ended: false,
            broken: None,
            line_timeout: settings.body_read_timeout,
            idle_timeout: settings.bulk_idle_timeout,
        }
    }

    /// The number the next line will have.
    pub fn next_number(&self) -> u64 {
        self.number + 1
    }

    /// The lines that are there; waits until there is at least one. `None` at the end. Safe to cancel.
    ///
    /// # Errors
    /// The body cannot be read any further; nothing comes after that.
    pub async fn next_chunk(&mut self) -> Result<Option<Vec<Line>>, Problem> {
        let mut chunk = Vec::new();
        while chunk.is_empty() {
            self.cut(&mut chunk);
            if !chunk.is_empty() {
                break;
            }
            if let Some(problem) = self.broken.take() {
                return Err(problem);
            }
            if self.ended {
                return Ok(None);
            }
            if let Err(problem) = self.read_more().await {
                self.give_up();
                return Err(problem);
            }
        }
        // From here on nothing is awaited, so a chunk that was begun is never lost.
        while chunk.len() < CHUNK_LINES_MAX && !self.ended {
            match self.read_more().now_or_never() {
                Some(Ok(())) => self.cut(&mut chunk),
                Some(Err(problem)) => {
                    self.give_up();
                    self.broken = Some(problem);
                }
                None => break,
            }
        }
        Ok(Some(chunk))
    }

    /// What of the body is left cannot be read; a line that was begun is lost with it.
    fn give_up(&mut self) {
        self.ended = true;
        self.buffer.clear();
        self.scanned = 0;
    }

    async fn read_more(&mut self) -> Result<(), Problem> {
        let partial = self.skipping || !self.buffer.is_empty();
        let deadline = if partial {
            *self.begun.get_or_insert_with(Instant::now) + self.line_timeout
        } else {
            Instant::now() + self.idle_timeout
        };
        match timeout_at(deadline, body::next(&mut self.body)).await {
            Ok(Ok(Some(bytes))) => {
                if !partial {
                    self.begun = Some(Instant::now());
                }
                self.buffer.extend_from_slice(&bytes);
            }
            Ok(Ok(None)) => self.ended = true,
            Ok(Err(problem)) => return Err(problem),
            Err(_) => return Err(Problem::new(&REQUEST_TIMEOUT, "the next line did not arrive in time")),
        }
        Ok(())
    }

    /// Moves whole lines from the buffer to the chunk.
    fn cut(&mut self, chunk: &mut Vec<Line>) {
        while chunk.len() < CHUNK_LINES_MAX {
            let Some(end) = self.buffer[self.scanned..].iter().position(|byte| *byte == b'\n') else {
                self.scanned = self.buffer.len();
                break;
            };
            let line = self.buffer.split_to(self.scanned + end);
            self.buffer.advance(1);
            self.scanned = 0;
            self.begun = (!self.buffer.is_empty()).then(Instant::now);
            self.finish_line(line.freeze(), chunk);
        }
        if self.scanned < self.buffer.len() {
            // The chunk is full; the rest waits for the next one.
            return;
        }
        if self.skipping {
            self.buffer.clear();
            self.scanned = 0;
        } else if self.buffer.len() > NDJSON_LINE_BYTES_MAX {
            self.skipping = true;
            self.buffer.clear();
            self.scanned = 0;
            self.number += 1;
            chunk.push(Line { number: self.number, content: Err(too_long()) });
        }
        if self.ended && !self.buffer.is_empty() {
            let last = self.buffer.split();
            self.scanned = 0;
            self.finish_line(last.freeze(), chunk);
        }
    }

    fn finish_line(&mut self, line: Bytes, chunk: &mut Vec<Line>) {
        if std::mem::take(&mut self.skipping) {
            return;
        }
        self.number += 1;
        let line = if self.number == 1 { line.slice_ref(body::without_mark(&line)) } else { line };
        if line.len() > NDJSON_LINE_BYTES_MAX {
            chunk.push(Line { number: self.number, content: Err(too_long()) });
        } else if !line.trim_ascii().is_empty() {
            chunk.push(Line { number: self.number, content: Ok(line) });
        }
    }
}

fn too_long() -> Problem {
    Problem::new(&BODY_TOO_LARGE, format!("a line may have at most {NDJSON_LINE_BYTES_MAX} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of a body that arrives in these pieces: number, and length or code.
    async fn lines(pieces: Vec<Vec<u8>>) -> Vec<(u64, Result<usize, &'static str>)> {
        let pieces = pieces.into_iter().map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece)));
        let body = Body::from_stream(futures_util::stream::iter(pieces));
        let mut lines = Lines::new(body, &Settings::default());
        let mut seen = Vec::new();
        while let Some(chunk) = lines.next_chunk().await.expect("the body is whole") {
            assert!(chunk.len() <= CHUNK_LINES_MAX);
            let line = |line: Line| (line.number, line.content.map(|bytes| bytes.len()).map_err(|it| it.code.code));
            seen.extend(chunk.into_iter().map(line));
        }
        seen
    }

    #[tokio::test]
    async fn lines_are_cut_wherever_the_pieces_end() {
        let text = b"{}\n\n  \r\n{\"a\":1}\r\nlast";
        let expected = vec![(1, Ok(2)), (4, Ok(8)), (5, Ok(4))];
        for size in 1..text.len() {
            let pieces = text.chunks(size).map(<[u8]>::to_vec).collect();
            assert_eq!(lines(pieces).await, expected, "pieces of {size}");
        }
        assert_eq!(lines(vec![]).await, vec![]);
        let marked = [b"\xef\xbb\xbf".as_slice(), text].concat();
        for size in 1..marked.len() {
            let pieces = marked.chunks(size).map(<[u8]>::to_vec).collect();
            assert_eq!(lines(pieces).await, expected, "pieces of {size}, after the mark of a text in UTF-8");
        }
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_refused_alone() {
        let long = vec![b'x'; NDJSON_LINE_BYTES_MAX + 1];
        let whole = [b"a\n", long.as_slice(), b"\nb\n"].concat();
        let expected = vec![(1, Ok(1)), (2, Err("body_too_large")), (3, Ok(1))];
        assert_eq!(lines(vec![whole.clone()]).await, expected);
        assert_eq!(lines(whole.chunks(10_000).map(<[u8]>::to_vec).collect()).await, expected);
        let endless = vec![vec![b'x'; 100_000]; 100];
        assert_eq!(lines(endless).await, vec![(1, Err("body_too_large"))]);
        let exact = vec![vec![b'x'; NDJSON_LINE_BYTES_MAX]];
        assert_eq!(lines(exact).await, vec![(1, Ok(NDJSON_LINE_BYTES_MAX))]);
    }

    #[tokio::test]
    async fn many_lines_come_in_chunks() {
        let many: Vec<u8> = b"x\n".repeat(1_000);
        let seen = lines(vec![many]).await;
        assert_eq!(seen.len(), 1_000);
        assert_eq!(seen[999], (1_000, Ok(1)));
    }

    #[tokio::test]
    async fn a_body_that_breaks_gives_its_whole_lines_first() {
        let pieces = [Ok(Bytes::from_static(b"a\nb\nhal")), Err(std::io::Error::other("gone"))];
        let mut lines = Lines::new(Body::from_stream(futures_util::stream::iter(pieces)), &Settings::default());
        assert_eq!(lines.next_chunk().await.expect("two lines are whole").map(|chunk| chunk.len()), Some(2));
        assert_eq!(lines.next_chunk().await.expect_err("the rest is lost").code.code, "body_unreadable");
        assert!(lines.next_chunk().await.expect("it has ended").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_does_not_end_is_given_up() {
        use futures_util::StreamExt as _;
        let trickle = futures_util::stream::repeat(()).then(|()| async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            Ok::<_, std::io::Error>(Bytes::from_static(b"x"))
        });
        let mut lines = Lines::new(Body::from_stream(trickle), &Settings::default());
        let begun = Instant::now();
        let problem = lines.next_chunk().await.expect_err("it takes too long");
        assert_eq!(problem.code.code, "request_timeout");
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
        assert!(lines.next_chunk().await.expect("it has ended").is_none());
    }
}
