//! How the event path is opened, most of it from its URL.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ordermill_core::channel::Channel;
use ordermill_core::secret::SecretRef;
use ordermill_ports::secrets::Secrets;

use crate::error::OpenError;
use crate::link::Link;
use crate::tokens::{Keeper, Signer};

/// Partitions of a topic unless told otherwise, as the tracking service has always had.
const PARTITIONS_DEFAULT: i32 = 6;

/// Partitions of `order_publisher`, unless told otherwise: its readers outside know it so.
const PUBLISHER_PARTITIONS_DEFAULT: i32 = 3;

/// More partitions than any role has processes to read them.
const PARTITIONS_MAX: i32 = 1_000;

/// Copies of each message, and how many of them have to be written before it counts as there, where there are so many.
const REPLICATION_DEFAULT: i32 = 3;
pub(crate) const MIN_ISR_DEFAULT: i32 = 2;
const REPLICATION_MAX: i32 = 32;

/// How long messages are kept.
const RETENTION_DEFAULT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How long a process that is silent keeps its partitions. Brokers take no less than six seconds, unless configured.
const SESSION_DEFAULT: Duration = Duration::from_secs(10);

/// How the client shows who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sasl {
    /// User and password, salted and hashed by SHA-256.
    ScramSha256,
    /// User and password, salted and hashed by SHA-512.
    ScramSha512,
    /// The machine's role at AWS, for Amazon MSK.
    MskIam,
}

/// How the event path is opened.
#[derive(Clone)]
pub struct Options {
    /// `host:port`, with commas between them.
    pub brokers: String,
    /// Stands before the names of topics and groups, so that several installations share a broker. Empty = topics have their plain names.
    pub prefix: String,
    /// Partitions of each topic; `None` = 6, and 3 of `order_publisher`.
    pub partitions: Option<i32>,
    /// Copies of each message.
    pub replication: i32,
    /// Copies that have to be written before a message counts as there; 2 unless told otherwise, and 1 of a single copy.
    pub min_isr: i32,
    /// How long messages are kept.
    pub retention: Duration,
    /// Whether the connection is encrypted, and the broker shows a certificate for its name.
    pub tls: bool,
    /// The authorities that sign it; `None` = those the machine trusts.
    pub tls_roots: Option<PathBuf>,
    /// How the client shows who it is; `None` = not at all.
    pub sasl: Option<Sasl>,
    /// Who it is.
    pub user: Option<String>,
    /// Where its password is.
    pub password: Option<SecretRef>,
    /// Who knows the password.
    pub secrets: Option<Arc<dyn Secrets>>,
    /// Where at AWS the broker is; for [`Sasl::MskIam`].
    pub region: Option<String>,
    /// Who signs what [`Sasl::MskIam`] shows; `None` = the machine's role at AWS, in builds with the feature `msk-iam`.
    pub signer: Option<Arc<dyn Signer>>,
    /// Who keeps the tokens, for all clients of these options and of their copies.
    pub(crate) keeper: Arc<OnceLock<Arc<Keeper>>>,
    /// How all of them stand with the broker.
    pub(crate) link: Arc<Link>,
    /// How long a process that is silent keeps its partitions.
    pub session: Duration,
}

