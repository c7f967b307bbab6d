//! The seams of Ordermill: what the engine asks of a ledger, a bus and the gateways.
//!
//! Architecture invariant: this crate knows no backend. An adapter implements the traits and passes the suites in
//! `conformance` unchanged.

pub mod audit;
pub mod bus;
pub mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod damper;
pub mod decorator;
pub mod group_commit;
pub mod ledger;
pub mod mailer;
pub mod moving;
pub mod objects;
pub mod payments;
pub mod publisher;
pub mod queries;
pub mod secrets;

pub use bus::{Bus, Delivery, Settle, Settlement};
pub use clock::{Clock, Random};
pub use ledger::{Ledger, Outcome, Source, Submission, SubmitError};
pub use mailer::Mailer;
pub use objects::Objects;
pub use payments::Payments;
pub use publisher::Publisher;
pub use queries::{Position, Queries};
pub use secrets::Secrets;
