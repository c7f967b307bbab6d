//! The profile of PostgreSQL: one server for all tests, a schema of its own in it for each data directory.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

pub use database::{connect, execute};
use server::Server;
pub use server::{Server as Postgres, SmallDisk};

#[path = "database.rs"]
mod database;
#[path = "../../../crates/postgres/tests/support/server.rs"]
mod server;

/// The processes of the layout in docs/operations.md: their names, and what `--role` is given.
pub const LAYOUT: [(&str, &[&str]); 3] = [
    ("front", &["api"]),
    ("till", &["payments,inventory", "sweeper"]),
    ("back", &["notifications,archive", "tracking,records"]),
];

/// The server that all tests of this program share, started when it is first asked for; it ends with the program.
fn server() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| Server::start(&["max_connections=400"]))
}

/// Where a database of the server is.
pub fn url(database: &str) -> String {
    server().url(database)
}

/// A ledger that nobody has opened yet.
pub fn fresh_ledger() -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("{}?schema=shop_{number}", url("postgres"))
}

/// The line of a configuration that names what carries the events: the ledger, as it does unless told otherwise.
pub fn event_path() -> String {
    String::new()
}

/// Makes a data directory ready for its first server: a file in it names a ledger of its own, whose leases pass over soon when a process is
/// killed. A directory that has the file is left as it is.
pub fn prepare(data: &Path) {
    let file = data.join("ordermill.toml");
    if !file.exists() {
        std::fs::create_dir_all(data).unwrap();
        std::fs::write(file, format!("ledger = \"{}\"\n\n[postgres]\nlease = \"1s\"\n", fresh_ledger())).unwrap();
    }
}
