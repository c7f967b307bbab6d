//! The commands: one file each. A command takes its arguments and says how the program ends.
//!
//! To add one: a file with `Args` (clap) and `run(args, &Global) -> anyhow::Result<Exit>`, and a line in the table below.

mod args;
mod bench;
mod bus;
mod completions;
mod config;
mod customer;
mod demo;
mod dlq;
mod doctor;
mod export;
mod import_ledger;
mod invoke;
mod ledgers;
mod order;
mod pages;
mod parcel;
mod product;
mod record;
mod sandbox;
mod serve;
#[cfg(test)]
mod server_tests;
mod stock;
mod version;

use anyhow::Result;
use clap::Subcommand;

use crate::exit::Exit;

pub use args::{ConfigArgs, Global, ServerArgs};

/// What can be done.
#[derive(Subcommand)]
pub enum Command {
    /// Start the server.
    Serve(serve::Args),
    /// See a slice of a real year of orders go through, with declined cards and a flaky payment provider.
    Demo(demo::Args),
    /// Place, import, find and follow orders.
    Order(order::Args),
    /// Fill and read the catalogue.
    Product(product::Args),
    /// Read and change stock.
    Stock(stock::Args),
    /// Keep customers.
    Customer(customer::Args),
    /// Follow parcels, and report where they are.
    Parcel(parcel::Args),
    /// Look at records that were handed over to be stored.
    Record(record::Args),
    /// Look into the channels: messages, how far each role is behind, and what was given up.
    Bus(bus::Args),
    /// Look at deliveries that were given up, and deliver them again.
    Dlq(dlq::Args),
    /// Serve the payment sandbox to several processes.
    Sandbox(sandbox::Args),
    /// Invoke a function of the server, as the AWS SDKs do.
    Invoke(invoke::Args),
    /// Audit every order, every cent and every unit, on a live or a stopped ledger; exit code 4 if anything does not add up.
    Doctor(doctor::Args),
    /// Write a whole ledger into one file, to move it to another backend or to keep it.
    Export(export::Args),
    /// Make a ledger of a file that `export` wrote, on any backend.
    ImportLedger(import_ledger::Args),
    /// Measure how many orders a second are fulfilled, counted from outside.
    Bench(bench::Args),
    /// Show and check the configuration.
    Config(config::Args),
    /// Print the completions for a shell.
    Completions(completions::Args),
    /// Print the version.
    Version,
}

impl Command {
    /// Runs it.
    pub fn run(self, global: &Global) -> Result<Exit> {
        match self {
            Self::Serve(args) => serve::run(args),
            Self::Demo(args) => demo::run(args, global),
            Self::Order(args) => order::run(args, global),
            Self::Product(args) => product::run(args, global),
            Self::Stock(args) => stock::run(args, global),
            Self::Customer(args) => customer::run(args, global),
            Self::Parcel(args) => parcel::run(args, global),
            Self::Record(args) => record::run(args, global),
            Self::Bus(args) => bus::run(args, global),
            Self::Dlq(args) => dlq::run(args, global),
            Self::Sandbox(args) => sandbox::run(args),
            Self::Invoke(args) => invoke::run(args, global),
            Self::Doctor(args) => doctor::run(args, global),
            Self::Export(args) => export::run(args, global),
            Self::ImportLedger(args) => import_ledger::run(args, global),
            Self::Bench(args) => bench::run(args, global),
            Self::Config(args) => config::run(args, global),
            Self::Completions(args) => completions::run(args),
            Self::Version => version::run(global),
        }
    }
}

/// Runs a command that talks to a server. One thread is enough for that.
pub fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}
