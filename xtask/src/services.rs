//! The servers that the tests use, for people: the same, started in the same way.

use std::io::{Write, stdout};

use anyhow::{Context, Result, bail};

use crate::server::{Server, programs};

/// Starts the servers, says where they are, and keeps them until this program is interrupted; then nothing is left of them.
///
/// # Errors
/// What is missing, with what to install.
pub fn run() -> Result<()> {
    if programs().is_none() {
        bail!("PostgreSQL is not there: install the package postgresql");
    }
    let postgres = Server::start(&[]);
    println!("PostgreSQL  {}  (process {})", postgres.url("postgres"), postgres.pid());
    println!("\nUse it: ORDERMILL_LEDGER={} ordermill serve", postgres.url("postgres"));
    println!("Interrupt this program to stop it. Nothing is kept.");
    stdout().flush().context("the standard output is closed")?;
    loop {
        std::thread::park();
    }
}
