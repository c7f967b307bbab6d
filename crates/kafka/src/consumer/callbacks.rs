//! What the client calls, on the consumer's thread.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::statistics::Statistics;

use super::{Queues, Shared};
use crate::client::Context;
use crate::seat::Place;

/// The callbacks of one consumer.
pub(super) struct Callbacks(pub(super) Arc<Shared>);

impl Callbacks {
    /// A poll that has nothing to show does not say whether it called here. Who polls until there is nothing left looks at this.
    fn count(&self) {
        self.0.served.fetch_add(1, Ordering::Relaxed);
    }

    /// Splits the partitions' queues off the consumer's own.
    fn split(&self, places: &[Place]) -> Queues {
        // None while the consumer is closing, and then nothing is assigned any more.
        let Some(consumer) = self.0.consumer.lock().upgrade() else { return Vec::new() };
        let split = |place: &Place| {
            let topic = &self.0.topics[place.0].name;
            let queue = consumer.split_partition_queue(topic, place.1);
            (*place, queue.expect("a topic that the broker has assigned has a sound name"))
        };
        places.iter().map(split).collect()
    }
}

impl ClientContext for Callbacks {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = Context::ENABLE_REFRESH_OAUTH_TOKEN;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        Context::tell(level, facility, message);
        if facility == "OFFSET" {
            self.0.tell_reset(message);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.context.tell_error(&error, reason);
    }

    /// Where the partitions end, and whether there is a connection.
    fn stats(&self, statistics: Statistics) {
        self.count();
        let shared = &self.0;
        shared.context.hear(&statistics);
        let mut state = shared.seat.state.lock();
        for (index, topic) in shared.topics.iter().enumerate() {
            let Some(found) = statistics.topics.get(&topic.name) else { continue };
            let partitions = found.partitions.keys().filter(|partition| **partition >= 0).count();
            state.has_partitions(index, partitions);
            for (partition, facts) in found.partitions.iter().filter(|(partition, _)| **partition >= 0) {
                state.end((index, *partition), facts.hi_offset);
            }
        }
    }

    fn generate_oauth_token(
        &self,
        config: Option<&str>,
    ) -> Result<rdkafka::client::OAuthToken, Box<dyn std::error::Error>> {
        self.count();
        self.0.context.generate_oauth_token(config)
    }
}

impl ConsumerContext for Callbacks {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        self.count();
        let shared = &self.0;
        match rebalance {
            Rebalance::Revoke(list) => {
                let places = shared.places(list);
                // While they are still ours: whoever has them next begins behind what is settled.
                shared.tell(consumer, Some(&places), CommitMode::Sync);
                shared.seat.state.lock().revoke(&places);
                *shared.assigned.lock() = Some(Vec::new());
                tracing::debug!(role = shared.role.as_str(), partitions = places.len(), "partitions were revoked");
            }
            // Before the first of their messages is fetched: a queue that is split now gets all of them, and the consumer's own none, so
            // that no message can be read before an older one of its partition. The offset behind the last one that was read would
            // run ahead otherwise, and the older one would be lost with a crash.
            Rebalance::Assign(list) => {
                let places = shared.places(list);
                tracing::debug!(role = shared.role.as_str(), partitions = places.len(), "partitions were assigned");
                let queues = self.split(&places);
                shared.seat.state.lock().assign(places);
                // All of them: the protocol of `range` revokes everything before it assigns.
                *shared.assigned.lock() = Some(queues);
            }
            Rebalance::Error(error) => tracing::warn!(role = shared.role.as_str(), %error, "a rebalance failed"),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        self.count();
        if let Err(error) = result {
            // Nothing to commit is no failure, and what is lost with a revoked partition comes again elsewhere.
            tracing::debug!(role = self.0.role.as_str(), %error, "offsets were not committed");
            self.0.seat.state.lock().not_told();
        }
    }
}
