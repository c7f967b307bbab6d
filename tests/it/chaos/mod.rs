//! Faults under load: whatever is killed, cut, frozen or filled up, no acknowledged order is lost or doubled, and the auditor agrees.
//!
//! Each test has a PostgreSQL server of its own, all roles as processes, two of each, and a payment provider apart. Clients place orders all
//! the while, and send again with the same key what was not answered or shed.

#[path = "../../../crates/postgres/tests/support/proxy.rs"]
mod proxy;

mod books;
mod clocks;
mod crew;
mod disks;
mod failover;
mod frozen;
mod kills;
mod load;
mod network;
mod outages;
#[expect(dead_code, reason = "the tests with a broker start theirs on topics of their own")]
mod plant;
mod pressure;
mod skew;
