//! What the tests of this crate share: the servers, and processes of one installation on them.

mod gateways;
#[expect(dead_code, reason = "it is shared with test programs that use more of it")]
#[path = "../../../postgres/tests/support/server.rs"]
mod postgres;
pub mod process;
pub mod raw;
#[expect(dead_code, reason = "the black-box tests put a network before it")]
pub mod server;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use ordermill_kafka::{Options, Signer};
use ordermill_ports::Secrets;
use postgres::Server;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use server::Cluster;

/// The PostgreSQL server that all tests of this program share.
fn postgres() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| Server::start(&["max_connections=400"]))
}

/// The broker that all tests of this program share whose broker does not die.
pub fn broker() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(Cluster::single)
}

/// One installation, empty: a schema of the database server, and topics of a broker under a prefix of their own.
pub struct Place {
    name: String,
    kafka: String,
    guard: Option<Guard>,
}

/// How an installation gets past a broker that asks who is there.
struct Guard {
    /// Where the broker asks nobody.
    open: String,
    secrets: Arc<dyn Secrets>,
    signer: Option<Arc<dyn Signer>>,
}

impl Place {
    /// On the broker that is shared, with topics of one partition each.
    pub fn new() -> Self {
        Self::with("partitions=1&replication=1&min_isr=1")
    }

    /// On the broker that is shared, with these options of its own.
    pub fn with(options: &str) -> Self {
        Self::on(&broker().brokers(), options)
    }

    /// On a broker of the test's own.
    pub fn on(brokers: &str, options: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("place_{}", NUMBER.fetch_add(1, Ordering::SeqCst));
        let kafka = format!("kafka://{brokers}?prefix={name}&session=6s&{options}");
        Self { name, kafka, guard: None }
    }

    /// Its broker asks who is there, but for those who come to `open`.
    pub fn guard(&mut self, open: &str, secrets: Arc<dyn Secrets>, signer: Option<Arc<dyn Signer>>) {
        self.guard = Some(Guard { open: open.to_owned(), secrets, signer });
    }

    /// The ledger's URL.
    pub fn ledger(&self) -> String {
        format!("{}?schema={}", postgres().url("postgres"), self.name)
    }

    /// The bus's options.
    pub fn options(&self) -> Options {
        let mut options = Options::from_url(&self.kafka).expect("a sound URL");
        if let Some(Guard { secrets, signer, .. }) = &self.guard {
            options.secrets = Some(Arc::clone(secrets));
            options.signer = signer.clone();
        }
        options
    }

    /// The name of a topic.
    pub fn topic(&self, channel: &str) -> String {
        format!("{}.{channel}", self.name)
    }

    /// A client's configuration.
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        let brokers = self.guard.as_ref().map_or_else(|| self.options().brokers, |guard| guard.open.clone());
        config.set("bootstrap.servers", brokers);
        config
    }
}

impl Drop for Place {
    /// A broker with thousands of topics is a slow one.
    fn drop(&mut self) {
        let (config, prefix) = (self.client(), format!("{}.", self.name));
        let done = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let admin: AdminClient<DefaultClientContext> = config.create()?;
            let metadata = admin.inner().fetch_metadata(None, std::time::Duration::from_secs(5))?;
            let names: Vec<&str> = metadata.topics().iter().map(|topic| topic.name()).collect();
            let ours: Vec<&str> = names.into_iter().filter(|name| name.starts_with(&prefix)).collect();
            if !ours.is_empty() {
                runtime.block_on(admin.delete_topics(&ours, &AdminOptions::new()))?;
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        });
        // A broker that was killed by its test has nothing left to delete.
        let _ = done.join();
    }
}
