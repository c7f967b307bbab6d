//! The backend on a real PostgreSQL server: the suites of its ports, and several processes on one database.

#[path = "../support/mod.rs"]
mod support;

mod clocks;
mod conformance;
mod dead_letters;
mod doubt;
mod failover;
mod faults;
mod leases;
mod news;
mod parked;
mod races;
mod reads;
mod setups;
