//! How this process stands with its broker: one word for all its clients. Each of them tells of the same outage several times a second,
//! and with ten clients that is all that the log would be of.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ordermill_ports::damper::Damper;
use parking_lot::Mutex;
use rdkafka::Statistics;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// The broker is gone when no client has had a connection for so long: a connection that was closed for having been idle, or with the
/// one of several brokers that is replaced, has another in its place sooner.
const GONE_AFTER: Duration = Duration::from_secs(3);

/// The same problem is told again after so long.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// What a client says of itself that is older does not count: it may have waited until somebody listened.
const STALE_AFTER: Duration = Duration::from_secs(3);

/// States of a connection in which requests are answered, as the client calls them.
const UP: [&str; 2] = ["UP", "REAUTH"];

/// All clients of a process.
#[derive(Debug, Default)]
pub(crate) struct Link {
    standing: Mutex<Standing>,
    /// By the problem.
    dampers: Mutex<HashMap<String, Damper>>,
}

/// What has changed.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// The first connection.
    Met,
    Gone,
    /// There is a connection again, after so long without.
    Back(Duration),
}

#[derive(Debug, Default)]
struct Standing {
    is_connected: Option<bool>,
    /// When a client last had a connection, or when the first of them said that it has none.
    up_at: Option<Instant>,
}

impl Standing {
    /// A client says whether it has a connection.
    fn hear(&mut self, is_up: bool, now: Instant) -> Option<Turn> {
        let away = now.saturating_duration_since(*self.up_at.get_or_insert(now));
        if is_up {
            self.up_at = Some(now);
            return match self.is_connected.replace(true) {
                None => Some(Turn::Met),
                Some(false) => Some(Turn::Back(away)),
                Some(true) => None,
            };
        }
        (away >= GONE_AFTER && self.is_connected.replace(false) != Some(false)).then_some(Turn::Gone)
    }
}

impl Link {
    /// A client has told of its connections.
    pub(crate) fn hear(&self, brokers: &str, statistics: &Statistics) {
        if !is_fresh(statistics.time, SystemTime::now()) {
            return;
        }
        let is_up = statistics.brokers.values().any(|broker| UP.contains(&broker.state.as_str()));
        let mut standing = self.standing.lock();
        let turn = standing.hear(is_up, Instant::now());
        // Under the lock, so that the gauge cannot be set by whoever knew less.
        let is_connected = standing.is_connected == Some(true);
        metrics::gauge!("ordermill_kafka_connected").set(if is_connected { 1.0 } else { 0.0 });
        drop(standing);
        match turn {
            None => {}
            Some(Turn::Met) => tracing::debug!(brokers, "the broker answers"),
            Some(Turn::Gone) => {
                tracing::warn!(brokers, "the broker is gone; events wait in the ledger until it answers again");
            }
            Some(Turn::Back(away)) => {
                tracing::info!(brokers, away_seconds = away.as_secs(), "the broker answers again");
            }
        }
    }

    /// A client has a problem. What comes with a broker that is away is told by [`Self::hear`], and the rest once a minute.
    pub(crate) fn tell(&self, error: &KafkaError, reason: &str) {
        match weight(error) {
            Weight::None => {}
            Weight::Passing => tracing::debug!(%error, reason, "the kafka client tries again"),
            Weight::Problem if self.may_tell(&error.to_string()) => {
                tracing::warn!(%error, reason, "the kafka client has a problem");
            }
            Weight::Problem => tracing::debug!(%error, reason, "the kafka client has the same problem"),
        }
    }

    /// Whether something may be told that was not within the last minute.
    pub(crate) fn may_tell(&self, what: &str) -> bool {
        let mut dampers = self.dampers.lock();
        dampers.entry(what.to_owned()).or_insert_with(|| Damper::new(TELL_AGAIN)).pass().is_some()
    }
}

/// Whether the time of statistics, in seconds since 1970, is about now.
fn is_fresh(seconds: i64, now: SystemTime) -> bool {
    let then = UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    now.duration_since(then).unwrap_or_default() <= STALE_AFTER
}

/// What an error of the client is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// It is no problem: the binding passes each end of a partition on as an error, and a reader that keeps up reaches ends all the time.
    None,
    /// The client has lost a connection, or waited for an answer in vain, and tries again by itself.
    Passing,
    Problem,
}

fn weight(error: &KafkaError) -> Weight {
    use RDKafkaErrorCode as Code;
    match error.rdkafka_error_code() {
        _ if matches!(error, KafkaError::PartitionEOF(_)) => Weight::None,
        Some(Code::PartitionEOF) => Weight::None,
        Some(
            Code::AllBrokersDown
            | Code::BrokerTransportFailure
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::MessageTimedOut
            | Code::NetworkException
            | Code::WaitingForCoordinator
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition,
        ) => Weight::Passing,
        _ => Weight::Problem,
    }
}

#[cfg(test)]
mod tests;
