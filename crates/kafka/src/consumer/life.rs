//! The life of a role's thread: it outlives its consumers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;

use super::Shared;
use super::callbacks::Callbacks;
use super::reader::Reader;

/// Before another consumer takes the place of one that failed. What it does not survive may be in a message, and that is there still.
const PAUSE: Duration = Duration::from_secs(2);

impl Shared {
    /// A consumer that joins the role's group.
    pub(super) fn join(self: &Arc<Self>, config: &ClientConfig) -> KafkaResult<BaseConsumer<Callbacks>> {
        let consumer: BaseConsumer<Callbacks> = config.create_with_context(Callbacks(Arc::clone(self)))?;
        let names: Vec<&str> = self.topics.iter().map(|topic| topic.name.as_str()).collect();
        consumer.subscribe(&names)?;
        Ok(consumer)
    }

    /// Reads until it is told to end, with one consumer after the other where they fail.
    pub(super) fn live(self: Arc<Self>, config: &ClientConfig, first: BaseConsumer<Callbacks>) {
        let role = self.role.as_str();
        let mut next = Ok(first);
        loop {
            match next {
                Ok(consumer) => {
                    let read = || Reader::new(Arc::clone(&self), consumer).run();
                    if catch_unwind(AssertUnwindSafe(read)).is_ok() {
                        return;
                    }
                    self.failures.increment(1);
                    tracing::error!(role, "what reads for a role has failed: it begins anew");
                    // Queues that nobody has taken over would keep the consumer. Dropped without the lock, as it calls for that in its end.
                    let queues = self.assigned.lock().take();
                    drop(queues);
                    self.seat.state.lock().revoke_all();
                }
                Err(error) => tracing::error!(role, %error, "a consumer cannot be set up; it is tried again"),
            }
            self.rest();
            if self.stop.load(Ordering::Acquire) {
                return;
            }
            next = self.join(config);
        }
    }

    /// Lets some time go by, but for the end.
    fn rest(&self) {
        let until = Instant::now() + PAUSE;
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            && !self.stop.load(Ordering::Acquire)
        {
            thread::park_timeout(left);
        }
    }
}
