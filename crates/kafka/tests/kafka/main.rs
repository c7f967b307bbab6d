//! Kafka as the event path of a PostgreSQL ledger, on real servers: the suites of the ports, several processes, brokers that die.

#[path = "../support/mod.rs"]
mod support;

mod backlog;
mod broker;
mod conformance;
mod ears;
mod foreign;
mod messages;
mod rebalance;
mod remove;
mod security;
mod stuck;
