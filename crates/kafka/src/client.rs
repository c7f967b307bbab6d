//! What every connection to the broker has in common.

use std::error::Error;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::error::OpenError;
use crate::options::Options;
use crate::security;
use crate::tokens::Keeper;

/// How long the broker may take for anything that is waited for.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(30);

/// The configuration of all clients.
pub(crate) async fn configuration(options: &Options) -> Result<ClientConfig, OpenError> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &options.brokers)
        .set("client.id", "ordermill")
        .set("allow.auto.create.topics", "false")
        // Back soon when the broker is, and not all at once.
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000")
        .set("socket.keepalive.enable", "true");
    security::configure(options, &mut config).await?;
    Ok(config)
}

/// What the client tells goes to our log. A broker that is away is told of by each connection, so this is no error of ours.
#[derive(Clone)]
pub(crate) struct Context(Arc<OnceLock<Arc<Keeper>>>);

impl Context {
    pub(crate) fn new(options: &Options) -> Self {
        Self(Arc::clone(&options.keeper))
    }

    pub(crate) fn tell(level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(facility, "the kafka client: {message}");
            }
            _ => tracing::debug!(facility, "the kafka client: {message}"),
        }
    }

    pub(crate) fn tell_error(error: &KafkaError, reason: &str) {
        if is_problem(error) {
            tracing::warn!(%error, reason, "the kafka client has a problem");
        }
    }
}

/// Whether an error of the client is one. The binding passes each end of a partition on as an error, too, and a reader that keeps up
/// reaches ends all the time.
fn is_problem(error: &KafkaError) -> bool {
    let is_end = |code| code == RDKafkaErrorCode::PartitionEOF;
    !matches!(error, KafkaError::PartitionEOF(_)) && !error.rdkafka_error_code().is_some_and(is_end)
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        Self::tell(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        Self::tell_error(&error, reason);
    }

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.0.get().ok_or("nobody signs tokens")?.token()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_partition_is_no_problem() {
        // As a callback and as an answer have it.
        assert!(!is_problem(&KafkaError::Global(RDKafkaErrorCode::PartitionEOF)));
        assert!(!is_problem(&KafkaError::PartitionEOF(3)));
        assert!(!is_problem(&KafkaError::MessageConsumption(RDKafkaErrorCode::PartitionEOF)));
        assert!(is_problem(&KafkaError::Global(RDKafkaErrorCode::AllBrokersDown)));
        assert!(is_problem(&KafkaError::MessageConsumption(RDKafkaErrorCode::TopicAuthorizationFailed)));
    }
}
