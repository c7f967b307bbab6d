//! Black-box tests: each drives real `ordermill` processes over HTTP and the command line, and looks at what lies on disk.
//!
//! This is the embedded profile: the ledger in SQLite. The other roots compile the same sources against other backends.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "profile/embedded.rs"]
mod profile;
mod support;

mod bad_input;
mod bench;
mod commands;
mod crash;
mod damage;
mod dead_letters;
mod demo;
mod disk_full;
mod doctor;
mod doctor_damage;
mod durability;
mod idempotency;
mod lifecycle;
mod moving;
mod payments;
mod returns;
mod sandbox;
mod stock;
mod systems;
