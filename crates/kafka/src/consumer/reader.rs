//! The thread of one consumer: it reads the queues of the partitions in turns, as far as the seat has room.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::Message as _;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, CommitMode};
use rdkafka::error::KafkaError;

use super::Shared;
use super::callbacks::Callbacks;
use super::intake::Read;
use crate::seat::Place;

/// How often the broker is told how far the role has come. What was settled since comes again after a crash, and changes nothing.
const COMMIT_INTERVAL: Duration = Duration::from_millis(250);

/// Messages that are read of a partition before it is the next one's turn: enough to be worth the seat's lock and the ring of its bell,
/// and so few that every one of 16 partitions with a backlog has its turn before the seat is full.
const TURN_MAX: usize = 128;

/// What reads for one role.
pub(super) struct Reader {
    shared: Arc<Shared>,
    /// The partitions. Before the consumer, which their queues own: it is to be the last to go.
    sources: Vec<Source>,
    /// Whose turn it is.
    next: usize,
    consumer: Arc<BaseConsumer<Callbacks>>,
}

/// A partition.
struct Source {
    place: Place,
    queue: PartitionQueue<Callbacks>,
    /// Whether the queue may hold something. The client calls only when a queue that was empty is no longer.
    has_more: Arc<AtomicBool>,
}

impl Reader {
    /// Must be called on the thread that runs it.
    pub(super) fn new(shared: Arc<Shared>, mut consumer: BaseConsumer<Callbacks>) -> Self {
        shared.seat.read_by_this_thread();
        let thread = thread::current();
        // Called by the client's threads, under the queue's lock: nothing may be done there but this.
        consumer.set_nonempty_callback(move || thread.unpark());
        let consumer = Arc::new(consumer);
        *shared.consumer.lock() = Arc::downgrade(&consumer);
        Self { shared, sources: Vec::new(), next: 0, consumer }
    }

    /// Reads until it is told to end, and leaves the group.
    pub(super) fn run(mut self) {
        let mut told = Instant::now();
        while !self.shared.stop.load(Ordering::Acquire) {
            self.serve();
            let has_more = self.read_round();
            if told.elapsed() >= COMMIT_INTERVAL {
                self.shared.tell(&self.consumer, None, CommitMode::Async);
                self.shared.tell_held();
                told = Instant::now();
            }
            if !has_more {
                // Woken by a queue that has something, by the seat that has room again, or to end. A wake-up that came before is not lost.
                thread::park_timeout(COMMIT_INTERVAL.saturating_sub(told.elapsed()));
            }
        }
        self.shared.tell(&self.consumer, None, CommitMode::Sync);
        // Dropping the consumer leaves the group.
    }

    /// Deals with everything in the consumer's own queue: rebalances, commits, statistics, problems. Each time before partitions are read,
    /// so that a message that came this way after all is read before those of its partition that come behind it.
    fn serve(&mut self) {
        loop {
            let served = self.shared.served.load(Ordering::Relaxed);
            match self.consumer.poll(Duration::ZERO) {
                Some(Ok(message)) => {
                    let topics = &self.shared.topics;
                    if let Some(topic) = topics.iter().position(|topic| topic.name == message.topic()) {
                        let read = self.shared.read(&message);
                        self.shared.take_in((topic, message.partition()), vec![read], false);
                    }
                }
                Some(Err(error)) => self.cannot_read(&error),
                None if served == self.shared.served.load(Ordering::Relaxed) => return,
                None => {}
            }
            self.follow();
        }
    }

    /// Has the partitions that were assigned last.
    fn follow(&mut self) {
        let Some(assigned) = self.shared.assigned.lock().take() else { return };
        for gone in self.sources.drain(..).filter(|source| !self.shared.seat.state.lock().has(source.place)) {
            // What was fetched of a partition that is another's now would be kept for the day that it comes back.
            while gone.queue.poll(Duration::ZERO).is_some() {}
        }
        // The queues of before are gone by now: with each its callback goes, also one that was set for the same partition since.
        let arm = |(place, mut queue): (Place, PartitionQueue<Callbacks>)| {
            let has_more = Arc::new(AtomicBool::new(true));
            let (signal, thread) = (Arc::clone(&has_more), thread::current());
            queue.set_nonempty_callback(move || {
                signal.store(true, Ordering::Release);
                thread.unpark();
            });
            Source { place, queue, has_more }
        };
        self.sources = assigned.into_iter().map(arm).collect();
        self.next = 0;
    }

    /// Gives each partition a turn, as long as there is room. Whether there is more that can be read at once.
    fn read_round(&mut self) -> bool {
        let mut room = self.shared.seat.state.lock().room();
        if room == 0 {
            return false;
        }
        for _ in 0..self.sources.len() {
            // The round after a full seat goes on where this one ends.
            let Some(source) = self.sources.get(self.next).filter(|_| room > 0) else { break };
            self.next = (self.next + 1) % self.sources.len();
            room -= self.read_turn(source, room.min(TURN_MAX));
        }
        self.sources.iter().any(|source| source.has_more.load(Ordering::Acquire))
    }

    /// Reads up to so many messages of a partition. How many of them are new to the role.
    fn read_turn(&self, source: &Source, max: usize) -> usize {
        // Before the look, so that what comes behind it sets it again.
        if !source.has_more.swap(false, Ordering::AcqRel) {
            return 0;
        }
        let (mut messages, mut is_end_reached): (Vec<Read>, bool) = (Vec::new(), false);
        while messages.len() < max {
            match source.queue.poll(Duration::ZERO) {
                Some(Ok(message)) => messages.push(self.shared.read(&message)),
                Some(Err(KafkaError::PartitionEOF(_))) => is_end_reached = true,
                Some(Err(error)) => self.cannot_read(&error),
                None => return self.shared.take_in(source.place, messages, is_end_reached),
            }
        }
        source.has_more.store(true, Ordering::Release);
        self.shared.take_in(source.place, messages, is_end_reached)
    }

    /// Of an error that the client has its callback called for, too, so that it is told already.
    fn cannot_read(&self, error: &KafkaError) {
        tracing::debug!(role = self.shared.role.as_str(), %error, "messages could not be read");
    }
}
