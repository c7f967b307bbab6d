//! A role's consumer: a thread that reads what the broker has for the role's group, and tells the broker how far the role has come.
//!
//! Architecture invariant: reading is never paused. Each partition has a queue in the client, which the client fills up to a bound and
//! no further; a role that is busy leaves its messages there. A pause would throw them away and a resume fetch them again.

mod callbacks;
mod intake;
mod life;
mod reader;
mod reset;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use ordermill_core::event::EventType;
use ordermill_core::process::Role;
use ordermill_ports::Bus;
use ordermill_ports::damper::Damper;
use parking_lot::Mutex;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::runtime::Handle;

use crate::client::Context;
use crate::error::OpenError;
use crate::options::Options;
use crate::publisher::KafkaPublisher;
use crate::seat::{Alarm, Held, Place, Seat, State};
use crate::topics::Topic;
use callbacks::Callbacks;

/// Messages that the client fetches ahead for a role, over all partitions: of 24 each has enough for a tenth of a second at 6,800 a second, and
/// may have to wait for so long (`fetch.wait.max.ms`). A message takes about 1 KiB there, so a role that is far behind takes some 20 to
/// 30 MiB.
const AHEAD_MAX: usize = 16 * 1024;

/// And of each partition, however many or few there are.
const AHEAD_OF_PARTITION_MIN: usize = 128;
const AHEAD_OF_PARTITION_MAX: usize = 4 * 1024;

/// At most so often it is told that messages of a topic cannot be read.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// Whom a consumer reads for.
pub(crate) struct Desk {
    pub(crate) role: Role,
    pub(crate) seat: Arc<Seat>,
    pub(crate) publisher: Arc<KafkaPublisher>,
    /// The bus of the ledger that all events are from.
    pub(crate) ledger: Arc<dyn Bus>,
}

/// What the thread and the callbacks of one consumer work with.
struct Shared {
    role: Role,
    kinds: Vec<EventType>,
    topics: Vec<Topic>,
    seat: Arc<Seat>,
    publisher: Arc<KafkaPublisher>,
    ledger: Arc<dyn Bus>,
    runtime: Handle,
    stop: AtomicBool,
    context: Context,
    duplicates: metrics::Counter,
    lost: metrics::Counter,
    poisoned: metrics::Counter,
    /// Of unreadable messages, by topic: whoever can write there could fill the log.
    complaints: Vec<Damper>,
    failures: metrics::Counter,
    held: metrics::Gauge,
    /// Counts what the callbacks were called for.
    served: AtomicU64,
    /// The consumer, for its own callbacks, which get no owned one.
    consumer: Mutex<Weak<BaseConsumer<Callbacks>>>,
    /// The queues of the partitions that were assigned last, on their way from the callback to the reader. They own the consumer, so they
    /// stay here for a moment only.
    assigned: Mutex<Option<Queues>>,
}

/// The queues of partitions.
type Queues = Vec<(Place, PartitionQueue<Callbacks>)>;

