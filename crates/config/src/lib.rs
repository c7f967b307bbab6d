//! Configuration: documented defaults, then a file, then the environment, then flags.
//!
//! The defaults are `ordermill.default.toml` at the root of the repository, embedded here. That file is also the list of all
//! options: what it does not name is unknown, and an unknown name or a bad value stops the start with its place.

mod auth;
mod backend;
mod check;
mod effective;
mod layer;
mod listen;
mod period;
mod postgres;
mod problem;
mod schema;
mod section;
mod suggest;
mod wire;

pub use auth::{Auth, Token, WireAuth};
pub use backend::{Bus, Ledger, Mail, Objects, PaymentProvider};
pub use effective::{Effective, Flag, Setting};
pub use layer::Place;
pub use listen::{Exposure, Listen};
pub use ordermill_core::secret::SecretRef;
pub use period::{Pause, Period};
pub use postgres::Postgres;
pub use problem::{ConfigError, Problem};
pub use section::{
    Archive, Config, Http, Intake, Log, LogFormat, Notifications, Process, Provider, RecordLayout, Records, Roles,
    Sandbox,
};
pub use wire::{Orchestrator, OrderApi, Tracking, Wire};

/// The documented defaults: every option with its meaning and its environment name.
pub const DEFAULT_TOML: &str = include_str!("../../../ordermill.default.toml");

/// The file read from the data directory when no other is named.
pub const FILE_NAME: &str = "ordermill.toml";

/// What every environment name of ours begins with.
pub const ENV_PREFIX: &str = "ORDERMILL_";

/// Environment names that are ours but no option of the server: the address the command line talks to, the token it shows there, and
/// the file to read.
pub const ENV_OTHER: [&str; 3] = ["ORDERMILL_URL", "ORDERMILL_TOKEN", "ORDERMILL_CONFIG"];
