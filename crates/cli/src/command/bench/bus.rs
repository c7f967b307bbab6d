//! What carries the events of a run.

use std::str::FromStr;

/// A broker of Kafka, with options for the topics that a run makes there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BusUrl(String);

impl FromStr for BusUrl {
    type Err = String;

    #[cfg(feature = "kafka")]
    fn from_str(url: &str) -> Result<Self, String> {
        let options = ordermill_kafka::Options::from_url(url).map_err(|error| error.to_string())?;
        if !options.prefix.is_empty() {
            return Err("each run makes topics of its own; leave `prefix=` out".to_owned());
        }
        Ok(Self(url.to_owned()))
    }

    #[cfg(not(feature = "kafka"))]
    fn from_str(_url: &str) -> Result<Self, String> {
        Err("Kafka needs the feature `kafka`, which this build does not have".to_owned())
    }
}

impl BusUrl {
    /// The URL for an installation of this name.
    #[cfg(feature = "postgres")]
    pub(super) fn of(&self, name: &str) -> String {
        let joint = if self.0.contains('?') { '&' } else { '?' };
        format!("{}{joint}prefix={name}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_named() {
        let bus = "kafka://127.0.0.1:9092?replication=1&min_isr=1".parse::<BusUrl>();
        assert_eq!(bus.is_ok(), cfg!(feature = "kafka"), "{bus:?}");
        assert!("nats://127.0.0.1:4222".parse::<BusUrl>().is_err());
        assert!("kafka://127.0.0.1:9092?prefix=shop".parse::<BusUrl>().is_err());
    }

    #[cfg(feature = "kafka")]
    #[test]
    fn a_run_has_a_prefix_of_its_own() {
        let of = |url: &str| url.parse::<BusUrl>().expect("a sound URL").of("bench_1");
        assert_eq!(of("kafka://a:1"), "kafka://a:1?prefix=bench_1");
        assert_eq!(of("kafka://a:1?partitions=2"), "kafka://a:1?partitions=2&prefix=bench_1");
    }
}