impl Options {
    /// The options of a URL: `kafka://host:port,host:port?prefix=…&partitions=…&replication=…&min_isr=…&retention=7d&tls=true&tls_roots=PATH&`
    /// `sasl=scram-sha-256|scram-sha-512|msk-iam&user=…&password=env:NAME&region=…&session=10s`, all behind the `?` optional.
    ///
    /// # Errors
    /// [`OpenError::Url`] when it cannot be understood, or holds a password.
    pub fn from_url(url: &str) -> Result<Self, OpenError> {
        let rest = url.strip_prefix("kafka://").ok_or_else(|| problem("it begins with kafka://"))?;
        let (brokers, query) = rest.split_once('?').unwrap_or((rest, ""));
        if brokers.contains('@') {
            return Err(problem("it holds a user; give ?user=NAME&password=env:NAME"));
        }
        let is_address = |broker: &str| {
            broker.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        };
        if !brokers.split(',').all(is_address) {
            return Err(problem("its brokers are HOST:PORT, with commas between them"));
        }
        let (mut options, mut has_min_isr) = (Self::at(brokers.to_owned()), false);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            options.set(key, value)?;
            has_min_isr |= key == "min_isr";
        }
        if !has_min_isr {
            options.min_isr = MIN_ISR_DEFAULT.min(options.replication);
        }
        options.check()?;
        Ok(options)
    }

    fn at(brokers: String) -> Self {
        Self {
            brokers,
            prefix: String::new(),
            partitions: None,
            replication: REPLICATION_DEFAULT,
            min_isr: MIN_ISR_DEFAULT,
            retention: RETENTION_DEFAULT,
            tls: false,
            tls_roots: None,
            sasl: None,
            user: None,
            password: None,
            secrets: None,
            region: None,
            signer: None,
            keeper: Arc::default(),
            link: Arc::default(),
            session: SESSION_DEFAULT,
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), OpenError> {
        match key {
            "prefix" => self.prefix = plain_name(value)?,
            "partitions" => self.partitions = Some(number(key, value, PARTITIONS_MAX)?),
            "replication" => self.replication = number(key, value, REPLICATION_MAX)?,
            "min_isr" => self.min_isr = number(key, value, REPLICATION_MAX)?,
            "retention" => self.retention = period(key, value)?,
            "session" => self.session = period(key, value)?,
            "tls" => self.tls = value.parse().map_err(|_| problem("`tls` is true or false"))?,
            "tls_roots" => self.tls_roots = Some(PathBuf::from(value)),
            "sasl" => self.sasl = Some(sasl(value)?),
            "user" => self.user = Some(value.to_owned()),
            "region" => self.region = Some(value.to_owned()),
            "password" => {
                self.password =
                    Some(value.parse().map_err(|_| problem("`password` is a reference: env:NAME or file:PATH"))?);
            }
            // The key alone: what stands behind it may be a secret.
            other => return Err(OpenError::Url(format!("{other:?} is no option of it"))),
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), OpenError> {
        if self.min_isr > self.replication {
            let (min_isr, replication) = (self.min_isr, self.replication);
            let text = format!("`min_isr` is at most `replication`, and {min_isr} is more than {replication}");
            return Err(OpenError::Url(text));
        }
        match self.sasl {
            None if self.user.is_some() || self.password.is_some() => Err(problem("`user` and `password` need `sasl`")),
            None => Ok(()),
            Some(Sasl::ScramSha256 | Sasl::ScramSha512) if self.user.is_none() || self.password.is_none() => {
                Err(problem("`sasl=scram-…` needs `user` and `password`"))
            }
            Some(Sasl::MskIam) if self.region.is_none() => Err(problem("`sasl=msk-iam` needs `region`")),
            Some(_) => {
                // A password is never sent over an open line.
                self.tls = true;
                Ok(())
            }
        }
    }

    /// The name of a topic, or of any other thing that several installations have.
    #[must_use]
    pub fn topic(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }

    /// The consumer group of a role.
    #[must_use]
    pub fn group(&self, role: &str) -> String {
        let prefix = if self.prefix.is_empty() { "ordermill" } else { &self.prefix };
        format!("{prefix}.{role}")
    }

    /// How many partitions the topic of a channel has.
    #[must_use]
    pub fn partitions_of(&self, channel: &Channel) -> i32 {
        let default = if channel.is_internal { PARTITIONS_DEFAULT } else { PUBLISHER_PARTITIONS_DEFAULT };
        self.partitions.unwrap_or(default)
    }
}

fn problem(text: &str) -> OpenError {
    OpenError::Url(text.to_owned())
}

fn number(key: &str, value: &str, max: i32) -> Result<i32, OpenError> {
    let number = value.parse().ok().filter(|number| (1..=max).contains(number));
    number.ok_or_else(|| OpenError::Url(format!("`{key}` is a number from 1 to {max}")))
}

/// A whole number with its unit: `90s`, `15m`, `6h`, `7d`.
fn period(key: &str, value: &str) -> Result<Duration, OpenError> {
    let seconds = |unit: &str| match unit {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(60 * 60),
        "d" => Some(24 * 60 * 60),
        _ => None,
    };
    let end = value.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(value.len());
    let (count, unit) = value.split_at(end);
    let period = count.parse::<u32>().ok().filter(|count| *count > 0).zip(seconds(unit));
    let period = period.map(|(count, unit)| Duration::from_secs(u64::from(count) * unit));
    period.ok_or_else(|| OpenError::Url(format!("`{key}` is a whole number with its unit: 90s, 15m, 6h or 7d")))
}

fn sasl(value: &str) -> Result<Sasl, OpenError> {
    match value {
        "scram-sha-256" => Ok(Sasl::ScramSha256),
        "scram-sha-512" => Ok(Sasl::ScramSha512),
        "msk-iam" => Ok(Sasl::MskIam),
        _ => Err(problem("`sasl` is scram-sha-256, scram-sha-512 or msk-iam")),
    }
}

/// What brokers take for names, and metrics show as it is.
fn plain_name(value: &str) -> Result<String, OpenError> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if !value.is_empty() && value.len() <= 100 && value.chars().all(is_plain) {
        return Ok(value.to_owned());
    }
    Err(problem("`prefix` is of up to 100 letters, digits, dots, dashes and underscores"))
}

#[cfg(test)]
mod tests;
