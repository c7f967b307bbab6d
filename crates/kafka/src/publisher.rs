//! The way to the broker: events of the ledger, and what nobody could deal with.

mod lanes;
mod told;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::join_all;
use ordermill_core::channel::Channel;
use ordermill_ports::publisher::{Announcement, Answer, PublishError, Publisher};
use parking_lot::RwLock;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use tokio::time::Instant;

use crate::client::{self, Context};
use crate::error::OpenError;
use crate::message::{self, Encoded};
use crate::options::Options;
use crate::publisher::lanes::{Lanes, Passage};
use crate::publisher::told::{Name, Told};
use crate::topics::{Topic, Topics};

/// The `source` of events, as the interface has it.
const SOURCE: &str = "/ordermill";

/// How long the client's queue is waited for at a time when it is full.
const FULL_PAUSE: Duration = Duration::from_millis(5);

/// And at most for all messages of a call: it is far greater than what the relay has under way, so it is full only when a good part of the
/// broker takes nothing.
const FULL_MAX: Duration = Duration::from_secs(2);

/// How long a message may be on its way, with all its tries: longer than a broker takes to be replaced.
const ON_ITS_WAY_MAX: Duration = Duration::from_secs(120);

/// The end of the process waits for so long for what is on its way.
const FLUSH_MAX: Duration = Duration::from_secs(5);

/// Publishes events on the topics of their channels.
pub struct KafkaPublisher {
    topics: Topics,
    options: Options,
    config: ClientConfig,
    producer: RwLock<FutureProducer<Context>>,
    lanes: Arc<Lanes>,
    told: Arc<Told>,
}

impl KafkaPublisher {
    /// Connects to the broker, and sees to it that its topics are there and as they have to be.
    ///
    /// # Errors
    /// [`OpenError`] when the broker does not answer or refuses, or a topic would keep less than it should.
    pub async fn open(options: Options) -> Result<Arc<Self>, OpenError> {
        let config = client::configuration(&options).await?;
        Topics::new(&options).provide(&options, &config).await?;
        Self::connect(options).await
    }

    /// The same without a look at the broker, for whoever has to start also when it is away. What is published waits for it.
    ///
    /// # Errors
    /// [`OpenError`] when the client cannot be set up.
    pub async fn connect(options: Options) -> Result<Arc<Self>, OpenError> {
        let mut config = client::configuration(&options).await?;
        let topics = Topics::new(&options);
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", "lz4")
            // The relay hands over what it has in one go, a commit's events within a millisecond, and that is one batch for each partition
            // by itself: of 300 events every 40 ms over 24 partitions a batch had 12.4 without any wait, 13.3 with 1 ms, 13.6 with 5 and
            // 13.7 with 10. A longer wait would save nothing, and be added to every step of an order that comes alone. (The "sticky"
            // settings are about messages without a key. Ours have one.)
            .set("linger.ms", "1")
            .set("message.timeout.ms", ON_ITS_WAY_MAX.as_millis().to_string());
        let producer = producer(&options, &config)?;
        let (lanes, told) = (Lanes::new(&options), Arc::default());
        Ok(Arc::new(Self { topics, options, config, producer: RwLock::new(producer), lanes, told }))
    }

    /// Puts a message where the client will send it from, behind those before. Waits while there is no room, at most until then.
    async fn send(&self, topic: &str, message: Encoded, full_until: Instant) -> Result<DeliveryFuture, KafkaError> {
        let mut record = FutureRecord::to(topic).key(&message.key).payload(&message.value).headers(message.headers);
        loop {
            let sent = self.producer.read().send_result(record);
            match sent {
                Ok(delivery) => return Ok(delivery),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if Instant::now() < full_until =>
                {
                    record = back;
                    tokio::time::sleep(FULL_PAUSE).await;
                }
                Err((error, _)) => {
                    self.renew_after(&error);
                    return Err(error);
                }
            }
        }
    }

