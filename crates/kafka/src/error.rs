//! What can go wrong when the broker is first met.

use ordermill_ports::secrets::SecretError;
use rdkafka::error::KafkaError;
use thiserror::Error;

/// Why the event path cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The URL cannot be understood. Never repeats it.
    #[error("the URL of the bus: {0}")]
    Url(String),
    /// The password cannot be had.
    #[error("the password of the broker: {0}")]
    Password(#[from] SecretError),
    /// The client cannot be set up, or the broker refused or did not answer.
    #[error("the broker at {brokers}: {what}: {source}")]
    Broker {
        /// Its addresses.
        brokers: String,
        /// What was tried.
        what: &'static str,
        /// What the client said.
        source: KafkaError,
    },
    /// A topic is there and not as it has to be.
    #[error("the topic {topic} {problem}")]
    Topic {
        /// Its name.
        topic: String,
        /// What is wrong with it, and what to do.
        problem: String,
    },
}
