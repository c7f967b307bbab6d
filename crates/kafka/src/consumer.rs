//! A role's consumer: a thread that reads what the broker has for the role's group, and tells the broker how far the role has come.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ordermill_core::event::EventType;
use ordermill_core::process::Role;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _, OwnedHeaders};
use rdkafka::statistics::Statistics;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::runtime::Handle;

use crate::client::Context;
use crate::error::OpenError;
use crate::message::{self, Decoded, Poison};
use crate::options::Options;
use crate::publisher::KafkaPublisher;
use crate::seat::{Bounds, Place, Seat};
use crate::topics::Topic;

/// How long one look for messages waits, so that a pause, an offset or the end is never far.
const LOOK: Duration = Duration::from_millis(50);

/// While the role has enough to do, it is looked again this soon.
const LOOK_WHEN_FULL: Duration = Duration::from_millis(2);

/// How often the broker is told how far the role has come. What was settled since comes again after a crash, and changes nothing.
const COMMIT_INTERVAL: Duration = Duration::from_millis(250);

/// How long the end of a process waits for the broker.
const CLOSE_MAX: Duration = Duration::from_secs(15);

/// Waits between tries to put an unreadable message aside.
const ASIDE_PAUSE: Duration = Duration::from_secs(1);

/// What a process takes in ahead of its role. So many may be with it: a delivery that takes long holds back no other until then.
const BOUNDS: Bounds = Bounds { waiting_max: 4 * 1024, all_max: 32 * 1024 };

/// What the thread and the callbacks of one consumer work with.
struct Shared {
    role: Role,
    kinds: Vec<EventType>,
    topics: Vec<Topic>,
    seat: Arc<Seat>,
    publisher: Arc<KafkaPublisher>,
    runtime: Handle,
    stop: AtomicBool,
    context: Context,
    duplicates: metrics::Counter,
    poisoned: metrics::Counter,
}

/// A role's consumer at work. Dropped, it ends without waiting.
pub(crate) struct Consumer {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Consumer {
    /// Joins the role's group. Must be called within a runtime.
    pub(crate) fn start(
        role: Role,
        topics: Vec<Topic>,
        seat: Arc<Seat>,
        publisher: Arc<KafkaPublisher>,
        options: &Options,
        config: &ClientConfig,
    ) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Broker {
            brokers: options.brokers.clone(),
            what: "a consumer cannot be set up",
            source,
        };
        let shared = Arc::new(Shared {
            role,
            kinds: role.reacts_to(),
            topics,
            seat,
            publisher,
            runtime: Handle::current(),
            stop: AtomicBool::new(false),
            context: Context::new(options),
            duplicates: metrics::counter!("ordermill_kafka_duplicates_total", "role" => role.as_str()),
            poisoned: metrics::counter!("ordermill_kafka_unreadable_total", "role" => role.as_str()),
        });
        let callbacks = Callbacks(Arc::clone(&shared));
        let consumer: BaseConsumer<Callbacks> =
            configuration(role, options, config).create_with_context(callbacks).map_err(failed)?;
        let names: Vec<&str> = shared.topics.iter().map(|topic| topic.name.as_str()).collect();
        consumer.subscribe(&names).map_err(failed)?;
        let thread = std::thread::Builder::new().name(format!("kafka-{}", role.as_str()));
        let work = Arc::clone(&shared);
        let thread = thread.spawn(move || work.run(consumer)).expect("the machine has room for a thread");
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Tells the broker how far the role has come, leaves the group, and ends.
    pub(crate) async fn close(mut self) {
        self.shared.stop.store(true, Ordering::Release);
        let Some(thread) = self.thread.take() else { return };
        let deadline = Instant::now() + CLOSE_MAX;
        // A broker that is away must not keep the process from ending: what is not committed comes again.
        while !thread.is_finished() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if !thread.is_finished() {
            tracing::warn!(role = self.shared.role.as_str(), "the broker did not take the last offsets in time");
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
    }
}

fn configuration(role: Role, options: &Options, config: &ClientConfig) -> ClientConfig {
    let mut config = config.clone();
    config
        .set("group.id", options.group(role.as_str()))
        // Divides each topic evenly. The cooperative one divides their sum, so that a process may get none of the only busy topic.
        .set("partition.assignment.strategy", "range")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("enable.partition.eof", "true")
        .set("session.timeout.ms", options.session.as_millis().to_string())
        .set("heartbeat.interval.ms", (options.session.as_millis() / 5).to_string())
        // Read ahead for a moment, not for the memory that the client would take by itself.
        .set("queued.min.messages", "4096")
        .set("queued.max.messages.kbytes", "8192")
        .set("fetch.error.backoff.ms", "100")
        .set("statistics.interval.ms", "1000");
    config
}

impl Shared {
    fn run(self: Arc<Self>, consumer: BaseConsumer<Callbacks>) {
        let mut is_paused = false;
        let mut told = Instant::now();
        while !self.stop.load(Ordering::Acquire) {
            match consumer.poll(if is_paused { LOOK_WHEN_FULL } else { LOOK }) {
                Some(Ok(message)) => self.take(&message),
                Some(Err(KafkaError::PartitionEOF(_))) => self.seat.state.lock().end_reached(),
                Some(Err(error)) => {
                    tracing::warn!(role = self.role.as_str(), %error, "messages could not be read");
                }
                None => {}
            }
            let is_full = self.seat.state.lock().is_full(BOUNDS);
            if is_full != is_paused {
                is_paused = self.pause(&consumer, is_full);
            }
            if told.elapsed() >= COMMIT_INTERVAL {
                self.tell(&consumer, None, CommitMode::Async);
                told = Instant::now();
            }
        }
        self.tell(&consumer, None, CommitMode::Sync);
        // Dropping the consumer leaves the group.
    }

