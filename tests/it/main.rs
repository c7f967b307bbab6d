//! Black-box tests: each drives real `ordermill` processes over HTTP and the command line, and looks at what lies on disk.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

mod bad_input;
mod bench;
mod commands;
mod crash;
mod damage;
mod disk_full;
mod doctor;
mod durability;
mod idempotency;
mod lifecycle;
mod payments;
mod sandbox;
mod stock;
mod systems;
