//! The way to the broker: events of the ledger, and what nobody could deal with.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use ordermill_ports::publisher::{Announcement, Answers, PublishError, Publisher};
use parking_lot::RwLock;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};

use crate::client::{self, Context};
use crate::error::OpenError;
use crate::message::{self, Encoded};
use crate::options::Options;
use crate::topics::Topics;

/// The `source` of events, as the interface has it.
const SOURCE: &str = "/ordermill";

/// How long the client's queue is waited for at a time when it is full.
const FULL_PAUSE: Duration = Duration::from_millis(5);

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
        Ok(Arc::new(Self { topics, options, config, producer: RwLock::new(producer) }))
    }

    /// Puts a message where the client will send it from, behind those before. Waits while there is no room.
    async fn send(&self, topic: &str, message: Encoded) -> Result<DeliveryFuture, PublishError> {
        let mut record = FutureRecord::to(topic).key(&message.key).payload(&message.value).headers(message.headers);
        loop {
            let sent = self.producer.read().send_result(record);
            match sent {
                Ok(delivery) => return Ok(delivery),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    tokio::time::sleep(FULL_PAUSE).await;
                }
                Err((error, _)) => {
                    self.renew_after(&error);
                    return Err(PublishError(error.to_string()));
                }
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
            answer(self.send(&topic.dead_letters, encoded).await).await?;
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
            Ok(delivery) => answer(Ok(delivery)).await,
            Err((error, _)) => {
                self.renew_after(&error);
                Err(PublishError(error.to_string()))
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

/// What the broker says to a message.
async fn answer(sent: Result<DeliveryFuture, PublishError>) -> Result<(), PublishError> {
    match sent?.await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err((error, _))) => Err(PublishError(error.to_string())),
        Err(_) => Err(PublishError("the producer was replaced while the message was on its way".to_owned())),
    }
}

#[async_trait]
impl Publisher for KafkaPublisher {
    async fn publish(&self, events: Vec<Announcement>) -> Answers {
        let mut sent = Vec::with_capacity(events.len());
        for event in &events {
            let mut messages = Vec::new();
            for topic in self.topics.of(event.event.recorded.event.kind()) {
                let encoded = message::encode(event, topic.channel.name, SOURCE);
                messages.push(self.send(&topic.name, encoded).await);
            }
            sent.push(messages);
        }
        async move {
            let mut answers = Vec::with_capacity(sent.len());
            for messages in sent {
                let mut result = Ok(());
                for message in messages {
                    // Each is waited for, whatever became of another.
                    result = answer(message).await.and(result);
                }
                answers.push(result);
            }
            answers
        }
        .boxed()
    }
}