/// A role's consumer at work. Dropped, it ends without waiting.
pub(crate) struct Consumer {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Consumer {
    /// Joins the role's group. Must be called within a runtime.
    pub(crate) fn start(
        Desk { role, seat, publisher, ledger }: Desk,
        topics: Vec<Topic>,
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
            complaints: topics.iter().map(|_| Damper::new(COMPLAINT_INTERVAL)).collect(),
            topics,
            seat,
            publisher,
            ledger,
            runtime: Handle::current(),
            stop: AtomicBool::new(false),
            context: Context::new(options),
            duplicates: metrics::counter!("ordermill_kafka_duplicates_total", "role" => role.as_str()),
            lost: metrics::counter!("ordermill_kafka_lost_messages_total", "role" => role.as_str()),
            poisoned: metrics::counter!("ordermill_kafka_unreadable_total", "role" => role.as_str()),
            failures: metrics::counter!("ordermill_kafka_reader_failures_total", "role" => role.as_str()),
            held: metrics::gauge!("ordermill_kafka_held", "role" => role.as_str()),
            served: AtomicU64::new(0),
            consumer: Mutex::default(),
            assigned: Mutex::default(),
        });
        let config = configuration(role, &shared.topics, options, config);
        let first = shared.join(&config).map_err(failed)?;
        let thread = std::thread::Builder::new().name(format!("kafka-{}", role.as_str()));
        let work = Arc::clone(&shared);
        let thread = thread.spawn(move || work.live(&config, first)).expect("the machine has room for a thread");
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Tells the broker how far the role has come, leaves the group, and ends: until then, or without the broker's answer.
    pub(crate) async fn close(mut self, deadline: tokio::time::Instant) {
        self.shared.end();
        let Some(thread) = self.thread.take() else { return };
        // A broker that is away must not keep the process from ending: what is not committed comes again.
        while !thread.is_finished() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if !thread.is_finished() {
            tracing::warn!(role = self.shared.role.as_str(), "the broker did not take the last offsets in time");
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.shared.end();
    }
}

fn configuration(role: Role, topics: &[Topic], options: &Options, config: &ClientConfig) -> ClientConfig {
    let mut config = config.clone();
    config
        // It tells so, and no other way, that messages were deleted before we read them.
        .set_log_level(RDKafkaLogLevel::Warning)
        .set("group.id", options.group(role.as_str()))
        // Divides each topic evenly. The cooperative one divides their sum, so that a process may get none of the only busy topic.
        .set("partition.assignment.strategy", "range")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("enable.partition.eof", "true")
        .set("session.timeout.ms", options.session.as_millis().to_string())
        .set("heartbeat.interval.ms", (options.session.as_millis() / 5).to_string())
        // Each partition has a queue of its own, so these two count for each: it is fetched until it has so many messages, or kilobytes.
        .set("queued.min.messages", ahead_of_partition(topics, options).to_string())
        .set("queued.max.messages.kbytes", "2048")
        // What one fetch brings of a partition, compressed: some 500 to 1,000 messages. It comes on top of the two bounds above.
        .set("fetch.message.max.bytes", (128 * 1024).to_string())
        // A partition that has enough is looked at again this soon. A second, as the client has it by itself, is longer than its queue lasts.
        .set("fetch.queue.backoff.ms", "20")
        // One fetch is under way at a time. While it waits for partitions where nothing happens, one that had enough and has no longer is not
        // fetched: with half a second, as the client has it, a role read 2,950 messages a second of the only busy partition where it
        // took 5,000. Four roles that idle cost a broker up to one percent of a core for this. (More than one byte to wait for would
        // halve the fetches under load, and be added to every step of an order that comes alone.)
        .set("fetch.wait.max.ms", "100")
        .set("fetch.error.backoff.ms", "100");
    config
}

/// How many messages of each partition are fetched ahead, where this process has all of them.
fn ahead_of_partition(topics: &[Topic], options: &Options) -> usize {
    let partitions: i32 = topics.iter().map(|topic| options.partitions_of(topic.channel)).sum();
    let share = AHEAD_MAX / usize::try_from(partitions).unwrap_or(1).max(1);
    share.clamp(AHEAD_OF_PARTITION_MIN, AHEAD_OF_PARTITION_MAX)
}

impl Shared {
    /// Has the thread end.
    fn end(&self) {
        self.stop.store(true, Ordering::Release);
        self.seat.wake_reader();
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
            self.context.tell_error(&error, "offsets could not be committed");
            self.seat.state.lock().not_told();
        }
    }

    /// Tells an operator of messages that hold the offsets of their partitions.
    fn tell_held(&self) {
        let mut state = self.seat.state.lock();
        // Also where no message comes.
        self.follow_history(&mut state);
        let (count, alarm) = (state.held(), state.alarm(Instant::now()));
        drop(state);
        self.held.set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
        let Some(Alarm { count, place: (topic, partition), offset, held }) = alarm else { return };
        let why = match held {
            Held::Newer => "only a newer program can read it: give one the partition",
            Held::Aside(_) => "nobody can read it, and its topic of dead letters does not take it",
        };
        tracing::warn!(
            role = self.role.as_str(),
            topic = self.topics[topic].name,
            partition,
            offset,
            messages = count,
            why,
            "messages hold their partitions' offsets back"
        );
    }

    /// Takes note of a ledger that has lost what it had answered.
    fn follow_history(&self, state: &mut State) {
        if state.is_another_history(self.ledger.history()) && self.context.may_tell("history") {
            tracing::error!(
                "the ledger has lost commits, and the broker holds that their deliveries are done; the events of the last five minutes are \
                 published again. Was a role further behind, run all processes with bus = \"ledger\" for a while (docs/operations.md)"
            );
        }
    }

    /// The client goes on elsewhere in a partition than it was told to, as there is nothing any more.
    fn tell_reset(&self, message: &str) {
        let Some((topic, partition, offset)) = reset::of(message) else { return };
        let Some(index) = self.topics.iter().position(|known| known.name == topic) else { return };
        self.seat.state.lock().reset((index, partition), offset);
        tracing::error!(
            role = self.role.as_str(),
            topic,
            partition,
            offset,
            "the broker has deleted messages that the role has not read, and it goes on with the oldest that is there; the ledger has all \
             of them: to have them looked at, run all processes with bus = \"ledger\" for a while (docs/operations.md)"
        );
    }

    fn places(&self, list: &TopicPartitionList) -> Vec<Place> {
        let index: HashMap<&str, usize> =
            self.topics.iter().enumerate().map(|(index, topic)| (topic.name.as_str(), index)).collect();
        let elements = list.elements();
        elements.iter().filter_map(|element| Some((*index.get(element.topic())?, element.partition()))).collect()
    }
}
