//! The options, one struct per section. Their defaults stand in `ordermill.default.toml`, and nowhere else.

use std::path::{Path, PathBuf};

use ordermill_core::policy::Policy;
use ordermill_core::process::Role;
use ordermill_core::secret::SecretRef;
use serde::Deserialize;

use crate::auth::{self, Auth};
use crate::backend::{Bus, Ledger, Mail, Objects, PaymentProvider};
use crate::listen::{Exposure, Listen};
use crate::period::{Pause, Period};
use crate::postgres::Postgres;
use crate::suggest::nearest;
use crate::wire::Wire;

/// Everything that can be set. Paths of backends are complete: relative ones were laid under the data directory.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The data directory.
    pub data: PathBuf,
    /// The roles this process runs.
    pub roles: Roles,
    /// Where orders, products and stock are kept.
    pub ledger: Ledger,
    /// How events reach the roles.
    pub bus: Bus,
    /// Where mail goes.
    pub mail: Mail,
    /// Where the archive goes.
    pub objects: Objects,
    /// Who takes payments.
    pub payments: PaymentProvider,
    /// The HTTP interface.
    pub http: Http,
    /// The times of the order process.
    pub process: Process,
    /// The ledger in a PostgreSQL database.
    pub postgres: Postgres,
    /// How much is taken on at once.
    pub intake: Intake,
    /// Calls to the payment provider.
    pub provider: Provider,
    /// The payment sandbox.
    pub sandbox: Sandbox,
    /// Mails to customers.
    pub notifications: Notifications,
    /// The archive.
    pub archive: Archive,
    /// Records that are taken and stored.
    pub records: Records,
    /// Who is let in.
    pub auth: Auth,
    /// The routes of the five systems.
    pub wire: Wire,
    /// Logs.
    pub log: Log,
}

/// `[http]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Where it listens.
    pub listen: Listen,
    /// Whether that was said anywhere but in the defaults. A process without the role `api` listens only then, for health and metrics.
    #[serde(skip)]
    pub is_listen_given: bool,
    /// From where callers without authentication are let in.
    pub allow_unauthenticated: Exposure,
    /// Web origins whose pages may call.
    pub cors_origins: Vec<String>,
    /// Connections at once.
    pub connections_max: usize,
    /// Requests under way at once, not counting those that wait for a decision.
    pub requests_max: usize,
    /// Requests that wait for a decision at once.
    pub waits_max: usize,
    /// Bulk requests at once.
    pub bulks_max: usize,
    /// Live event streams at once.
    pub streams_max: usize,
    /// How long the head of a request may take.
    pub head_timeout: Period,
    /// How long a whole body, or one line of a bulk body, may take.
    pub body_timeout: Period,
    /// How long a bulk request may send nothing between two lines.
    pub bulk_idle_timeout: Period,
    /// How long a bulk line waits for room.
    pub bulk_patience: Period,
    /// How long a connection may be open with no request on it.
    pub idle_timeout: Period,
    /// How long a client may read nothing while an answer waits.
    pub write_timeout: Period,
    /// How long a request may take, not counting the time it asked to wait.
    pub request_timeout: Period,
    /// The longest `Prefer: wait`.
    pub wait_max: Period,
    /// How long requests under way may take to end when the server is stopped.
    pub drain_timeout: Period,
}

/// `[process]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// How long stock is held for an order that is not paid.
    pub reservation_ttl: Period,
    /// How long an unknown payment is followed up before a person is asked.
    pub unknown_budget: Period,
    /// How long an order may stay undecided before it is reported.
    pub undecided_budget: Period,
    /// How long a confirmed order may wait for its parcel before it is reported.
    pub shipping_budget: Period,
    /// How long a parcel may travel before it is reported.
    pub delivery_budget: Period,
    /// How long the answer to an idempotency key is kept.
    pub idempotency_ttl: Period,
    /// How often the sweeper looks at the clock.
    pub sweep_interval: Period,
    /// How long work under way may take to end when the process is stopped.
    pub stop_grace: Period,
}

impl Process {
    /// As the order process takes it.
    #[must_use]
    pub const fn policy(&self) -> Policy {
        Policy {
            reservation_ttl: self.reservation_ttl.signed(),
            unknown_budget: self.unknown_budget.signed(),
            undecided_budget: self.undecided_budget.signed(),
            shipping_budget: self.shipping_budget.signed(),
            delivery_budget: self.delivery_budget.signed(),
            idempotency_ttl: self.idempotency_ttl.signed(),
        }
    }
}

/// `[intake]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intake {
    /// Orders under way at once.
    pub undecided_max: usize,
}

