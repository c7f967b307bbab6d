//! The interface from outside: one file for each part of the address space, against a real ledger in memory.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod bodies;
mod catalogue;
mod channels;
mod cors;
mod customers;
mod dead_letters;
mod documents;
mod feed;
mod health;
mod orders;
mod records;
mod server;
mod support;
mod tracking;
mod wire;
