//! The first meeting with a broker: what it has, or why there is no getting in.
//!
//! The client tries for ever, and tells why it fails on the side. Here what it tells is taken for an answer, so that a wrong password is
//! known within seconds, and by its name.

use std::error::Error;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use rdkafka::{ClientConfig, Statistics};

use crate::client::{ANSWER_MAX, Context};
use crate::error::OpenError;
use crate::options::Options;

/// How long a refusal waits for another broker that lets us in, or for the same one to do so after all: it may have come up just now.
const SECOND_THOUGHTS: Duration = Duration::from_secs(3);

/// A broker that has not answered for so long is told of, as whoever starts a process looks on.
const TELL_AFTER: Duration = Duration::from_secs(8);

/// How long one question waits, so that what the client tells meanwhile is never far.
const LOOK: Duration = Duration::from_millis(250);

/// How long the client is served between two questions.
const SERVE: Duration = Duration::from_millis(50);

/// Why there is no getting in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Login,
    Certificate,
    Protocol,
}

impl Refusal {
    /// What the client's words mean; `None` for what may pass, such as a broker that is away.
    fn of(code: RDKafkaErrorCode, said: &str) -> Option<Self> {
        match code {
            RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed => Some(Self::Login),
            RDKafkaErrorCode::SSL if said.contains("certificate") => Some(Self::Certificate),
            RDKafkaErrorCode::SSL => Some(Self::Protocol),
            // A connection that is closed at our first words: somebody expects another protocol, or wants to know who we are.
            RDKafkaErrorCode::BrokerTransportFailure => {
                let hints = ["in state APIVERSION_QUERY", "PLAINTEXT broker listener", "in state UP"];
                hints.iter().any(|hint| said.contains(hint)).then_some(Self::Protocol)
            }
            _ => None,
        }
    }

    fn error(self, options: &Options, said: String) -> OpenError {
        let brokers = options.brokers.clone();
        match self {
            Self::Login => OpenError::Login { brokers, said },
            Self::Certificate => OpenError::Unsafe {
                brokers,
                said,
                advice: "its certificate has to be signed by an authority of `tls_roots`, for the name that the URL has",
            },
            Self::Protocol => OpenError::Unsafe {
                brokers,
                said,
                advice: "the port of the URL has to be one for `tls` and `sasl` as given",
            },
        }
    }
}

/// What a silence comes from, as far as the client has told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Silence {
    Unknown,
    Unreachable,
    Mute,
}

impl Silence {
    /// What the client's words tell of it; `None` when they tell nothing.
    fn of(said: &str) -> Option<Self> {
        let has = |hints: &[&str]| hints.iter().any(|hint| said.contains(hint));
        if has(&["Failed to resolve"]) {
            Some(Self::Unknown)
        } else if has(&["Connect to", "in state CONNECT", "in state TRY_CONNECT"]) {
            Some(Self::Unreachable)
        } else {
            has(&["in state ", "handshake", "Disconnected", "timed out"]).then_some(Self::Mute)
        }
    }

    const fn advice(self) -> &'static str {
        match self {
            Self::Unknown => "look at the names in the URL",
            Self::Unreachable => "there is no connection to it: is it running, and is this its address?",
            Self::Mute => {
                "there is a connection, and no answer comes: is it a broker, does it work, and are `tls` and `sasl` as its port has them?"
            }
        }
    }
}

/// Hears what the client tells.
struct Door {
    context: Context,
    refused: Mutex<Option<(Instant, Refusal, String)>>,
    /// The last words of a broker that does not answer.
    silent: Mutex<Option<(Silence, String)>>,
}

impl Door {
    fn hear(&self, code: RDKafkaErrorCode, said: &str) {
        if let Some(silence) = Silence::of(said) {
            // A line of the log names the client's thread first.
            let words = said.rsplit_once("]: ").map_or(said, |(_, words)| words);
            *self.silent.lock() = Some((silence, words.to_owned()));
        }
        let mut refused = self.refused.lock();
        match Refusal::of(code, said) {
            Some(refusal) => _ = refused.get_or_insert_with(|| (Instant::now(), refusal, said.to_owned())),
            // Whoever does not even answer now was on the way out before, and did not mind our words.
            None if said.contains("Connect to") && matches!(*refused, Some((_, Refusal::Protocol, _))) => {
                *refused = None
            }
            None => {}
        }
    }
}

