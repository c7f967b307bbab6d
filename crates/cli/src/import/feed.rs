//! The lines on their way: what is still to be sent, what was sent and not answered yet, and the pieces of the request made of it.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::source::{Line, Meter, Source};

/// Lines that may be sent and not answered: several commits of the server, and what is sent again at most after a break.
const UNANSWERED_MAX: usize = 4_096;

/// Lines and bytes in one piece of the request.
const PIECE_LINES_MAX: usize = 256;
const PIECE_BYTES_MAX: usize = 64 * 1024;

/// A line that goes to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sendable {
    /// Counts all lines of the input, from 1.
    pub number: u64,
    /// Its content.
    pub text: Bytes,
}

#[derive(Debug, Default)]
struct Lines {
    /// To be sent, in this order.
    pending: VecDeque<Sendable>,
    /// Sent in the present request and not answered, in the order sent.
    sent: VecDeque<Sendable>,
    /// Lines that cannot be sent at all.
    too_long: Vec<u64>,
    ended: bool,
    failure: Option<io::Error>,
    not_before: Option<Instant>,
    /// Counts the requests. The body of an earlier one may still be asked for a piece; it gets none.
    request: u64,
}

/// What is left of a request that broke off.
#[derive(Debug, PartialEq, Eq)]
pub struct Left {
    /// Lines that go first in the next request.
    pub again: usize,
    /// Lines that are not safe to be sent again.
    pub lost: Vec<Sendable>,
}

/// Shared by the request that is being sent and the reader of its answers.
pub struct Feed {
    lines: Mutex<Lines>,
    source: tokio::sync::Mutex<Source>,
    meter: Arc<Meter>,
    room: Notify,
}

impl Feed {
    /// Feeds from a source.
    pub fn new(source: Source) -> Arc<Self> {
        let meter = Arc::clone(&source.meter);
        Arc::new(Self { meter, lines: Mutex::default(), source: tokio::sync::Mutex::new(source), room: Notify::new() })
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        // Every change under the lock is complete on its own, so a panic elsewhere leaves nothing half done.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is something to send; `false` at the end.
    pub async fn has_work(&self) -> bool {
        loop {
            {
                let lines = self.lines();
                if !lines.pending.is_empty() {
                    return true;
                }
                if lines.ended {
                    return false;
                }
            }
            self.read_more().await;
        }
    }

    /// Safe to cancel: nothing is awaited between taking a batch and keeping it.
    async fn read_more(&self) {
        let mut source = self.source.lock().await;
        {
            // While this waited for its turn, another may have read.
            let lines = self.lines();
            if !lines.pending.is_empty() || lines.ended {
                return;
            }
        }
        let batch = source.batches.recv().await;
        let mut lines = self.lines();
        match batch {
            Some(Ok(batch)) => lines.take_in(batch),
            Some(Err(error)) => {
                lines.failure = Some(error);
                lines.ended = true;
            }
            None => lines.ended = true,
        }
    }

    /// The body of one request: everything pending and everything read from now on, until the end of the input.
    pub fn stream(self: &Arc<Self>) -> impl Stream<Item = Bytes> + Send + 'static {
        let request = {
            let mut lines = self.lines();
            lines.request += 1;
            lines.request
        };
        futures_util::stream::unfold(Arc::clone(self), move |feed| async move {
            let piece = feed.next_piece(request).await?;
            Some((piece, feed))
        })
    }

    async fn next_piece(&self, request: u64) -> Option<Bytes> {
        loop {
            let pause = self.lines().not_before.take();
            if let Some(until) = pause {
                tokio::time::sleep_until(until).await;
            }
            let is_full = {
                let mut lines = self.lines();
                if lines.request != request {
                    // The wake-up may have been meant for the present request.
                    self.room.notify_one();
                    return None;
                }
                let is_full = lines.sent.len() >= UNANSWERED_MAX;
                if !is_full && !lines.pending.is_empty() {
                    return Some(lines.cut_piece());
                }
                if lines.pending.is_empty() && lines.ended {
                    return None;
                }
                is_full
            };
            if is_full {
                self.room.notified().await;
            } else {
                self.read_more().await;
            }
        }
    }

    /// Takes the line that the next answer is about.
    pub fn answered(&self) -> Option<Sendable> {
        let line = self.lines().sent.pop_front();
        self.room.notify_one();
        line
    }

    /// Sends a line once more, and nothing at all for a while.
    pub fn send_again(&self, line: Sendable, pause: Duration) {
        let mut lines = self.lines();
        lines.pending.push_back(line);
        lines.not_before = Some(Instant::now() + pause);
    }

