//! How a ledger is opened, most of it from its URL.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ordermill_core::policy::Policy;
use ordermill_core::secret::SecretRef;
use ordermill_ports::Clock;
use ordermill_ports::secrets::Secrets;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, TargetSessionAttrs};

use crate::error::OpenError;
use crate::rds::Login;

/// Orders that may be undecided unless told otherwise.
const UNDECIDED_MAX_DEFAULT: usize = 10_000;

/// Connections of one process unless told otherwise.
const CONNECTIONS_DEFAULT: usize = 16;

/// The PostgreSQL schema unless told otherwise.
pub(crate) const SCHEMA_DEFAULT: &str = "ordermill";

/// PostgreSQL cuts longer names off.
const SCHEMA_BYTES_MAX: usize = 48;

/// How the connection is protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// Not at all: for a socket on this machine.
    Disable,
    /// Encrypted, whoever the server is.
    Require,
    /// Encrypted, and the server shows a certificate for its name.
    VerifyFull {
        /// The authorities that sign it; `None` = those the machine trusts.
        roots: Option<PathBuf>,
    },
}

/// How a ledger is opened.
#[derive(Clone)]
pub struct Options {
    /// Host, port, user, database; without password.
    pub server: Config,
    /// How the connection is protected.
    pub tls: Tls,
    /// Where the password is; asked for at each connection, so that it may change.
    pub password: Option<SecretRef>,
    /// The region of AWS whose IAM lets us in instead; asked for at each connection as well.
    pub rds_iam: Option<String>,
    /// Who knows the password, or the keys of AWS.
    pub secrets: Option<Arc<dyn Secrets>>,
    /// The PostgreSQL schema of this installation.
    pub schema: String,
    /// The times of the order process.
    pub policy: Policy,
    /// Tells the time of every decision.
    pub clock: Arc<dyn Clock>,
    /// Undecided orders, of all processes together, beyond which new ones wait, and are refused after a second.
    pub undecided_max: usize,
    /// Connections this process opens at most; at least 4.
    pub connections: usize,
    /// Transactions that this process has under way at a time.
    pub committers: usize,
    /// How long the server may take for anything before it is thought to hang; for a lock, half as long. Callers are told, and the
    /// connection is given up.
    pub answer_max: Duration,
    /// How long a lease on a partition of a role holds.
    pub lease: Duration,
    /// How often the database is looked at for what nobody told this process of.
    pub poll: Duration,
    /// Whether this process listens for notifications. Behind a connection pooler it cannot, and finds everything by looking.
    pub listen: bool,
    /// Whether a broker carries the events to the roles. Then the relay gets every event from here, and the other roles only what is
    /// parked or redriven. What they were handed by the broker and put off is parked here, once; what they gave up is kept, once.
    pub is_relayed: bool,
}

impl Options {
    /// The options of a URL: `postgres://user@host:5432/database`, with `?schema=`, `sslmode=disable|require|verify-full`, `sslrootcert=` and
    /// `rds_iam=REGION`, and `password=env:NAME` or `password=file:PATH` of our own beside what PostgreSQL knows.
    ///
    /// # Errors
    /// [`OpenError::Url`] when it cannot be understood, or holds a password.
    pub fn from_url(url: &str, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut rest = Vec::new();
        let (mut schema, mut mode, mut roots, mut password, mut rds_iam) =
            (SCHEMA_DEFAULT.to_owned(), None, None, None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("schema", value) => schema = value.to_owned(),
                ("sslmode", value) => mode = Some(value.to_owned()),
                ("sslrootcert", value) => roots = Some(PathBuf::from(value)),
                ("rds_iam", value) => rds_iam = Some(value.to_owned()),
                ("password", value) => {
                    password = Some(value.parse::<SecretRef>().map_err(|error| OpenError::Url(error.to_string()))?);
                }
                _ => rest.push(pair),
            }
        }
        let plain = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
        let mut server: Config = plain.parse().map_err(|_| OpenError::Url(unreadable(base, &rest)))?;
        if server.get_password().is_some() {
            return Err(OpenError::Url("it holds a password; give a reference, `?password=env:NAME`".to_owned()));
        }
        if server.get_hosts().len() > 1 && server.get_target_session_attrs() == TargetSessionAttrs::Any {
            // One of them is the primary, and the ledger is of no use anywhere else.
            server.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        check_schema(&schema)?;
        let tls = match (mode.as_deref(), roots) {
            (None, None) if is_local(&server) => Tls::Disable,
            (Some("disable"), None) => Tls::Disable,
            (Some("require"), None) => Tls::Require,
            (None | Some("verify-full"), roots) => Tls::VerifyFull { roots },
            (Some(_), _) => return Err(OpenError::Url("`sslmode` is disable, require or verify-full".to_owned())),
        };
        if let Some(region) = &rds_iam {
            Login::of(&server, region)?;
            if tls == Tls::Disable || password.is_some() {
                return Err(OpenError::Url("`rds_iam` goes with TLS and without `password`".to_owned()));
            }
        }
        Ok(Self {
            server,
            tls,
            password,
            rds_iam,
            secrets: None,
            schema,
            policy: Policy::default(),
            clock,
            undecided_max: UNDECIDED_MAX_DEFAULT,
            connections: CONNECTIONS_DEFAULT,
            committers: 1,
            answer_max: Duration::from_secs(20),
            lease: Duration::from_secs(10),
            poll: Duration::from_secs(1),
            listen: true,
            is_relayed: false,
        })
    }
}

