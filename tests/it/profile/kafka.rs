//! The profile of Kafka: a ledger in PostgreSQL as in its own profile, and one broker for all tests, with topics of its own for each data
//! directory.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

pub use broker::Cluster;
pub use database::{connect, execute};
use server::Server;
pub use server::{Server as Postgres, SmallDisk};

#[expect(dead_code, reason = "the tests of the backend do more with it")]
#[path = "../../../crates/kafka/tests/support/server.rs"]
mod broker;
#[path = "database.rs"]
mod database;
#[expect(dead_code, reason = "the tests of its own profile do more with it")]
#[path = "../../../crates/postgres/tests/support/server.rs"]
mod server;

/// The processes of the layout in docs/operations.md: their names, and what `--role` is given. The till feeds the broker as well.
pub const LAYOUT: [(&str, &[&str]); 3] = [
    ("front", &["api"]),
    ("till", &["payments,inventory", "sweeper,relay"]),
    ("back", &["notifications,archive", "tracking,records"]),
];

/// The database server that all tests of this program share; it ends with the program.
fn server() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| Server::start(&["max_connections=400"]))
}

/// The broker that they share; likewise.
fn cluster() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(Cluster::single)
}

/// Where a database of the server is.
pub fn url(database: &str) -> String {
    server().url(database)
}

/// A ledger that nobody has opened yet.
pub fn fresh_ledger() -> String {
    format!("{}?schema=shop_{}", url("postgres"), number())
}

/// The line of a configuration that names what carries the events: the broker, by topics that nobody has made yet.
pub fn event_path() -> String {
    format!("bus = \"{}\"\n", fresh_bus(&cluster().brokers(), "partitions=2&replication=1&min_isr=1&session=1s"))
}

/// Topics that nobody has made yet, on these brokers, with these options.
pub fn fresh_bus(brokers: &str, options: &str) -> String {
    format!("kafka://{brokers}?prefix=shop_{}&{options}", number())
}

/// Another with each call.
fn number() -> usize {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// Makes a data directory ready for its first server: a file in it names a ledger and topics of its own. What a process held that is killed
/// passes over soon. A directory that has the file is left as it is.
pub fn prepare(data: &Path) {
    let file = data.join("ordermill.toml");
    if !file.exists() {
        std::fs::create_dir_all(data).unwrap();
        let (ledger, event_path) = (fresh_ledger(), event_path());
        std::fs::write(file, format!("ledger = \"{ledger}\"\n{event_path}\n[postgres]\nlease = \"1s\"\n")).unwrap();
    }
}