    /// Ends the present request. What was not answered goes first in the next one, except lines for which `is_safe` does not hold.
    pub fn rewind(&self, is_safe: impl Fn(&Sendable) -> bool) -> Left {
        let mut lines = self.lines();
        lines.request += 1;
        let (safe, lost): (Vec<_>, Vec<_>) = std::mem::take(&mut lines.sent).into_iter().partition(is_safe);
        let again = safe.len();
        let behind = std::mem::replace(&mut lines.pending, safe.into());
        lines.pending.extend(behind);
        Left { again, lost }
    }

    /// The numbers of lines that were too long to be sent, since the last call.
    pub fn take_too_long(&self) -> Vec<u64> {
        std::mem::take(&mut self.lines().too_long)
    }

    /// Why the input ended early, if it did.
    pub fn take_failure(&self) -> Option<io::Error> {
        self.lines().failure.take()
    }

    /// How much of the input is dealt with, 0 to 1, when that many of its lines are; `None` where that is not known.
    pub fn share(&self, lines_done: u64) -> Option<f64> {
        self.meter.share(lines_done)
    }
}

impl Lines {
    fn take_in(&mut self, batch: Vec<Line>) {
        for line in batch {
            match line.text {
                Some(text) => self.pending.push_back(Sendable { number: line.number, text }),
                None => self.too_long.push(line.number),
            }
        }
    }

    fn cut_piece(&mut self) -> Bytes {
        let mut piece = BytesMut::with_capacity(PIECE_BYTES_MAX);
        for _ in 0..PIECE_LINES_MAX.min(UNANSWERED_MAX - self.sent.len()) {
            let Some(line) = self.pending.pop_front() else {
                break;
            };
            piece.extend_from_slice(&line.text);
            piece.extend_from_slice(b"\n");
            self.sent.push_back(line);
            if piece.len() >= PIECE_BYTES_MAX {
                break;
            }
        }
        piece.freeze()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};

    use super::super::source::Input;
    use super::*;

    fn feed(text: &'static str) -> Arc<Feed> {
        Feed::new(Source::open(&Input::Embedded(text.as_bytes())).expect("it is in memory"))
    }

    async fn body(feed: &Arc<Feed>) -> String {
        let pieces: Vec<Bytes> = feed.stream().collect().await;
        String::from_utf8(pieces.concat()).expect("the input is UTF-8")
    }

    #[tokio::test]
    async fn everything_is_sent_once_and_answered_in_order() {
        let feed = feed("a\n\nb\nc");
        assert!(feed.has_work().await);
        assert_eq!(body(&feed).await, "a\nb\nc\n");
        assert_eq!(feed.answered().map(|line| line.number), Some(1));
        assert_eq!(feed.answered().map(|line| line.number), Some(3));
        assert!(!feed.has_work().await);
    }

    #[tokio::test]
    async fn after_a_break_the_first_unanswered_line_is_first() {
        let feed = feed("a\nb\nc\nd");
        assert_eq!(body(&feed).await, "a\nb\nc\nd\n");
        feed.answered();
        let mut broken = Box::pin(feed.stream());
        let left = feed.rewind(|line| line.text != "c");
        assert_eq!((left.again, left.lost.iter().map(|line| line.number).collect::<Vec<_>>()), (2, vec![3]));
        assert!(feed.has_work().await);
        // The request that broke off takes nothing any more.
        assert_eq!(broken.next().await, None);
        assert_eq!(body(&feed).await, "b\nd\n");
    }

    #[tokio::test]
    async fn a_line_sent_again_waits_for_its_time() {
        let feed = feed("a");
        assert_eq!(body(&feed).await, "a\n");
        let line = feed.answered().expect("it was sent");
        let pause = Duration::from_millis(100);
        feed.send_again(line, pause);
        let begun = Instant::now();
        assert_eq!(body(&feed).await, "a\n");
        assert!(begun.elapsed() >= pause);
    }

    #[tokio::test]
    async fn no_more_is_sent_than_may_be_unanswered() {
        let text: String = (0..3 * UNANSWERED_MAX).map(|number| format!("{number}\n")).collect();
        let feed = feed(text.leak());
        let mut stream = Box::pin(feed.stream());
        while feed.lines().sent.len() < UNANSWERED_MAX {
            stream.next().await.expect("there is more");
        }
        assert_eq!(feed.lines().sent.len(), UNANSWERED_MAX);
        assert!(stream.next().now_or_never().is_none(), "it must wait for answers");
        feed.answered();
        assert_eq!(stream.next().await.as_deref(), Some(format!("{UNANSWERED_MAX}\n").as_bytes()));
    }
}
