//! What can go wrong when the broker is first met.

use ordermill_ports::secrets::SecretError;
use rdkafka::error::KafkaError;
use thiserror::Error;

use crate::options::MIN_ISR_DEFAULT;

/// Why the event path cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The URL cannot be understood. Never repeats it.
    #[error("the URL of the bus: {0}")]
    Url(String),
    /// The password cannot be had.
    #[error("the password of the broker cannot be had")]
    Password(#[from] SecretError),
    /// No token can be signed in the place of a password.
    #[error("no token for the broker could be signed: {0}")]
    Token(String),
    /// The broker does not take us for who we say we are.
    #[error("the broker at {brokers} does not let us in: {said}; look at `sasl`, and at `user` and `password`")]
    Login {
        /// Its addresses.
        brokers: String,
        /// What the client said.
        said: String,
    },
    /// The broker is not who it has to be, or speaks another protocol.
    #[error("no safe connection to the broker at {brokers}: {said}; {advice}")]
    Unsafe {
        /// Its addresses.
        brokers: String,
        /// What the client said.
        said: String,
        /// What to look at.
        advice: &'static str,
    },
    /// The broker does not answer.
    #[error("the broker at {brokers}: it does not answer: {said}; {advice}")]
    Silent {
        /// Its addresses.
        brokers: String,
        /// What the client said last.
        said: String,
        /// What to look at.
        advice: &'static str,
    },
    /// More copies are asked for than there are brokers.
    #[error(
        "the topics cannot be made with {asked} copies of each message: there {} {there} at {brokers}; start as many brokers, or ask for \
         fewer copies: ?replication={there}&min_isr={}", if *there == 1 { "is" } else { "are" }, MIN_ISR_DEFAULT.min(*there)
    )]
    Copies {
        /// The addresses of the brokers.
        brokers: String,
        /// Copies of each message, as asked for.
        asked: i32,
        /// Brokers that there are.
        there: i32,
    },
    /// The client cannot be set up, or the broker refused or did not answer.
    #[error("the broker at {brokers}: {what}")]
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
