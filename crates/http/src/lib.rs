//! The HTTP interface: `/v1`, health, metrics, and the documentation the server carries with it.
//!
//! Architecture invariant: there is no business rule here. [`ordermill_core::intake`] checks shapes, the ledger decides, and this
//! crate turns bytes into inputs and outcomes into bytes. It knows no backend: it stands on the ports.

mod admission;
mod auth;
mod body;
mod bulk;
mod channels;
mod cloud_event;
mod correlation;
mod cors;
mod cursor;
mod customers;
mod dead_letters;
mod docs;
mod error_code;
mod etag;
mod feed;
mod frame;
mod health;
mod idempotency;
mod json;
mod lines;
mod live;
mod metrics;
mod openapi;
mod orders;
mod prefer;
mod problem;
mod products;
mod query;
mod records;
mod representation;
mod router;
mod server;
mod settings;
mod state;
mod stock;
mod submit;
mod tracking;
mod wire;

pub use auth::{AuthError, Authenticator, Nobody, Principal, Token, TokenList};
pub use metrics::{REQUEST_SECONDS, REQUESTS_TOTAL};
pub use openapi::openapi;
pub use router::router;
pub use server::{serve, serve_health};
pub use settings::Settings;
pub use state::App;
pub use tracking::TRACKING_REPORTS_TOTAL;
pub use wire::settings::{WireAuth, WireSettings};