    /// Sends an event to a channel.
    async fn tell(&self, event: &Announcement, topic: &Topic, name: &Name, full_until: Instant) -> Message {
        let encoded = message::encode(event, topic.channel.name, SOURCE);
        let refused = |reason: String| Message { channel: topic.channel, sent: Err(reason) };
        let Some(passage) = self.lanes.enter(topic.channel, encoded.key.as_bytes(), Instant::now()) else {
            return refused(format!("{} takes nothing at present", topic.name));
        };
        match self.send(&topic.name, encoded, full_until).await {
            Ok(delivery) => {
                let told = Arc::clone(&self.told);
                Message { channel: topic.channel, sent: Ok(Sent { passage, delivery, name: name.clone(), told }) }
            }
            Err(error) => {
                if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                    passage.refused();
                }
                refused(error.to_string())
            }
        }
    }

    /// After some errors an idempotent producer can promise nothing any more and sends nothing: another has to take its place. What
    /// was on its way fails, and is published again by whoever asked for it.
    fn renew_after(&self, error: &KafkaError) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::Fatal) {
            return;
        }
        let mut current = self.producer.write();
        if current.client().fatal_error().is_none() {
            // Another caller was faster.
            return;
        }
        match producer(&self.options, &self.config) {
            Ok(next) => {
                tracing::warn!(%error, "the producer has failed for good, and was replaced");
                *current = next;
            }
            Err(error) => tracing::error!(%error, "a failed producer cannot be replaced"),
        }
    }

    /// The copy of what a role gave up, for whoever looks at the broker; the ledger has it in any case.
    pub(crate) async fn copy_given_up(
        &self,
        announcement: &Announcement,
        delivery: &ordermill_ports::Delivery,
        reason: &str,
    ) -> Result<(), PublishError> {
        for topic in self.topics.of(delivery.kind).filter(|topic| topic.channel.is_internal) {
            let mut encoded = message::encode(announcement, topic.channel.name, SOURCE);
            encoded.headers = message::given_up_headers(encoded.headers, &topic.name, delivery, reason);
            let sent = self.send(&topic.dead_letters, encoded, Instant::now() + ON_ITS_WAY_MAX).await;
            answer(sent.map_err(|error| failure(error.to_string()))?).await?;
        }
        Ok(())
    }

    /// Puts a message that nobody can read onto a dead-letter topic.
    pub(crate) async fn set_aside(
        &self,
        dead_letters: &str,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: OwnedHeaders,
    ) -> Result<(), PublishError> {
        let record = FutureRecord::<[u8], [u8]> {
            topic: dead_letters,
            partition: None,
            payload: value,
            key,
            timestamp: None,
            headers: Some(headers),
        };
        let sent = self.producer.read().send_result(record);
        match sent {
            Ok(delivery) => answer(delivery).await,
            Err((error, _)) => {
                self.renew_after(&error);
                Err(failure(error.to_string()))
            }
        }
    }

    /// Waits a while for what is on its way.
    pub(crate) async fn flush(&self) {
        let producer = self.producer.read().clone();
        let flushed = tokio::task::spawn_blocking(move || producer.flush(FLUSH_MAX)).await;
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::warn!("messages were still on their way to the broker at the end; they are sent again");
        }
    }
}

fn producer(options: &Options, config: &ClientConfig) -> Result<FutureProducer<Context>, OpenError> {
    let failed =
        |source| OpenError::Broker { brokers: options.brokers.clone(), what: "the producer cannot be set up", source };
    config.create_with_context(Context::new(options)).map_err(failed)
}

fn failure(reason: String) -> PublishError {
    PublishError { reason, is_told_to_roles: false }
}

/// What the broker says to a message: the partition it is in.
async fn partition_of(delivery: &mut DeliveryFuture) -> Result<i32, Failure> {
    match delivery.await {
        Ok(Ok(delivered)) => Ok(delivered.partition),
        Ok(Err((error, _))) => Err(Failure::Refused(error.to_string())),
        Err(_) => Err(Failure::Unknown("the producer was replaced while the message was on its way")),
    }
}

