//! The black-box tests on PostgreSQL with Kafka as the event path: those of the PostgreSQL profile, and what only a broker can show.
//!
//! Left out is what the event path has no part in: `bench_postgres`, which measures the ledger; of `processes`, `compose`, whose tests are of
//! options and command lines (`compose_broker` runs the broker), and `starting`, which is about ledgers that cannot be opened (`event_path` and
//! `chaos` have brokers that are not there); of `chaos`, servers that are full, busy or badly reached, where the ledger answers callers before
//! anything is published.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[expect(dead_code, reason = "the tests on PostgreSQL try every command line")]
#[path = "support/compose_files.rs"]
mod compose_files;
#[path = "profile/kafka.rs"]
mod profile;
mod support;

mod bad_input;
mod bench_kafka;
mod commands;
mod compose_broker;
mod crash;
mod damage_postgres;
mod dead_letters;
mod doctor;
mod event_path;
mod event_path_change;
mod idempotency;
mod lifecycle;
mod moving;
mod payments;
mod returns;
mod stock;
mod systems;

/// What only several processes can show, in the layout with a relay.
mod processes {
    pub mod installation;
    mod layout;
    mod roles;
    mod rolling;
    mod setups;
}

/// Faults under load, with a broker between the ledger and the roles: its own, those of the network to it, and those of the processes and
/// of PostgreSQL as without it.
mod chaos {
    #[expect(dead_code, reason = "the tests of PostgreSQL lie in wait for commits")]
    #[path = "../../../crates/postgres/tests/support/proxy.rs"]
    mod proxy;

    mod books;
    mod brokers;
    #[path = "crew_on_broker.rs"]
    mod crew;
    mod failover;
    mod frozen;
    mod kills;
    mod load;
    mod outages;
    #[expect(dead_code, reason = "the tests of PostgreSQL put a network or a small disk before the server")]
    mod plant;
    mod skew;
}
