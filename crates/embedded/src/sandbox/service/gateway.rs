//! The caller's side: a payment provider for as many processes as there are.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ordermill_core::input::PaymentAnswer;
use ordermill_core::payment::{PaymentKey, PaymentRequest};
use ordermill_ports::Payments;
use ordermill_ports::payments::PaymentError;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::super::Call;
use super::flight::{Pool, fly};
use super::target::{Target, UrlError};
use super::wire::CALLS_MAX;

/// Requests to the sandbox at once, while it answers fast. Two: while one is answered the next is written, and what comes meanwhile
/// gathers for the one after.
const FLIGHTS: usize = 2;

/// A request that is not answered whole by then has a slow payment in it, or a sandbox behind it that hangs: it goes on by itself, and
/// makes room for the next.
const QUICK: Duration = Duration::from_millis(20);

/// What a call is told: `Ok(None)` by a look-up that found nothing.
pub(super) type Answer = Result<Option<PaymentAnswer>, PaymentError>;

/// A sandbox that is served elsewhere.
///
/// Calls that are made at the same time go in one request over a connection that is kept. A call that cannot be sent, or whose
/// connection breaks, is [`PaymentError::Unavailable`]; one that is not answered in time is [`PaymentError::Timeout`]. Either may have
/// been carried out.
pub struct Gateway {
    shared: Arc<Shared>,
}

struct Shared {
    pool: Pool,
    limit: Duration,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    flights: usize,
}

/// A call that waits for its answer.
pub(super) struct Waiting {
    pub call: Call,
    pub told: oneshot::Sender<Answer>,
}

impl Gateway {
    /// Calls the sandbox at `http://host:port`; nothing is connected yet. A call may take `limit`.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn new(url: &str, limit: Duration) -> Result<Self, UrlError> {
        let pool = Pool::new(Target::new(url)?);
        Ok(Self { shared: Arc::new(Shared { pool, limit, queue: Mutex::default() }) })
    }

    async fn call(&self, call: Call) -> Answer {
        let (told, answer) = oneshot::channel();
        let has_room = {
            let mut queue = self.shared.queue.lock();
            queue.waiting.push_back(Waiting { call, told });
            let has_room = queue.flights < FLIGHTS;
            queue.flights += usize::from(has_room);
            has_room
        };
        if has_room {
            // A task of its own, as it carries the calls of others, who go on when this caller goes away. It begins when this thread's
            // task pauses, with all the calls made until then.
            tokio::spawn(Arc::clone(&self.shared).empty_queue());
        }
        answer.await.unwrap_or_else(|_| Err(PaymentError::Unavailable("the call was dropped".to_owned())))
    }
}

impl Shared {
    async fn empty_queue(self: Arc<Self>) {
        while let Some(batch) = self.next_batch() {
            let shared = Arc::clone(&self);
            let mut flight = Box::pin(async move { fly(&shared.pool, batch, shared.limit).await });
            if timeout(QUICK, &mut flight).await.is_err() {
                tokio::spawn(flight);
            }
        }
    }

    /// What has gathered; with `None` the place is given back.
    fn next_batch(&self) -> Option<Vec<Waiting>> {
        let mut queue = self.queue.lock();
        let mut batch = Vec::new();
        while batch.len() < CALLS_MAX
            && let Some(waiting) = queue.waiting.pop_front()
        {
            // Nothing is asked for somebody who has gone away.
            if !waiting.told.is_closed() {
                batch.push(waiting);
            }
        }
        if batch.is_empty() {
            queue.flights -= 1;
            return None;
        }
        Some(batch)
    }
}

#[async_trait]
impl Payments for Gateway {
    async fn perform(&self, request: &PaymentRequest) -> Result<PaymentAnswer, PaymentError> {
        let nothing = || PaymentError::Unavailable("the sandbox answered a request as a look-up".to_owned());
        self.call(Call::Perform(request.clone())).await?.ok_or_else(nothing)
    }

    async fn look_up(&self, key: &PaymentKey) -> Result<Option<PaymentAnswer>, PaymentError> {
        self.call(Call::LookUp(*key)).await
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("target", self.shared.pool.target()).finish_non_exhaustive()
    }
}
