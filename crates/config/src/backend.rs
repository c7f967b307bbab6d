//! Backends are named by addresses. Every build has the embedded ones; an address of one that this build does not have says which
//! feature it needs, or that no build has it.
//!
//! An address that is refused is never repeated in full: what follows its scheme may hold a password.

use std::path::{Path, PathBuf};
use std::str::FromStr;

#[cfg(feature = "postgres")]
use ordermill_core::secret::SecretRef;
use serde::Deserialize;

/// Addresses with the feature of the program that brings them. Those of this build are not looked for here.
const FEATURES: [(&str, &str); 3] = [("postgres", "postgres"), ("postgresql", "postgres"), ("kafka", "kafka")];

/// Addresses that people expect and no build of this release has.
const ABSENT: [&str; 6] = ["dynamodb", "sns", "smtp", "ses", "s3", "stripe"];

/// Where orders, products and stock are kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Ledger {
    /// In this SQLite file.
    Sqlite(PathBuf),
    /// In memory: gone when the process ends. For measurements and tests.
    Memory,
    /// In a database of a PostgreSQL server, which any number of processes share. The URL holds no password.
    #[cfg(feature = "postgres")]
    Postgres(String),
}

/// What ledgers there are in this build.
const LEDGERS: &str = if cfg!(feature = "postgres") {
    "\"sqlite:PATH\", \"memory:\" and \"postgres://USER@HOST:PORT/DATABASE\""
} else {
    "\"sqlite:PATH\" and \"memory:\""
};

/// How committed events reach the roles.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Bus {
    /// From the ledger's own event table.
    Ledger,
    /// By the topics of Apache Kafka, which the role `relay` feeds. The URL holds no password.
    #[cfg(feature = "kafka")]
    Kafka(String),
}

/// What buses there are in this build.
const BUSES: &str =
    if cfg!(feature = "kafka") { "\"ledger\" and \"kafka://HOST:PORT,HOST:PORT\"" } else { "\"ledger\"" };

/// Where mail goes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Mail {
    /// Into this one file, every mail exactly once.
    Mbox(PathBuf),
    /// Into this directory, one file a mail.
    Maildir(PathBuf),
}

/// Where the archive goes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Objects {
    /// Into files below this directory.
    File(PathBuf),
}

/// Who takes payments.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum PaymentProvider {
    /// The sandbox in this process: no real money, a magic payment method for every outcome.
    Sandbox,
    /// The sandbox that `ordermill sandbox` serves at this address, `http://HOST:PORT`, for any number of processes.
    SandboxAt(String),
}

/// Cuts an address into its scheme and what follows; a word alone is a scheme.
fn split(address: &str) -> (&str, &str) {
    address.split_once(':').unwrap_or((address, ""))
}

fn refuse(address: &str, known: &str) -> String {
    let (scheme, _) = split(address);
    match FEATURES.iter().find(|(elsewhere, _)| *elsewhere == scheme) {
        Some((_, feature)) => {
            format!(
                "\"{scheme}:\" needs the feature `{feature}`, which this build does not have; this build knows {known}"
            )
        }
        None if ABSENT.contains(&scheme) => {
            format!("this release has no backend \"{scheme}:\"; this build knows {known}")
        }
        // A text without a colon is no address, so it can hold no password beside one.
        None if address.contains(':') => format!("no such backend: \"{scheme}:…\"; this build knows {known}"),
        None => format!("{address:?} is no backend; this build knows {known}"),
    }
}

fn path(scheme: &str, rest: &str) -> Result<PathBuf, String> {
    if rest.is_empty() {
        return Err(format!("\"{scheme}:\" must be followed by a path"));
    }
    Ok(rest.into())
}

/// Refuses what is no URL of a server, and a URL that holds a password: it is shown to people and written to logs.
#[cfg(feature = "postgres")]
fn postgres(rest: &str) -> Result<(), String> {
    let Some(rest) = rest.strip_prefix("//") else {
        return Err("\"postgres:\" must be followed by //USER@HOST:PORT/DATABASE".to_owned());
    };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let user = place.rsplit_once('@').map_or("", |(user, _)| user);
    let mut passwords = query.split('&').filter_map(|pair| pair.strip_prefix("password="));
    if user.contains(':') || passwords.any(|password| password.parse::<SecretRef>().is_err()) {
        return Err(
            "the URL holds a password; give a reference to it instead: ?password=env:NAME or ?password=file:PATH"
                .to_owned(),
        );
    }
    Ok(())
}

