//! The way to the broker: events of the ledger, and what nobody could deal with.

mod lanes;
mod message;
mod producers;
mod told;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use ordermill_core::event::EventType;
use ordermill_ports::publisher::{Announcement, Answer, PublishError, Publisher};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureRecord, Producer as _};
use tokio::time::Instant;

use crate::client;
use crate::error::OpenError;
use crate::message::{self as wire, Encoded, Letter};
use crate::options::Options;
use crate::topics::{Topic, Topics};
use lanes::Lanes;
use message::{Answered, Failure, Message, REPLACED, Sent, all, answered};
use producers::Producers;
use told::{Name, Told};

/// The `source` of events, as the interface has it.
const SOURCE: &str = "/ordermill";

/// How long the client's queue is waited for at a time when it is full.
const FULL_PAUSE: Duration = Duration::from_millis(5);

/// And at most for all messages of a call: it is far greater than what the relay has under way, so it is full only when a good part of the
/// broker takes nothing.
const FULL_MAX: Duration = Duration::from_secs(2);

/// A broker that does not answer a question for so long is not there.
const LOOK_MAX: Duration = Duration::from_secs(3);

/// How long a message may be on its way, with all its tries: longer than a broker takes to be replaced.
const ON_ITS_WAY_MAX: Duration = Duration::from_secs(120);

/// Publishes events on the topics of their channels.
pub struct KafkaPublisher {
    topics: Topics,
    producers: Arc<Producers>,
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
        let (lanes, told) = (Lanes::new(&options), Arc::default());
        Ok(Arc::new(Self { topics, producers: Producers::new(options, config)?, lanes, told }))
    }

    /// Puts a message where the client will send it from, behind those before. Waits while there is no room, at most until then.
    async fn send(&self, topic: &str, message: Encoded, full_until: Instant) -> Result<DeliveryFuture, KafkaError> {
        let mut record = FutureRecord::to(topic).key(&message.key).payload(&message.value).headers(message.headers);
        loop {
            match self.producers.send(record) {
                Ok(delivery) => return Ok(delivery),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if Instant::now() < full_until =>
                {
                    record = back;
                    tokio::time::sleep(FULL_PAUSE).await;
                }
                Err((error, _)) => return Err(error),
            }
        }
    }

    /// Sends an event to a channel.
    async fn tell(&self, event: &Announcement, topic: &Topic, name: &Name, full_until: Instant) -> Message {
        let encoded = wire::encode(event, topic.channel.name, SOURCE);
        let refused = |reason: String| Message { channel: topic.channel, sent: Err(Failure::Passing(reason)) };
        let Some(passage) = self.lanes.enter(topic.channel, encoded.key.as_bytes(), Instant::now()) else {
            return refused("it takes nothing at present".to_owned());
        };
        match self.send(&topic.name, encoded, full_until).await {
            Ok(delivery) => {
                let (told, producers) = (Arc::clone(&self.told), Arc::clone(&self.producers));
                let sent = Sent { passage, delivery, is_alone: false, producers, name: name.clone(), told };
                Message { channel: topic.channel, sent: Ok(sent) }
            }
            Err(error) if message::is_about_message(&error) => {
                passage.moves(Instant::now());
                Message { channel: topic.channel, sent: Err(Failure::ForGood(error.to_string())) }
            }
            Err(error) => {
                if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                    passage.refused();
                }
                refused(error.to_string())
            }
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
            let mut encoded = wire::encode(announcement, topic.channel.name, SOURCE);
            encoded.headers = wire::given_up_headers(encoded.headers, &topic.name, delivery, reason);
            let sent = self.send(&topic.dead_letters, encoded, Instant::now() + ON_ITS_WAY_MAX).await;
            self.answer(sent.map_err(|error| failure(&error))?).await?;
        }
        Ok(())
    }

    /// The broker's answer to a message that is no event on its way to the roles.
    async fn answer(&self, mut delivery: DeliveryFuture) -> Result<(), PublishError> {
        match answered(&mut delivery, &mut false, &self.producers).await {
            Answered::Taken(_) => Ok(()),
            Answered::Unfit(error) | Answered::Refused(error) => Err(failure(&error)),
            Answered::Replaced => {
                Err(PublishError { reason: REPLACED.to_owned(), is_told_to_roles: false, is_for_good: false })
            }
        }
    }

    /// Puts a message that nobody can read onto a dead-letter topic.
    pub(crate) async fn set_aside(&self, dead_letters: &str, letter: &Letter) -> Result<(), PublishError> {
        let record = FutureRecord::<[u8], [u8]> {
            topic: dead_letters,
            partition: None,
            payload: letter.value.as_deref(),
            key: letter.key.as_deref(),
            timestamp: None,
            headers: Some(letter.headers.clone()),
        };
        match self.producers.send(record) {
            Ok(delivery) => self.answer(delivery).await,
            Err((error, _)) => Err(failure(&error)),
        }
    }

    /// Waits for what is on its way, for so long at the most.
    pub(crate) async fn flush(&self, wait_max: Duration) {
        let producer = self.producers.usual();
        let flushed = tokio::task::spawn_blocking(move || producer.flush(wait_max)).await;
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::warn!("messages were still on their way to the broker at the end; they are sent again");
        }
    }
}

/// Of a message that is no event on its way to the roles.
fn failure(error: &KafkaError) -> PublishError {
    let is_for_good = message::is_about_message(error);
    PublishError { reason: error.to_string(), is_told_to_roles: false, is_for_good }
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

    async fn is_there(&self) -> bool {
        let producer = self.producers.usual();
        // Of one topic, so that the answer is a short one: that it comes is what counts.
        let topic = self.topics.of(EventType::OrderPlaced).next().map(|topic| topic.name.clone());
        let look = move || producer.client().fetch_metadata(topic.as_deref(), LOOK_MAX).is_ok();
        tokio::task::spawn_blocking(look).await.unwrap_or(false)
    }
}
