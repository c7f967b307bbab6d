//! What the tests of this crate share: databases, and processes of one installation.

pub mod process;
pub mod proxy;
#[expect(dead_code, reason = "the black-box tests use more of it")]
mod server;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use ordermill_ports::clock::SystemClock;
use ordermill_postgres::{Options, PgLedger};
use proxy::Proxy;
use server::Server;
use tokio_postgres::NoTls;

/// The server that all tests of this program share, started when it is first asked for.
fn server() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| Server::start(&["max_connections=400"]))
}

/// Databases are copies of this one, which has the ledger's schema.
const TEMPLATE: &str = "ordermill_template";

/// A database with an empty ledger, for one test. Dropped with it.
#[derive(Debug)]
pub struct Database {
    name: String,
}

impl Database {
    /// A new one. Blocks for a moment.
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        static MIGRATED: OnceLock<()> = OnceLock::new();
        MIGRATED.get_or_init(|| {
            blocking(async {
                execute("postgres", &format!("CREATE DATABASE {TEMPLATE}")).await;
                let options = Options::from_url(&server().url(TEMPLATE), Arc::new(SystemClock));
                let ledger = PgLedger::open(options.expect("a sound URL")).await.expect("the ledger opens");
                ordermill_ports::Ledger::close(&*ledger).await;
            });
        });
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::SeqCst));
        let sql = format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}");
        blocking(async move { execute("postgres", &sql).await });
        Self { name }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        server().url(&self.name)
    }

    /// A network of one's own before its server.
    pub async fn network(&self) -> Proxy {
        Proxy::start(([127, 0, 0, 1], server().port()).into()).await
    }

    /// Where it is to whoever comes through the network.
    pub fn url_through(&self, network: &Proxy) -> String {
        self.url().replace(&format!(":{}/", server().port()), &format!(":{}/", network.port()))
    }

    /// A session of one's own in it, in the ledger's schema.
    pub async fn session(&self) -> tokio_postgres::Client {
        let client = connect(&self.name).await;
        client.batch_execute("SET search_path TO ordermill").await.expect("the schema is there");
        client
    }

    /// Ends every other session in it.
    pub async fn end_sessions(&self) {
        self.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await;
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs statements in it, in the ledger's schema.
    pub async fn execute(&self, sql: &str) {
        execute(&self.name, &format!("SET search_path TO ordermill; {sql}")).await;
    }

    /// The rows of a query in it, in the ledger's schema; every value as text.
    pub async fn query(&self, sql: &str) -> Vec<Vec<String>> {
        let client = self.session().await;
        let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let row = |message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|index| row.get(index).unwrap_or("NULL").to_owned()).collect())
            }
            _ => None,
        };
        messages.into_iter().filter_map(row).collect()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        blocking(async move { execute("postgres", &sql).await });
    }
}

async fn connect(database: &str) -> tokio_postgres::Client {
    let url = server().url(database);
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.expect("the server takes connections");
    tokio::spawn(connection);
    client
}

async fn execute(database: &str, sql: &str) {
    let client = connect(database).await;
    client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

/// Runs to the end, wherever it is called from.
fn blocking<T: Send>(work: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be made").block_on(work)
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[test]
fn a_server_ends_with_whoever_started_it() {
    let server = Server::start(&["max_connections=20"]);
    let process = std::path::PathBuf::from(format!("/proc/{}", server.pid()));
    let row = blocking(async {
        let (client, connection) = tokio_postgres::connect(&server.url("postgres"), NoTls).await.expect("it answers");
        tokio::spawn(connection);
        client.query_one("SHOW max_connections", &[]).await.expect("it answers").get::<_, String>(0)
    });
    assert_eq!(row, "20");
    assert!(process.exists());
    drop(server);
    assert!(!process.exists(), "it is stopped, and waited for");
}
