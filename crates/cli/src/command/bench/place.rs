//! What one run has for itself on servers that are there before and after it: a schema of PostgreSQL, and topics and groups of Kafka.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use ordermill_embedded::secrets::LocalSecrets;
use ordermill_ports::Secrets as _;
use ordermill_ports::clock::SystemClock;
use ordermill_postgres::Options;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

use super::bus::BusUrl;
use super::say;
use crate::exit::Usage;

/// A place that is there for one run. It is removed when it is dropped, also by a signal; [`Self::leave`] tells how that went.
pub(super) struct Place {
    /// A connection of the benchmark's own.
    pub(super) client: Client,
    traces: Traces,
    is_removed: bool,
}

/// How to find it again.
#[derive(Clone)]
struct Traces {
    name: String,
    ledger: String,
    bus: Option<String>,
}

impl Place {
    /// Thinks of a name; the servers under test make what is to have it.
    pub(super) async fn make(ledger: &str, bus: Option<&BusUrl>) -> Result<Self> {
        if ledger.split_once('?').is_some_and(|(_, query)| query.split('&').any(|pair| pair.starts_with("schema="))) {
            return Err(Usage("--ledger: each run makes a schema of its own; leave `schema=` out".to_owned()).into());
        }
        let client = connect(ledger).await?;
        refuse_unsafe(&client).await?;
        let name = format!("bench_{}", Uuid::now_v7().simple());
        let bus = bus.map(|bus| bus.of(&name));
        Ok(Self { client, traces: Traces { name, ledger: ledger.to_owned(), bus }, is_removed: false })
    }

    /// The options of a server that is to use it.
    pub(super) fn settings(&self) -> Vec<(String, String)> {
        let Traces { name, ledger, bus } = &self.traces;
        let joint = if ledger.contains('?') { '&' } else { '?' };
        let ledger = ("ORDERMILL_LEDGER".to_owned(), format!("{ledger}{joint}schema={name}"));
        let bus = bus.clone().map(|bus| ("ORDERMILL_BUS".to_owned(), bus));
        std::iter::once(ledger).chain(bus).collect()
    }

    /// Removes it with everything in it, also after a run that failed; what went wrong there is said first.
    pub(super) async fn leave<T>(mut self, outcome: Result<T>) -> Result<T> {
        self.is_removed = true;
        let removed = self.traces.remove().await;
        let outcome = outcome?;
        removed.map(|()| outcome)
    }
}

impl Drop for Place {
    /// Its run was ended by a signal, and so were its servers. There may be no runtime any more.
    fn drop(&mut self) {
        if self.is_removed {
            return;
        }
        let traces = self.traces.clone();
        let remove =
            move || tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(traces.remove());
        if !matches!(std::thread::spawn(remove).join(), Ok(Ok(()))) {
            say(&format!("{} is left behind: a schema, and topics and groups behind that prefix", self.traces.name));
        }
    }
}

impl Traces {
    async fn remove(&self) -> Result<()> {
        // Both are tried, so that as little as can be is left.
        let topics = self.remove_topics().await;
        let sql = format!("DROP SCHEMA IF EXISTS {} CASCADE", self.name);
        let client = connect(&self.ledger).await?;
        client.batch_execute(&sql).await.context("the schema of the run cannot be removed")?;
        topics
    }

    #[cfg(feature = "kafka")]
    async fn remove_topics(&self) -> Result<()> {
        let Some(bus) = &self.bus else { return Ok(()) };
        let mut options = ordermill_kafka::Options::from_url(bus)?;
        options.secrets = Some(Arc::new(LocalSecrets::new("")));
        ordermill_kafka::remove(&options).await.context("the topics of the run cannot be removed")
    }

    #[cfg(not(feature = "kafka"))]
    #[expect(clippy::unused_async, reason = "with Kafka there is something to wait for")]
    async fn remove_topics(&self) -> Result<()> {
        debug_assert!(self.bus.is_none(), "a build without Kafka takes no URL of one");
        Ok(())
    }
}

/// Connects as a server would.
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