/// What is wrong with a URL that cannot be read. What the parser says may repeat a part of it, so of an option the name alone is shown.
fn unreadable(base: &str, options: &[&str]) -> String {
    let is_good = |url: &str| url.parse::<Config>().is_ok();
    let is_wrong = |option: &&&str| !is_good(&format!("{base}?{option}"));
    match options.iter().find(is_wrong).filter(|_| is_good(base)) {
        Some(option) => {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let is_known = ["1", "disable", "any", ""].iter().any(|value| is_good(&format!("{base}?{name}={value}")));
            match (is_known, value.is_empty()) {
                (true, false) => format!("the value of its option {name:?} cannot be understood"),
                (true, true) => format!("its option {name:?} has no value"),
                (false, _) => format!(
                    "it has no option {name:?}; ours are schema, sslmode, sslrootcert, password and rds_iam, beside those of PostgreSQL"
                ),
            }
        }
        None => "it is no URL of a PostgreSQL server".to_owned(),
    }
}

/// The name goes into statements, so it is a plain one.
fn check_schema(schema: &str) -> Result<(), OpenError> {
    let is_plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    let begins = schema.starts_with(|letter: char| letter.is_ascii_lowercase());
    if begins && schema.len() <= SCHEMA_BYTES_MAX && schema.chars().all(is_plain) && !schema.starts_with("pg_") {
        return Ok(());
    }
    let rule = format!(
        "`schema` is of up to {SCHEMA_BYTES_MAX} lower-case letters, digits and underscores, and begins with a letter"
    );
    Err(OpenError::Url(rule))
}

/// Whether the server is on this machine.
fn is_local(server: &Config) -> bool {
    let is_local = |host: &Host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
        }
    };
    server.get_hosts().iter().all(is_local)
}

#[cfg(test)]
mod tests {
    use ordermill_ports::clock::SystemClock;

    use super::*;

    fn options(url: &str) -> Result<Options, OpenError> {
        Options::from_url(url, Arc::new(SystemClock))
    }

    #[test]
    fn of_several_servers_the_primary_is_asked_for() {
        let attrs = |url| options(url).expect("a sound URL").server.get_target_session_attrs();
        assert_eq!(attrs("postgres://shop@one,two/shop"), TargetSessionAttrs::ReadWrite);
        assert_eq!(attrs("postgres://shop@one/shop"), TargetSessionAttrs::Any);
        let standby = "postgres://shop@one,two/shop?target_session_attrs=read-only";
        assert_eq!(attrs(standby), TargetSessionAttrs::ReadOnly, "who says otherwise is asked");
    }

    #[test]
    fn an_option_that_is_wrong_is_named_without_its_value() {
        let problem = |url: &str| options(url).err().expect("it is wrong").to_string();
        let unknown = problem("postgres://shop@db/shop?application_name=a&schem=hunter2");
        assert!(unknown.contains("no option \"schem\"") && unknown.contains("schema, sslmode"), "{unknown}");
        assert!(!unknown.contains("hunter2"), "{unknown}");
        let unclear = problem("postgres://shop@db/shop?connect_timeout=hunter2");
        assert!(unclear.contains("option \"connect_timeout\" cannot be") && !unclear.contains("hunter2"), "{unclear}");
        let none = problem("postgres://shop@db:hunter2/shop?application_name=a");
        assert!(none.contains("no URL of a PostgreSQL server") && !none.contains("hunter2"), "{none}");
    }

    #[test]
    fn a_token_goes_with_tls_and_without_a_password() {
        let found = options("postgres://shop@db/shop?rds_iam=eu-central-1").expect("a sound URL");
        assert_eq!(found.rds_iam.as_deref(), Some("eu-central-1"));
        for wrong in ["&sslmode=disable", "&password=env:PASSWORD"] {
            let url = format!("postgres://shop@db/shop?rds_iam=eu-central-1{wrong}");
            assert!(matches!(options(&url), Err(OpenError::Url(_))), "{wrong}");
        }
    }
}
