//! What every adapter has to show: one suite per port.
//!
//! A case is an async function over a [`Harness`]; it fails by panicking. An adapter's test file makes each case a test of its
//! own with [`ledger_suite!`](crate::ledger_suite) and, where commits outlive the process,
//! [`durable_suite!`](crate::durable_suite). Nearly every case goes through a [`shop::Shop`], which reads back every outcome, and
//! ends with [`shop::Shop::audit`], which folds the whole feed once more and compares.
//!
//! Architecture invariant: a suite knows ports only. It never asks which adapter it is testing.

pub mod books;
pub mod bus;
pub mod clock;
pub mod durable;
pub mod gateway;
pub mod harness;
pub mod ledger;
pub mod mailer;
pub mod moving;
pub mod objects;
pub mod payments;
pub mod queries;
pub mod shop;
pub mod snapshot;
mod suites;

pub use clock::ManualClock;
pub use harness::{Audited, Backend, Harness, Settings, run};
pub use moving::Movable;
