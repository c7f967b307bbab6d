//! The embedded backend: ledger and bus on SQLite or in memory, payment sandbox, mail and object stores on disk.

pub mod mail;
pub mod memory;
pub mod objects;
pub mod sandbox;
pub mod secrets;
pub mod sqlite;
