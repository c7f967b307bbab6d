//! The roles at work on a real ledger in memory, with gateways that fail on command.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod archive;
mod audited;
mod damaged;
mod gateways;
mod lives;
mod notifications;
mod payments;
mod reads;
mod records;
mod relay;
mod told;
mod tracking;
mod world;
