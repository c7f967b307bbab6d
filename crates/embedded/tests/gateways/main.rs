//! The gateways of the embedded backend pass the suites of their ports, and what is special about each has tests of its own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;
mod mbox;
mod process;
mod sandbox_journal;
mod sandbox_magic;
mod sandbox_service;
