//! The client's producers: the one that sends in batches, and one for messages that have to go alone.

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message as _, OwnedMessage, ToBytes};
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};

use crate::client::Context;
use crate::error::OpenError;
use crate::options::Options;

/// All producers of a process.
pub(super) struct Producers {
    options: Options,
    config: ClientConfig,
    usual: RwLock<FutureProducer<Context>>,
    /// Sends each message in a batch of its own. Made when it is first needed.
    single: Mutex<Option<FutureProducer<Context>>>,
}

impl Producers {
    pub(super) fn new(options: Options, config: ClientConfig) -> Result<Arc<Self>, OpenError> {
        let usual = make(&options, &config).map_err(|source| OpenError::Broker {
            brokers: options.brokers.clone(),
            what: "the producer cannot be set up",
            source,
        })?;
        Ok(Arc::new(Self { options, config, usual: RwLock::new(usual), single: Mutex::default() }))
    }

    /// The one that sends in batches.
    pub(super) fn usual(&self) -> FutureProducer<Context> {
        self.usual.read().clone()
    }

    /// Puts a message where the client will send it from, behind those before; gives it back where it cannot.
    #[expect(clippy::result_large_err, reason = "the client has it so, and it is rare")]
    pub(super) fn send<'a, K, P>(
        &self,
        record: FutureRecord<'a, K, P>,
    ) -> Result<DeliveryFuture, (KafkaError, FutureRecord<'a, K, P>)>
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
    {
        let sent = self.usual.read().send_result(record);
        sent.inspect_err(|(error, _)| self.renew_after(error))
    }

    /// Sends a message again, in a batch of its own: the broker's answer to that is about this message.
    pub(super) fn send_alone(&self, message: &OwnedMessage) -> Result<DeliveryFuture, KafkaError> {
        let record = FutureRecord::<[u8], [u8]> {
            topic: message.topic(),
            partition: None,
            payload: message.payload(),
            key: message.key(),
            timestamp: None,
            headers: message.headers().cloned(),
        };
        let mut single = self.single.lock();
        let producer = match &mut *single {
            Some(producer) => producer,
            none => none.insert(make(&self.options, self.config.clone().set("batch.num.messages", "1"))?),
        };
        producer.send_result(record).map_err(|(error, _)| {
            if is_fatal(&error) {
                *single = None;
            }
            error
        })
    }

    /// After some errors an idempotent producer can promise nothing any more and sends nothing: another has to take its place. What
    /// was on its way fails, and is published again by whoever asked for it.
    fn renew_after(&self, error: &KafkaError) {
        if !is_fatal(error) {
            return;
        }
        let mut current = self.usual.write();
        if current.client().fatal_error().is_none() {
            // Another caller was faster.
            return;
        }
        match make(&self.options, &self.config) {
            Ok(next) => {
                tracing::warn!(%error, "the producer has failed for good, and was replaced");
                *current = next;
            }
            Err(error) => tracing::error!(%error, "a failed producer cannot be replaced"),
        }
    }
}

fn is_fatal(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal)
}

fn make(options: &Options, config: &ClientConfig) -> Result<FutureProducer<Context>, KafkaError> {
    config.create_with_context(Context::new(options))
}
