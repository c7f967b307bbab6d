//! The sandbox as a provider apart: one process keeps its books, and any number of others call it over HTTP.
//!
//! | route | takes | gives |
//! |---|---|---|
//! | `POST /calls` | a JSON list of requests and look-ups | a line of JSON for each as soon as it is answered, in no promised order |
//! | `GET /journal?after=BYTE` | where to go on, 0 at the beginning | whole lines of the journal; nothing at its end |
//! | `GET /healthz` | | 200, or 503 when the books cannot be written any more |
//!
//! A call is answered once it is in the journal, as durable as [`Options::fsync`](super::Options::fsync) says. An answer that gets lost
//! by magic is told to the gateway as what it is, so that nobody has to wait until time is over.

mod flight;
mod gateway;
mod pages;
mod server;
mod target;
mod wire;

pub use self::gateway::Gateway;
pub use self::pages::read_journal_at;
pub use self::server::serve;
pub use self::target::UrlError;