/// The sandbox asks nobody who they are, so its address has no place for a secret, and none is shown.
fn sandbox(url: &str) -> Result<String, String> {
    const PROBLEM: &str = "\"sandbox:\" must be followed by http://HOST:PORT, where `ordermill sandbox` listens";
    let place = url.strip_prefix("http://").ok_or(PROBLEM)?;
    let place = place.strip_suffix('/').unwrap_or(place);
    let (host, port) = place.rsplit_once(':').ok_or(PROBLEM)?;
    // Two colons and more are an address of version 6, which is written in brackets.
    let is_host =
        !host.is_empty() && host.contains(':') == host.starts_with('[') && !host.contains(['/', '@', '?', '#']);
    if !is_host || port.parse::<u16>().is_err() {
        return Err(PROBLEM.to_owned());
    }
    Ok(format!("http://{place}"))
}

/// Refuses what is no URL of brokers, and a URL that holds a password.
#[cfg(feature = "kafka")]
fn kafka(rest: &str) -> Result<(), String> {
    let Some(rest) = rest.strip_prefix("//") else {
        return Err("\"kafka:\" must be followed by //HOST:PORT, more of them with commas between".to_owned());
    };
    let (brokers, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut passwords = query.split('&').filter_map(|pair| pair.strip_prefix("password="));
    if brokers.contains('@') || passwords.any(|password| password.parse::<SecretRef>().is_err()) {
        return Err("the URL holds a password; give a reference to it instead: ?user=NAME&password=env:NAME".to_owned());
    }
    Ok(())
}

impl FromStr for Ledger {
    type Err = String;

    fn from_str(address: &str) -> Result<Self, String> {
        match split(address) {
            ("sqlite", rest) => path("sqlite", rest).map(Self::Sqlite),
            ("memory", "") => Ok(Self::Memory),
            #[cfg(feature = "postgres")]
            ("postgres" | "postgresql", rest) => postgres(rest).map(|()| Self::Postgres(address.to_owned())),
            _ => Err(refuse(address, LEDGERS)),
        }
    }
}

impl FromStr for Bus {
    type Err = String;

    fn from_str(address: &str) -> Result<Self, String> {
        match split(address) {
            ("ledger", "") => Ok(Self::Ledger),
            #[cfg(feature = "kafka")]
            ("kafka", rest) => kafka(rest).map(|()| Self::Kafka(address.to_owned())),
            _ => Err(refuse(address, BUSES)),
        }
    }
}

impl FromStr for Mail {
    type Err = String;

    fn from_str(address: &str) -> Result<Self, String> {
        match split(address) {
            ("mbox", rest) => path("mbox", rest).map(Self::Mbox),
            ("maildir", rest) => path("maildir", rest).map(Self::Maildir),
            _ => Err(refuse(address, "\"mbox:PATH\" and \"maildir:PATH\"")),
        }
    }
}

impl FromStr for Objects {
    type Err = String;

    fn from_str(address: &str) -> Result<Self, String> {
        match split(address) {
            ("file", rest) => path("file", rest).map(Self::File),
            _ => Err(refuse(address, "\"file:PATH\"")),
        }
    }
}

impl FromStr for PaymentProvider {
    type Err = String;

    fn from_str(address: &str) -> Result<Self, String> {
        match split(address) {
            ("sandbox", "") => Ok(Self::Sandbox),
            ("sandbox", url) => sandbox(url).map(Self::SandboxAt),
            _ => Err(refuse(address, "\"sandbox\" and \"sandbox:http://HOST:PORT\"")),
        }
    }
}

macro_rules! from_text {
    ($($name:ident)*) => {$(
        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
    )*};
}
from_text!(Ledger Bus Mail Objects PaymentProvider);

impl Ledger {
    /// With a relative path laid under the data directory.
    pub(crate) fn below(&mut self, data: &Path) {
        if let Self::Sqlite(path) = self {
            *path = data.join(&*path);
        }
    }
}

impl Mail {
    /// With a relative path laid under the data directory.
    pub(crate) fn below(&mut self, data: &Path) {
        let (Self::Mbox(path) | Self::Maildir(path)) = self;
        *path = data.join(&*path);
    }
}

impl Objects {
    /// With a relative path laid under the data directory.
    pub(crate) fn below(&mut self, data: &Path) {
        let Self::File(path) = self;
        *path = data.join(&*path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embedded_backends_are_known() {
        assert_eq!("sqlite:a/b.db".parse(), Ok(Ledger::Sqlite("a/b.db".into())));
        assert_eq!("memory:".parse(), Ok(Ledger::Memory));
        assert_eq!("maildir:mail".parse(), Ok(Mail::Maildir("mail".into())));
        assert_eq!("sandbox".parse(), Ok(PaymentProvider::Sandbox));
    }

    #[test]
    fn a_sandbox_elsewhere_is_named_by_its_address() {
        for (given, url) in [
            ("sandbox:http://127.0.0.1:9090", "http://127.0.0.1:9090"),
            ("sandbox:http://[::1]:9090/", "http://[::1]:9090"),
            ("sandbox:http://payments.shop.test:80", "http://payments.shop.test:80"),
        ] {
            assert_eq!(given.parse(), Ok(PaymentProvider::SandboxAt(url.to_owned())));
        }
        for given in [
            "sandbox:",
            "sandbox:9090",
            "sandbox:https://a:1",
            "sandbox:http://a",
            "sandbox:http://a:x",
            "sandbox:http://::1:80",
            "sandbox:http://me:hunter2@a:1",
            "sandbox:http://a:1/b",
        ] {
            let parsed = given.parse::<PaymentProvider>();
            assert!(given == "sandbox:" || parsed.is_err_and(|error| !error.contains("hunter2")), "{given}");
        }
    }

    #[test]
    fn other_backends_name_no_feature_that_there_is_not_and_keep_their_password() {
        let error = "dynamodb://shop:hunter2@db/orders".parse::<Ledger>().expect_err("not in this release");
        assert!(error.contains("this release has no backend \"dynamodb:\"; this build knows"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        let error = "smtp:x".parse::<Mail>().expect_err("not in this release");
        assert!(!error.contains("feature"), "{error}");
        let error = "postgrse://shop:hunter2@db/orders".parse::<Ledger>().expect_err("unknown");
        assert!(error.contains("postgrse") && !error.contains("hunter2"), "{error}");
    }

    #[cfg(not(feature = "postgres"))]
    #[test]
    fn postgresql_needs_its_feature() {
        for address in ["postgres://shop:hunter2@db/orders", "postgresql://db/orders"] {
            let error = address.parse::<Ledger>().expect_err("not in this build");
            assert!(error.contains("needs the feature `postgres`, which this build does not have"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn postgresql_is_known_and_its_password_is_a_reference() {
        for address in [
            "postgres://shop@db:5432/orders",
            "postgresql:///orders?host=/run/postgresql",
            "postgres://shop@db/orders?schema=north&password=env:PASSWORD&sslmode=require",
        ] {
            assert_eq!(address.parse(), Ok(Ledger::Postgres(address.to_owned())));
        }
        for address in
            ["postgres://shop:hunter2@db/orders", "postgres://db/orders?password=hunter2", "postgres:hunter2"]
        {
            let error = address.parse::<Ledger>().expect_err("no reference");
            assert!(!error.contains("hunter2") && error.contains("//USER@") || error.contains("env:NAME"), "{error}");
        }
    }

    #[cfg(feature = "kafka")]
    #[test]
    fn a_broker_is_known_and_its_password_is_a_reference() {
        let address = "kafka://one:9096,two:9096?prefix=north&sasl=scram-sha-512&user=shop&password=env:PASSWORD";
        assert_eq!(address.parse(), Ok(Bus::Kafka(address.to_owned())));
        for address in ["kafka://shop:hunter2@one:9096", "kafka://one:9096?password=hunter2", "kafka:hunter2"] {
            let error = address.parse::<Bus>().expect_err("no reference");
            assert!(
                !error.contains("hunter2") && (error.contains("//HOST:PORT") || error.contains("env:NAME")),
                "{error}"
            );
        }
    }

    #[cfg(not(feature = "kafka"))]
    #[test]
    fn a_broker_needs_its_feature() {
        let error = "kafka://shop:hunter2@one:9096".parse::<Bus>().expect_err("not in this build");
        assert!(error.contains("needs the feature `kafka`") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_path_is_required() {
        assert!("sqlite:".parse::<Ledger>().is_err());
        assert!("file".parse::<Objects>().is_err());
        assert!("memory:x".parse::<Ledger>().is_err());
    }

    #[test]
    fn relative_paths_lie_under_the_data_directory() {
        let mut mail = Mail::Mbox("mail.mbox".into());
        mail.below(Path::new("/srv/shop"));
        assert_eq!(mail, Mail::Mbox("/srv/shop/mail.mbox".into()));
        let mut objects = Objects::File("/archive".into());
        objects.below(Path::new("/srv/shop"));
        assert_eq!(objects, Objects::File("/archive".into()));
    }
}
