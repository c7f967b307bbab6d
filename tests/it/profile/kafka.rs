//! The profile of Kafka: a ledger in PostgreSQL as in its own profile, and one broker for all tests, with topics of its own for each data
//! directory.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use broker::Cluster;
use server::Server;

#[expect(dead_code, reason = "the tests of the backend kill brokers")]
#[path = "../../../crates/kafka/tests/support/server.rs"]
mod broker;
#[expect(dead_code, reason = "the tests of its own profile do more with it")]
#[path = "../../../crates/postgres/tests/support/server.rs"]
mod server;

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

/// The lines of a configuration that name a ledger and topics of their own. What a process held that is killed passes over soon.
pub fn configuration() -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let ledger = format!("{}?schema=shop_{number}", server().url("postgres"));
    let topics = "partitions=2&replication=1&min_isr=1&session=1s";
    let bus = format!("kafka://{}?prefix=shop_{number}&{topics}", cluster().brokers());
    format!("ledger = \"{ledger}\"\nbus = \"{bus}\"\n\n[postgres]\nlease = \"1s\"\n")
}

/// Makes a data directory ready for its first server: a file in it names a ledger and topics of its own. A directory that has the file is
/// left as it is.
pub fn prepare(data: &Path) {
    let file = data.join("ordermill.toml");
    if !file.exists() {
        std::fs::create_dir_all(data).unwrap();
        std::fs::write(file, configuration()).unwrap();
    }
}
