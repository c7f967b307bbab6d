//! The black-box tests on PostgreSQL: the sources of the embedded profile, and what only several processes on one ledger can show.
//!
//! Left out is what looks at SQLite itself: records damaged in its file (`damage`, `doctor_damage`; `damage_postgres` stands for them), its
//! disk filling up (`disk_full`), the system calls of its log (`durability`); and `demo`, `bench` and `sandbox`, which do not change with
//! the ledger.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[expect(dead_code, reason = "the tests on Kafka start its broker")]
#[path = "support/compose_files.rs"]
mod compose_files;
#[path = "profile/postgres.rs"]
mod profile;
mod support;

mod bad_input;
mod bench_postgres;
mod chaos;
mod commands;
mod crash;
mod damage_postgres;
mod dead_letters;
mod doctor;
mod idempotency;
mod lifecycle;
mod moving;
mod payments;
mod processes;
mod returns;
mod stock;
mod systems;
