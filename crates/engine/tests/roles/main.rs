//! The roles at work on a real ledger in memory, with gateways that fail on command.

mod archive;
mod notifications;
mod payments;
mod world;
