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
mod frozen;
mod kills;
mod load;
mod network;
mod outages;
mod plant;
mod pressure;
mod skew;
