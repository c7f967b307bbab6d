//! The servers that the tests use, for people: the same, started in the same way, but for the broker's virtual machine.

use std::io::{Write, stdout};

use anyhow::{Context, Result, bail};

use crate::broker::{Cluster, jars};
use crate::clients;
use crate::server::{Server, programs};

/// The broker's virtual machine: as Kafka's own start script has it, with all of its compiler. The tests have a smaller one, which is of
/// no use to people who measure.
const JAVA_OPTIONS: &str = "-server -Xms1g -Xmx1g -XX:+UseG1GC -XX:MaxGCPauseMillis=20 \
                            -XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent";

/// Starts the servers, says where they are, and keeps them until this program is interrupted; then nothing is left of them.
///
/// # Errors
/// What is missing, with what to install.
pub fn run() -> Result<()> {
    if programs().is_none() {
        bail!("PostgreSQL is not there: install the package postgresql");
    }
    if jars().is_none() {
        clients::provide()?;
    }
    let postgres = Server::start(&[]);
    println!("PostgreSQL  {}  (process {})", postgres.url("postgres"), postgres.pid());
    let kafka = Cluster::single_with(JAVA_OPTIONS);
    let bus = format!("kafka://{}?replication=1&min_isr=1", kafka.brokers());
    println!("Kafka       {bus}  (process {})", kafka.pids().iter().map(u32::to_string).collect::<Vec<_>>().join(", "));
    let ledger = postgres.url("postgres");
    println!("\nUse them: ORDERMILL_LEDGER='{ledger}' ORDERMILL_BUS='{bus}' ordermill serve");
    println!("Measure:  ordermill bench --ledger '{ledger}' --bus '{bus}' --compare-ledger");
    println!("Interrupt this program to stop it. Nothing is kept.");
    stdout().flush().context("the standard output is closed")?;
    loop {
        std::thread::park();
    }
}