async fn answer(mut delivery: DeliveryFuture) -> Result<(), PublishError> {
    partition_of(&mut delivery).await.map(drop).map_err(|failed| failure(failed.reason()))
}

enum Failure {
    /// By the broker, or it did not answer for long.
    Refused(String),
    /// It says nothing of the broker.
    Unknown(&'static str),
}

impl Failure {
    fn reason(self) -> String {
        match self {
            Self::Refused(reason) => reason,
            Self::Unknown(reason) => reason.to_owned(),
        }
    }
}

/// An event on its way to one channel.
struct Message {
    channel: &'static Channel,
    sent: Result<Sent, String>,
}

impl Message {
    async fn answer(self) -> (&'static Channel, Result<(), String>) {
        let result = match self.sent {
            Ok(sent) => sent.answer().await,
            Err(reason) => Err(reason),
        };
        (self.channel, result)
    }
}

/// What the client has.
struct Sent {
    passage: Passage,
    delivery: DeliveryFuture,
    name: Name,
    told: Arc<Told>,
}

impl Sent {
    /// The answer, as far as it can be waited for.
    async fn answer(mut self) -> Result<(), String> {
        tokio::select! {
            biased;
            result = partition_of(&mut self.delivery) => self.note(result),
            () = self.passage.stalled() => {
                // It is with the client for a while yet, and may still get there: then it is not sent again.
                tokio::spawn(async move {
                    let result = partition_of(&mut self.delivery).await;
                    let (name, told, channel) = (self.name.clone(), Arc::clone(&self.told), self.passage.channel());
                    if self.note(result).is_ok() {
                        told.add(&name, channel.name);
                    }
                });
                Err("the broker does not answer".to_owned())
            }
        }
    }

    fn note(self, result: Result<i32, Failure>) -> Result<(), String> {
        match result {
            Ok(partition) => {
                self.passage.taken(partition, Instant::now());
                Ok(())
            }
            Err(failed) => {
                if matches!(failed, Failure::Refused(_)) {
                    self.passage.refused();
                }
                Err(failed.reason())
            }
        }
    }
}

/// The answer to an event: yes when all its channels have it.
async fn all(name: Name, told: Arc<Told>, is_again: bool, messages: Vec<Message>) -> Result<(), PublishError> {
    let (mut taken, mut failed) = (Vec::new(), None);
    let mut is_told_to_roles = true;
    // Each is waited for, whatever becomes of another.
    for (channel, result) in join_all(messages.into_iter().map(Message::answer)).await {
        match result {
            Ok(()) => taken.push(channel.name),
            Err(reason) => {
                is_told_to_roles &= !channel.is_internal;
                failed = Some(reason);
            }
        }
    }
    match failed {
        None => {
            if is_again {
                told.forget(&name);
            }
            Ok(())
        }
        Some(reason) => {
            taken.into_iter().for_each(|channel| told.add(&name, channel));
            Err(PublishError { reason, is_told_to_roles })
        }
    }
}

#[async_trait]
impl Publisher for KafkaPublisher {
    async fn publish(&self, events: Vec<Announcement>) -> Vec<Answer> {
        let full_until = Instant::now() + FULL_MAX;
        let mut answers = Vec::with_capacity(events.len());
        for event in &events {
            let name = Name::of(&event.event);
            let told = self.told.of(&name);
            let mut messages = Vec::new();
            for topic in self.topics.of(event.event.recorded.event.kind()) {
                if !told.contains(&topic.channel.name) {
                    messages.push(self.tell(event, topic, &name, full_until).await);
                }
            }
            answers.push(all(name, Arc::clone(&self.told), !told.is_empty(), messages).boxed());
        }
        answers
    }
}