/// `[provider]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// How long one call may take.
    pub timeout: Period,
    /// Calls under way at once.
    pub concurrency: usize,
    /// Share of failures at which calls are held back, 0 to 1.
    pub breaker_failure_rate: f64,
    /// Calls in the window below which nothing is held back.
    pub breaker_calls_min: u32,
    /// The time over which calls are judged.
    pub breaker_window: Period,
    /// How long calls are held back.
    pub breaker_open_for: Period,
}

/// `[sandbox]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sandbox {
    /// The provider's own journal.
    pub journal: PathBuf,
    /// Where `ordermill sandbox` listens.
    pub listen: Listen,
    /// From where it lets callers in.
    pub allow_unauthenticated: Exposure,
    /// How long the payment method `slow` takes.
    pub slow: Period,
    /// Whether its journal is synced to the disk before each answer.
    pub fsync: bool,
    /// Share of calls that fail before anything is done, 0 to 1.
    pub fail_before_rate: f64,
    /// Share of calls whose answer is lost after they were carried out, 0 to 1.
    pub lose_answer_rate: f64,
    /// Share of calls that are slow, 0 to 1.
    pub slow_rate: f64,
}

/// `[notifications]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notifications {
    /// The sender.
    pub from: String,
    /// A directory with templates that stand in for the built-in ones; empty = none.
    pub templates: PathBuf,
    /// Mails handed over at once.
    pub batch: usize,
}

/// `[archive]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// How long an order has to be quiet before it is archived.
    pub settle: Period,
    /// Share of its time the archive may work while mails are waiting, in percent.
    pub share_percent: u32,
    /// Orders written at once.
    pub concurrency: usize,
}

/// `[records]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Records {
    /// The token that comes with each record over the queue worker's routes; none = they take nothing.
    #[serde(deserialize_with = "auth::optional")]
    pub token: Option<SecretRef>,
    /// How long the token is used before it is looked up again.
    pub token_refresh: Period,
    /// Whether all four fields of a mail have to be there.
    pub strict: bool,
    /// How records become objects.
    pub layout: RecordLayout,
    /// Records in one object, at most; counts with the layout `batch`.
    pub batch_records: usize,
    /// Bytes of one object, at most; counts with the layout `batch`.
    pub batch_bytes: usize,
    /// How long a record waits for others; counts with the layout `batch`.
    pub batch_age: Period,
    /// Records taken from the queue at once.
    pub queue_batch: usize,
    /// How long records are let come together before the next ones are taken from the queue.
    pub poll_interval: Pause,
    /// Writes under way at once.
    pub concurrency: usize,
    /// Share of its time each of them may work while orders are on their way, in percent.
    pub share_percent: u32,
}

/// How records become objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordLayout {
    /// One object a record.
    Object,
    /// Many records in one object, one a line.
    Batch,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// What is logged: `info`, or `info,ordermill_http=debug`.
    pub level: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For machines.
    Json,
    /// Pretty on a terminal, JSON otherwise.
    Auto,
}

/// The roles a process runs, written as `all` or `api,payments`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Roles(pub Vec<Role>);

impl TryFrom<String> for Roles {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.trim() == "all" {
            return Ok(Self(Role::ALL.to_vec()));
        }
        let mut roles = Vec::new();
        for name in text.split(',').map(str::trim) {
            let role = Role::from_name(name).ok_or_else(|| unknown_role(name))?;
            if !roles.contains(&role) {
                roles.push(role);
            }
        }
        Ok(Self(roles))
    }
}

fn unknown_role(name: &str) -> String {
    let names = Role::ALL.map(Role::as_str);
    let hint = nearest(name, names).map_or(String::new(), |role| format!("; did you mean {role:?}?"));
    format!("{name:?} is no role{hint} (`all`, or some of {})", names.join(", "))
}

impl Config {
    /// Lays relative paths under the data directory.
    pub(crate) fn lay_under_data(&mut self, data: &Path) {
        self.ledger.below(data);
        self.mail.below(data);
        self.objects.below(data);
        self.sandbox.journal = data.join(&self.sandbox.journal);
        if !self.notifications.templates.as_os_str().is_empty() {
            self.notifications.templates = data.join(&self.notifications.templates);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read() {
        assert_eq!(Roles::try_from("all".to_owned()), Ok(Roles(Role::ALL.to_vec())));
        assert_eq!(Roles::try_from("api, payments,api".to_owned()), Ok(Roles(vec![Role::Api, Role::Payments])));
        let refusal = Roles::try_from("payment".to_owned()).expect_err("no such role");
        assert!(refusal.contains("did you mean \"payments\"?"), "{refusal}");
        assert!(Roles::try_from(String::new()).is_err());
    }
}