    /// Pauses or resumes everything. Whether it is paused now.
    fn pause(&self, consumer: &BaseConsumer<Callbacks>, pause: bool) -> bool {
        let done =
            consumer.assignment().and_then(|all| if pause { consumer.pause(&all) } else { consumer.resume(&all) });
        match done {
            Ok(()) => pause,
            Err(error) => {
                tracing::warn!(role = self.role.as_str(), %error, "reading could not be paused or resumed");
                !pause
            }
        }
    }

    fn take(self: &Arc<Self>, message: &BorrowedMessage<'_>) {
        let Some(index) = self.topics.iter().position(|topic| topic.name == message.topic()) else { return };
        let (place, offset) = ((index, message.partition()), message.offset());
        let mut state = self.seat.state.lock();
        if !state.has(place) {
            // Of a partition that was revoked a moment ago.
            return;
        }
        match message::decode(message, self.role, |kind| self.kinds.contains(&kind)) {
            Ok(Decoded::Other) => state.pass(place, offset),
            // Its offset is held back until a newer program has the partition: that one finds it.
            Ok(Decoded::Newer) => state.hold(place, offset),
            Ok(Decoded::Delivery(delivery)) => {
                let is_new = state.take(place, offset, delivery);
                drop(state);
                if is_new {
                    self.seat.bell.notify_waiters();
                } else {
                    self.duplicates.increment(1);
                }
            }
            Err(error) => {
                state.hold(place, offset);
                drop(state);
                self.set_aside(place, message, error.to_string());
            }
        }
    }

