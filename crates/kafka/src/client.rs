//! What every connection to the broker has in common.

use std::error::Error;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, Statistics};

use crate::error::OpenError;
use crate::link::Link;
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
        .set("socket.keepalive.enable", "true")
        // Among them whether there is a connection.
        .set("statistics.interval.ms", "1000");
    security::configure(options, &mut config).await?;
    Ok(config)
}

/// What the client tells goes to our log. A broker that is away is told of by each connection, so this is no error of ours.
#[derive(Clone)]
pub(crate) struct Context {
    brokers: Arc<str>,
    keeper: Arc<OnceLock<Arc<Keeper>>>,
    link: Arc<Link>,
}

impl Context {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            brokers: options.brokers.as_str().into(),
            keeper: Arc::clone(&options.keeper),
            link: Arc::clone(&options.link),
        }
    }

    pub(crate) fn tell(level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(facility, "the kafka client: {message}");
            }
            _ => tracing::debug!(facility, "the kafka client: {message}"),
        }
    }

    pub(crate) fn tell_error(&self, error: &KafkaError, reason: &str) {
        self.link.tell(error, reason);
    }

    /// Whether something may be told that was not within the last minute.
    pub(crate) fn may_tell(&self, what: &str) -> bool {
        self.link.may_tell(what)
    }

    /// What a client tells of itself, which has somebody that listens all the time.
    pub(crate) fn hear(&self, statistics: &Statistics) {
        self.link.hear(&self.brokers, statistics);
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        Self::tell(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.tell_error(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.hear(&statistics);
    }

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.keeper.get().ok_or("nobody signs tokens")?.token()
    }
}
