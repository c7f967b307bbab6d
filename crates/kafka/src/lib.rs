//! Apache Kafka as the event path: what the ledger committed goes to topics, and from there to the roles.
//!
//! ```text
//! ledger ─► its own bus ─► relay ─► Publisher ─► topics ─► a consumer per role ─► Seat ─► receive ─► role ─► KafkaLedger::submit
//!    ▲                                                       offsets, behind the effect ◄── settled ──────────────┘     │
//!    └ parked, given up, redriven: by the ledger, and handed out by its bus ◄───────────────────────────────────────────┘
//! ```
//!
//! Architecture invariant: the broker carries, the ledger decides. Nothing is true because it is on a topic; a message may come twice, late
//! and in any order, and may be lost with its topic: then the relay is set back and tells everything again.
//!
//! Architecture invariant: an offset is committed behind the effect. A process that dies leaves what it had in hand to whoever is assigned
//! its partitions next.

mod bus;
mod client;
mod consumer;
mod error;
#[cfg(feature = "msk-iam")]
mod iam;
mod lag;
mod ledger;
mod link;
mod message;
mod options;
mod publisher;
mod reach;
mod remove;
mod seat;
mod security;
mod tokens;
mod topics;

pub use bus::KafkaBus;
pub use error::OpenError;
pub use ledger::KafkaLedger;
pub use options::{Options, Sasl};
pub use publisher::KafkaPublisher;
pub use remove::remove;
pub use tokens::{Signer, Token};
