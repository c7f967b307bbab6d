//! A connection that loses patience: with a client that sends the head of a request too slowly, and with one that does not read
//! its answer.

use std::io::{Error, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

/// What the handlers of a connection tell its input and output.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// Requests whose head has arrived.
    heads: AtomicU64,
    /// Whether a request is under way.
    busy: AtomicBool,
    /// Whether it must not go on without its client.
    watched: AtomicBool,
}

impl Activity {
    /// The head of a request has arrived; it is under way until what is given back is dropped, or, where it is watched, until its client
    /// is gone.
    pub fn begin(self: &Arc<Self>, is_watched: bool) -> UnderWay {
        // All of a connection happens in one task, so there is nothing to order.
        self.heads.fetch_add(1, Ordering::Relaxed);
        self.busy.store(true, Ordering::Relaxed);
        self.watched.store(is_watched, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<Activity>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Relaxed);
        self.0.watched.store(false, Ordering::Relaxed);
    }
}

/// Waits for one thing at most so long. The timer is made when something is first waited for, and then reused.
#[derive(Debug)]
struct Patience {
    longest: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl Patience {
    const fn new(longest: Duration) -> Self {
        Self { longest, timer: None, waiting: false }
    }

    /// Ready when it is over, counted from `since` at the first call of a wait.
    fn poll_over(&mut self, since: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = since + self.longest;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if !self.waiting {
            self.waiting = true;
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(cx)
    }

    const fn done(&mut self) {
        self.waiting = false;
    }
}

/// The connection.
#[derive(Debug)]
pub(super) struct TimedIo {
    stream: TcpStream,
    activity: Arc<Activity>,
    /// When the first byte of a head arrived, and how many heads had been read before.
    head: Option<(Instant, u64)>,
    head_patience: Patience,
    write_patience: Patience,
}

impl TimedIo {
    pub fn new(stream: TcpStream, activity: Arc<Activity>, head: Duration, write: Duration) -> Self {
        let (head_patience, write_patience) = (Patience::new(head), Patience::new(write));
        Self { stream, activity, head: None, head_patience, write_patience }
    }

    /// When the head that is being read began, if one is.
    fn head_since(&mut self) -> Option<Instant> {
        let heads = self.activity.heads.load(Ordering::Relaxed);
        if self.head.is_some_and(|(_, before)| before != heads) {
            self.head = None;
            self.head_patience.done();
        }
        self.head.map(|(since, _)| since)
    }

    /// Whether the client has closed; its task is woken when it does. hyper looks for that itself, but not while it holds bytes that came
    /// behind a request: a line end too many, or the next request.
    fn is_client_gone(&self, cx: &mut Context<'_>) -> bool {
        let mut byte = [0];
        matches!(self.stream.poll_peek(cx, &mut ReadBuf::new(&mut byte)), Poll::Ready(Ok(0) | Err(_)))
    }

    /// Turns a write that cannot go on for too long into an error.
    fn limit_write<T>(&mut self, written: Poll<Result<T, Error>>, cx: &mut Context<'_>) -> Poll<Result<T, Error>> {
        if written.is_ready() {
            self.write_patience.done();
            return written;
        }
        ready!(self.write_patience.poll_over(Instant::now(), cx));
        Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the client did not read its answer")))
    }
}

impl AsyncRead for TimedIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<(), Error>> {
        let this = &mut *self;
        let filled = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        let head_since = this.head_since();
        match read {
            Poll::Ready(read) => {
                let arrived = buf.filled().len() > filled;
                if arrived && head_since.is_none() && !this.activity.busy.load(Ordering::Relaxed) {
                    this.head = Some((Instant::now(), this.activity.heads.load(Ordering::Relaxed)));
                }
                Poll::Ready(read)
            }
            Poll::Pending => {
                let Some(since) = head_since else {
                    return Poll::Pending;
                };
                ready!(this.head_patience.poll_over(since, cx));
                Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the head of a request came too slowly")))
            }
        }
    }
}

impl AsyncWrite for TimedIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize, Error>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.limit_write(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize, Error>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.limit_write(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        if self.activity.watched.load(Ordering::Relaxed) && self.is_client_gone(cx) {
            return Poll::Ready(Err(Error::new(ErrorKind::ConnectionAborted, "the client is gone without its answer")));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
