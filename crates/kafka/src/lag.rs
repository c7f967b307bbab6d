//! How far a role is behind in the partitions that other processes have: asked of the broker, now and then.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ordermill_core::Timestamp;
use ordermill_core::process::Role;
use ordermill_ports::bus::BusError;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::Message as _;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::client::Context;
use crate::message::{self, Decoded};
use crate::options::Options;
use crate::seat::{Place, Seat};
use crate::topics::{Topic, Topics};

/// How old an answer may be.
const FRESH: Duration = Duration::from_secs(2);

/// How long the broker may take for one question.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// How long the client is served before it is asked: it has no thread that does, and may want a token first.
const SERVE: Duration = Duration::from_millis(10);

/// How often the clients are served between the questions, and until when.
const ATTEND_EVERY: Duration = Duration::from_secs(1);
const IDLE_MAX: Duration = Duration::from_secs(60);

/// How long the oldest messages are looked for.
const LOOK_MAX: Duration = Duration::from_secs(1);

/// Messages, and when the oldest event among them was decided.
type Backlog = (u64, Option<Timestamp>);

/// Asks the broker.
pub(crate) struct Remote {
    options: Options,
    config: ClientConfig,
    topics: Topics,
    /// The answers, by role. Held while one is asked for, so that many callers ask once.
    probes: Arc<Mutex<Probes>>,
    /// Serves the clients between the questions.
    attendant: JoinHandle<()>,
}

type Probes = HashMap<Role, Probe>;

struct Probe {
    consumer: Arc<BaseConsumer<Onlooker>>,
    asked: Instant,
    answered: Option<(Instant, Backlog)>,
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.attendant.abort();
    }
}

/// Looks on: belongs to the group by name alone, and is assigned nothing by it.
struct Onlooker(Context);

impl ClientContext for Onlooker {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = Context::ENABLE_REFRESH_OAUTH_TOKEN;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        Context::tell(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.tell_error(&error, reason);
    }

    fn generate_oauth_token(
        &self,
        config: Option<&str>,
    ) -> Result<rdkafka::client::OAuthToken, Box<dyn std::error::Error>> {
        self.0.generate_oauth_token(config)
    }
}

impl ConsumerContext for Onlooker {}

impl Remote {
    /// Must be called within a runtime.
    pub(crate) fn new(options: Options, config: ClientConfig, topics: Topics) -> Self {
        let probes = Arc::default();
        let attendant = tokio::spawn(attend(Arc::clone(&probes)));
        Self { options, config, topics, probes, attendant }
    }

    /// What waits in partitions that are not this process's.
    pub(crate) async fn backlog(&self, role: Role, seat: Option<&Seat>) -> Result<Backlog, BusError> {
        let topics = self.topics.read_by(role);
        let asked_for = |topic: &Topic| usize::try_from(self.options.partitions_of(topic.channel)).unwrap_or(0);
        if seat.is_some_and(|seat| seat.state.lock().has_all(topics.iter().map(asked_for))) {
            return Ok((0, None));
        }
        let mut probes = self.probes.lock().await;
        let probe = match probes.entry(role) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(place) => {
                let consumer = self.onlooker(role).map_err(|error| BusError::Broker(error.to_string()))?;
                place.insert(Probe { consumer: Arc::new(consumer), asked: Instant::now(), answered: None })
            }
        };
        probe.asked = Instant::now();
        if let Some((_, backlog)) = probe.answered.filter(|(at, _)| at.elapsed() < FRESH) {
            return Ok(backlog);
        }
        let ours: HashSet<Place> = seat.map(|seat| seat.state.lock().places()).unwrap_or_default();
        let consumer = Arc::clone(&probe.consumer);
        let asked = tokio::task::spawn_blocking(move || ask(&consumer, role, &topics, &ours)).await;
        let backlog = asked
            .map_err(|error| BusError::Broker(error.to_string()))?
            .map_err(|error| BusError::Broker(error.to_string()))?;
        probe.answered = Some((Instant::now(), backlog));
        Ok(backlog)
    }

    fn onlooker(&self, role: Role) -> KafkaResult<BaseConsumer<Onlooker>> {
        let mut config = self.config.clone();
        config
            .set("group.id", self.options.group(role.as_str()))
            .set("enable.auto.commit", "false")
            // Nobody listens all the time.
            .set("statistics.interval.ms", "0")
            .set("queued.max.messages.kbytes", "64");
        config.create_with_context(Onlooker(Context::new(&self.options)))
    }
}