    /// Copies a message that cannot be read to the dead letters of its topic, and then is done with it. Nothing waits for that but its own
    /// offset.
    fn set_aside(self: &Arc<Self>, place: Place, message: &BorrowedMessage<'_>, reason: String) {
        let topic = &self.topics[place.0];
        tracing::error!(
            role = self.role.as_str(),
            topic = topic.name,
            partition = place.1,
            offset = message.offset(),
            reason,
            "a message cannot be read, and is put aside"
        );
        self.poisoned.increment(1);
        let own = message.headers().map_or_else(OwnedHeaders::new, |headers| {
            headers.iter().fold(OwnedHeaders::new(), |all, header| all.insert(header))
        });
        let found =
            Poison { topic: &topic.name, partition: place.1, offset: message.offset(), role: self.role, reason };
        let headers = message::poison_headers(own, &found);
        let (key, value) = (message.key().map(<[u8]>::to_vec), message.payload().map(<[u8]>::to_vec));
        let (shared, offset) = (Arc::clone(self), message.offset());
        self.runtime.spawn(async move {
            let dead_letters = &shared.topics[place.0].dead_letters;
            while !shared.stop.load(Ordering::Acquire) {
                let done = shared.publisher.set_aside(dead_letters, key.as_deref(), value.as_deref(), headers.clone()).await;
                match done {
                    Ok(()) => return shared.seat.state.lock().settle_offset(place, offset),
                    Err(error) => tracing::warn!(role = shared.role.as_str(), %error, "an unreadable message is not put aside yet"),
                }
                tokio::time::sleep(ASIDE_PAUSE).await;
            }
        });
    }

    /// Tells the broker how far the role has come, where that has changed.
    fn tell(&self, consumer: &BaseConsumer<Callbacks>, only: Option<&[Place]>, mode: CommitMode) {
        let mut state = self.seat.state.lock();
        let offsets = state.offsets(only);
        state.told(&offsets);
        drop(state);
        if offsets.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for ((topic, partition), offset) in offsets {
            let added = list.add_partition_offset(&self.topics[topic].name, partition, Offset::Offset(offset));
            added.expect("a topic's name and an offset that was read are sound");
        }
        if let Err(error) = consumer.commit(&list, mode) {
            tracing::warn!(role = self.role.as_str(), %error, "offsets could not be committed");
            self.seat.state.lock().not_told();
        }
    }

    fn places(&self, list: &TopicPartitionList) -> Vec<Place> {
        let index: HashMap<&str, usize> =
            self.topics.iter().enumerate().map(|(index, topic)| (topic.name.as_str(), index)).collect();
        let elements = list.elements();
        elements.iter().filter_map(|element| Some((*index.get(element.topic())?, element.partition()))).collect()
    }
}

/// What the client calls, on the consumer's thread.
struct Callbacks(Arc<Shared>);

impl ClientContext for Callbacks {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = Context::ENABLE_REFRESH_OAUTH_TOKEN;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        Context::tell(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        Context::tell_error(&error, reason);
    }

    /// Where the partitions end.
    fn stats(&self, statistics: Statistics) {
        let shared = &self.0;
        let mut state = shared.seat.state.lock();
        for (index, topic) in shared.topics.iter().enumerate() {
            let Some(found) = statistics.topics.get(&topic.name) else { continue };
            for (partition, facts) in found.partitions.iter().filter(|(partition, _)| **partition >= 0) {
                state.end((index, *partition), facts.hi_offset);
            }
        }
    }

    fn generate_oauth_token(
        &self,
        config: Option<&str>,
    ) -> Result<rdkafka::client::OAuthToken, Box<dyn std::error::Error>> {
        self.0.context.generate_oauth_token(config)
    }
}

impl ConsumerContext for Callbacks {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let shared = &self.0;
        match rebalance {
            Rebalance::Revoke(list) => {
                let places = shared.places(list);
                // While they are still ours: whoever has them next begins behind what is settled.
                shared.tell(consumer, Some(&places), CommitMode::Sync);
                shared.seat.state.lock().revoke(&places);
                tracing::debug!(role = shared.role.as_str(), partitions = places.len(), "partitions were revoked");
            }
            // Before the first of their messages can be read.
            Rebalance::Assign(list) => {
                let places = shared.places(list);
                tracing::debug!(role = shared.role.as_str(), partitions = places.len(), "partitions were assigned");
                shared.seat.state.lock().assign(places);
            }
            Rebalance::Error(error) => tracing::warn!(role = shared.role.as_str(), %error, "a rebalance failed"),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        if let Err(error) = result {
            // Nothing to commit is no failure, and what is lost with a revoked partition comes again elsewhere.
            tracing::debug!(role = self.0.role.as_str(), %error, "offsets were not committed");
            self.0.seat.state.lock().not_told();
        }
    }
}
