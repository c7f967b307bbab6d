//! Runs on PostgreSQL: each in a schema of its own, with what the server itself counted beside it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use ordermill_embedded::secrets::LocalSecrets;
use ordermill_ports::Secrets as _;
use ordermill_ports::clock::SystemClock;
use ordermill_postgres::Options;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

use super::figures::{Figures, Variant, Work};
use super::measure::{Plan, Ready};
use crate::exit::Usage;

/// PostgreSQL counts the work of a connection when it ends, and its ends are not waited for by who ends it.
const COUNTED_WITHIN: Duration = Duration::from_secs(10);
/// Once nothing was added for so long, everything is counted.
const COUNTED_AFTER: Duration = Duration::from_millis(500);

/// One run: servers on a new schema, the load, and what came of it.
pub(super) async fn measure(plan: &Plan, url: &str, processes: Option<u16>, data: &Path) -> Result<Figures> {
    let schema = Schema::make(url).await?;
    let outcome = measure_in(&schema, plan, processes, data).await;
    // Also after a run that failed; what went wrong there is said first.
    let removed = schema.remove().await;
    let figures = outcome?;
    removed?;
    Ok(figures)
}

async fn measure_in(schema: &Schema, plan: &Plan, processes: Option<u16>, data: &Path) -> Result<Figures> {
    let mut environment = plan.environment_of(Variant::Postgres);
    environment.push(schema.setting());
    let ready = Ready::start(plan, data, &environment, processes).await?;
    let before = schema.counters().await?;
    let (mut figures, orders) = ready.run(plan, Variant::Postgres).await?;
    let after = schema.settled_counters().await?;
    figures.postgres = (orders > 0).then(|| after.since(&before, orders as f64));
    Ok(figures)
}

/// A schema that is there for one run.
pub(super) struct Schema {
    client: Client,
    name: String,
    url: String,
}

impl Schema {
    /// Thinks of a name; the server under test makes it.
    pub(super) async fn make(url: &str) -> Result<Self> {
        let name = format!("bench_{}", Uuid::now_v7().simple());
        if url.split_once('?').is_some_and(|(_, query)| query.split('&').any(|pair| pair.starts_with("schema="))) {
            return Err(Usage("--ledger: each run makes a schema of its own; leave `schema=` out".to_owned()).into());
        }
        let client = connect(url).await?;
        refuse_unsafe(&client).await?;
        let joint = if url.contains('?') { '&' } else { '?' };
        Ok(Self { client, url: format!("{url}{joint}schema={name}"), name })
    }

    /// The option of a server that is to use it.
    pub(super) fn setting(&self) -> (String, String) {
        ("ORDERMILL_LEDGER".to_owned(), self.url.clone())
    }

    /// Removes it with everything in it.
    pub(super) async fn remove(self) -> Result<()> {
        let sql = format!("DROP SCHEMA IF EXISTS {} CASCADE", self.name);
        self.client.batch_execute(&sql).await.context("the schema of the run cannot be removed")
    }

    async fn counters(&self) -> Result<Counters> {
        let sql = "SELECT (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()), \
                   (pg_current_wal_lsn() - '0/0')::float8, (SELECT wal_sync FROM pg_stat_wal)";
        let row = self.client.query_one(sql, &[]).await.context("PostgreSQL does not tell its counters")?;
        let statements = self.statements().await;
        Ok(Counters { commits: row.get(0), wal_bytes: row.get(1), wal_syncs: row.get(2), statements })
    }

    /// The counters once they stand still.
    async fn settled_counters(&self) -> Result<Counters> {
        let began = Instant::now();
        let mut counters = self.counters().await?;
        loop {
            tokio::time::sleep(COUNTED_AFTER).await;
            let again = self.counters().await?;
            // Looking is a transaction itself.
            let is_still = again.commits - counters.commits <= 2 && again.statements == counters.statements;
            counters = again;
            if is_still || began.elapsed() > COUNTED_WITHIN {
                return Ok(counters);
            }
        }
    }

    /// Statements of everybody else so far; `None` where nothing counts them.
    async fn statements(&self) -> Option<i64> {
        let sql = "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements s \
                   JOIN pg_database d ON d.oid = s.dbid WHERE datname = current_database() AND query NOT LIKE '%pg_stat_%'";
        self.client.query_one(sql, &[]).await.ok().map(|row| row.get(0))
    }
}

struct Counters {
    commits: i64,
    wal_bytes: f64,
    wal_syncs: i64,
    statements: Option<i64>,
}

impl Counters {
    fn since(&self, before: &Self, orders: f64) -> Work {
        let statements = self.statements.zip(before.statements).map(|(after, before)| (after - before) as f64 / orders);
        Work {
            commits_per_order: (self.commits - before.commits) as f64 / orders,
            wal_syncs_per_order: (self.wal_syncs - before.wal_syncs) as f64 / orders,
            wal_bytes_per_order: (self.wal_bytes - before.wal_bytes) / orders,
            statements_per_order: statements,
        }
    }
}

/// A connection of the benchmark's own, to look at the counters.
async fn connect(url: &str) -> Result<Client> {
    let options = Options::from_url(url, Arc::new(SystemClock)).map_err(|error| Usage(format!("--ledger: {error}")))?;
    let mut server = options.server;
    if let Some(password) = &options.password {
        let password = LocalSecrets::new("").reveal(password).await.map_err(|error| Usage(error.to_string()))?;
        server.password(password.expose());
    }
    let (client, connection) = server.connect(NoTls).await.context("the benchmark cannot reach PostgreSQL")?;
    // Ends with the client; what goes wrong shows at the statement that waits on it.
    tokio::spawn(async move { connection.await.ok() });
    Ok(client)
}

/// A server that does not sync is as fast as anything, and proves nothing.
async fn refuse_unsafe(client: &Client) -> Result<()> {
    for name in ["fsync", "full_page_writes", "synchronous_commit"] {
        let value: String = client.query_one("SELECT current_setting($1)", &[&name]).await?.get(0);
        if value == "off" {
            bail!("PostgreSQL has {name} off: nothing that is measured there counts");
        }
    }
    Ok(())
}