/// Has the clients tell what they have to, which would pile up otherwise, and lets go of those that nobody asks any more.
async fn attend(probes: Arc<Mutex<Probes>>) {
    loop {
        tokio::time::sleep(ATTEND_EVERY).await;
        // Whoever asks holds this, and serves the client.
        let Ok(mut probes) = probes.try_lock() else { continue };
        let idle = probes.extract_if(|_, probe| probe.asked.elapsed() >= IDLE_MAX).map(|(_, probe)| probe);
        let idle: Vec<Probe> = idle.collect();
        // One that a caller asked for and went away may still be at work.
        let free = probes.values().filter(|probe| Arc::strong_count(&probe.consumer) == 1);
        let mut clients: Vec<_> = free.map(|probe| Arc::clone(&probe.consumer)).collect();
        let served = tokio::task::spawn_blocking(move || {
            // A client is closed when it is dropped, and that takes a moment.
            drop(idle);
            for client in clients.drain(..) {
                while client.poll(SERVE).is_some() {}
            }
        });
        // Under the lock, so that nobody asks meanwhile. A client that panics is the asker's to tell of.
        _ = served.await;
    }
}

fn ask(consumer: &BaseConsumer<Onlooker>, role: Role, topics: &[Topic], ours: &HashSet<Place>) -> KafkaResult<Backlog> {
    while consumer.poll(SERVE).is_some() {}
    let mut list = TopicPartitionList::new();
    for (index, topic) in topics.iter().enumerate() {
        let metadata = consumer.fetch_metadata(Some(&topic.name), ANSWER_MAX)?;
        let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions()).map(|partition| partition.id());
        for partition in partitions.filter(|partition| !ours.contains(&(index, *partition))) {
            list.add_partition(&topic.name, partition);
        }
    }
    let committed = consumer.committed_offsets(list, ANSWER_MAX)?;
    let (mut waiting, mut behind) = (0, TopicPartitionList::new());
    for element in committed.elements() {
        let (low, high) = consumer.fetch_watermarks(element.topic(), element.partition(), ANSWER_MAX)?;
        let begin = match element.offset() {
            Offset::Offset(offset) => offset.max(low),
            _ => low,
        };
        if high > begin {
            waiting += u64::try_from(high - begin).unwrap_or(0);
            behind.add_partition_offset(element.topic(), element.partition(), Offset::Offset(begin))?;
        }
    }
    let oldest = if waiting > 0 { oldest(consumer, role, &behind)? } else { None };
    Ok((waiting, oldest))
}

/// When the oldest event was decided that waits at the beginning of these partitions.
fn oldest(
    consumer: &BaseConsumer<Onlooker>,
    role: Role,
    behind: &TopicPartitionList,
) -> KafkaResult<Option<Timestamp>> {
    let kinds = role.reacts_to();
    consumer.assign(behind)?;
    let (began, mut seen, mut oldest) = (Instant::now(), HashSet::new(), None::<Timestamp>);
    while seen.len() < behind.count() && began.elapsed() < LOOK_MAX {
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else { continue };
        let place = (message.topic().to_owned(), message.partition());
        if let Ok(Decoded::Delivery(delivery)) = message::decode(&message, role, |kind| kinds.contains(&kind))
            && seen.insert(place)
        {
            oldest = Some(oldest.map_or(delivery.at, |oldest| oldest.min(delivery.at)));
        }
    }
    consumer.unassign()?;
    Ok(oldest)
}
