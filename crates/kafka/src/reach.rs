//! The first meeting with a broker: what it has, or why there is no getting in.
//!
//! The client tries for ever, and tells why it fails on the side. Here what it tells is taken for an answer, so that a wrong password is
//! known within seconds, and by its name.

use std::error::Error;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;

use crate::client::{ANSWER_MAX, Context};
use crate::error::OpenError;
use crate::options::Options;

/// How long a refusal waits for another broker that lets us in, or for the same one to do so after all: it may have come up just now.
const SECOND_THOUGHTS: Duration = Duration::from_secs(3);

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

/// Hears what the client tells.
struct Door {
    context: Context,
    refused: Mutex<Option<(Instant, Refusal, String)>>,
}

impl Door {
    fn hear(&self, code: RDKafkaErrorCode, said: &str) {
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
        Context::tell_error(&error, reason);
        if let Some(code) = error.rdkafka_error_code() {
            self.hear(code, reason);
        }
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.context.generate_oauth_token(config)
    }
}

impl ConsumerContext for Door {}

/// What the broker has. Waits for it on this thread; it is done once, at the start.
///
/// # Errors
/// [`OpenError::Login`] and [`OpenError::Unsafe`] within seconds; [`OpenError::Broker`] when it does not answer.
pub(crate) fn meet(options: &Options, config: &ClientConfig) -> Result<Metadata, OpenError> {
    let failed = |what| move |source| OpenError::Broker { brokers: options.brokers.clone(), what, source };
    let door = Door { context: Context::new(options), refused: Mutex::default() };
    let mut config = config.clone();
    let config = config.set_log_level(RDKafkaLogLevel::Info);
    let client: BaseConsumer<Door> = config.create_with_context(door).map_err(failed("the client cannot be set up"))?;
    let deadline = Instant::now() + ANSWER_MAX;
    loop {
        // It has things to tell, and may want a token.
        while client.poll(SERVE).is_some() {}
        let answer = client.fetch_metadata(None, LOOK);
        if let Ok(metadata) = answer {
            return Ok(metadata);
        }
        let refused = client.context().refused.lock().clone();
        if let Some((_, refusal, said)) = refused.filter(|(since, ..)| since.elapsed() >= SECOND_THOUGHTS) {
            return Err(refusal.error(options, said));
        }
        if Instant::now() >= deadline {
            return answer.map_err(failed("it does not answer"));
        }
    }
}
