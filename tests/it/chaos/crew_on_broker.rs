//! Which process has which roles where a broker feeds them: the relay beside the interface, and beside other roles.

/// The processes: their names, and their roles. The second front can do without the broker.
pub const PROCESSES: [(&str, &str); 6] = [
    ("front-1", "api,relay"),
    ("front-2", "api"),
    ("till-1", "payments,inventory,sweeper"),
    ("till-2", "payments,inventory,sweeper,relay"),
    ("back-1", "notifications,archive,tracking,records"),
    ("back-2", "notifications,archive,tracking,records"),
];

/// Those that are frozen in turn: a relay among them.
pub const FROZEN: [&str; 2] = ["till-2", "back-2"];