impl Door {
    /// What to look at where nobody answers, and why.
    fn silence(&self) -> (&'static str, String) {
        let nothing = || (Silence::Unreachable, "nothing is heard of it".to_owned());
        let (silence, said) = self.silent.lock().clone().unwrap_or_else(nothing);
        (silence.advice(), said)
    }
}

impl ClientContext for Door {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = Context::ENABLE_REFRESH_OAUTH_TOKEN;

    /// That a connection was closed is no error to the client; it only says so.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        Context::tell(level, facility, message);
        if facility == "FAIL" {
            self.hear(RDKafkaErrorCode::BrokerTransportFailure, message);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.context.tell_error(&error, reason);
        if let Some(code) = error.rdkafka_error_code() {
            self.hear(code, reason);
        }
    }

    /// It knows of one connection, and goes; how it stands with the broker is told by those that stay.
    fn stats(&self, _statistics: Statistics) {}

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.context.generate_oauth_token(config)
    }
}

impl ConsumerContext for Door {}

/// What the broker has. Waits for it on this thread; it is done once, at the start.
///
/// # Errors
/// [`OpenError::Login`] and [`OpenError::Unsafe`] within seconds; [`OpenError::Silent`] when it does not answer.
pub(crate) fn meet(options: &Options, config: &ClientConfig) -> Result<Metadata, OpenError> {
    let failed = |what| move |source| OpenError::Broker { brokers: options.brokers.clone(), what, source };
    let door = Door { context: Context::new(options), refused: Mutex::default(), silent: Mutex::default() };
    let mut config = config.clone();
    let config = config.set_log_level(RDKafkaLogLevel::Info);
    let client: BaseConsumer<Door> = config.create_with_context(door).map_err(failed("the client cannot be set up"))?;
    let (begin, mut is_told) = (Instant::now(), false);
    loop {
        // It has things to tell, and may want a token.
        while client.poll(SERVE).is_some() {}
        if let Ok(metadata) = client.fetch_metadata(None, LOOK) {
            return Ok(metadata);
        }
        let refused = client.context().refused.lock().clone();
        if let Some((_, refusal, said)) = refused.filter(|(since, ..)| since.elapsed() >= SECOND_THOUGHTS) {
            return Err(refusal.error(options, said));
        }
        let is_over = begin.elapsed() >= ANSWER_MAX;
        if !is_over && (is_told || begin.elapsed() < TELL_AFTER) {
            continue;
        }
        let (advice, said) = client.context().silence();
        if is_over {
            return Err(OpenError::Silent { brokers: options.brokers.clone(), said, advice });
        }
        is_told = true;
        let tries_for_seconds = (ANSWER_MAX - TELL_AFTER).as_secs();
        tracing::warn!(brokers = options.brokers, said, advice, tries_for_seconds, "the broker does not answer yet");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_told_apart_by_what_the_client_says() {
        let refused = "127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)";
        let lost = "b:1/bootstrap: Connection setup timed out in state CONNECT (after 30029ms in state CONNECT, 1 identical error(s) suppressed)";
        let unknown = "nobody:9092/bootstrap: Failed to resolve 'nobody:9092': Name or service not known (after 7ms in state CONNECT)";
        let mute =
            "b:1/bootstrap: Connection setup timed out in state SSL_HANDSHAKE (after 30000ms in state SSL_HANDSHAKE)";
        let said = [refused, lost, unknown, mute, "1/1 brokers are down"].map(Silence::of);
        let (unreachable, mute) = (Some(Silence::Unreachable), Some(Silence::Mute));
        assert_eq!(said, [unreachable, unreachable, Some(Silence::Unknown), mute, None]);
    }
}
