//! Which process has which roles where the ledger feeds them.

/// The processes: their names, and their roles.
pub const PROCESSES: [(&str, &str); 6] = [
    ("front-1", "api"),
    ("front-2", "api"),
    ("till-1", "payments,inventory,sweeper"),
    ("till-2", "payments,inventory,sweeper"),
    ("back-1", "notifications,archive,tracking,records"),
    ("back-2", "notifications,archive,tracking,records"),
];

/// Those that are frozen in turn.
pub const FROZEN: [&str; 2] = ["till-1", "back-2"];
