//! The tasks of the workspace: `cargo xtask <task>`.
//!
//! Rules that code must keep are tests (`tests/tidy.rs`, `tests/generated.rs`), so that `cargo test` finds what breaks them; what
//! is here only runs things.

#[expect(dead_code, reason = "the tests kill brokers, too")]
#[path = "../../crates/kafka/tests/support/server.rs"]
mod broker;
mod ci;
mod clients;
mod deny;
#[expect(dead_code, reason = "the tests of the backend use more of it")]
#[path = "../../crates/postgres/tests/support/server.rs"]
mod server;
mod services;
mod step;
mod suite;
mod tools;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

const USAGE: &str = "\
Tasks of the Ordermill workspace.

cargo xtask test [ARGS]   check the tools the tests need, then run every test on every backend; ARGS go to `cargo test --workspace`
cargo xtask ci            everything a change must pass: format, lints, dependencies, documentation, generated files, tests
cargo xtask deny          hold the dependencies against deny.toml: licenses, banned crates, where they come from
cargo xtask generate      rewrite the generated files
cargo xtask services      run the servers that the tests use, for you, until interrupted: PostgreSQL, Kafka

The last line of `test` and of `ci` is the sum over all test programs. A skipped test counts as a failure.
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let task = arguments.next();
    let rest: Vec<String> = arguments.collect();
    let done = match (task.as_deref(), rest.as_slice()) {
        (Some("test"), arguments) => test(arguments),
        (Some("ci"), []) => ci::run(),
        (Some("deny"), []) => deny::check(),
        (Some("generate"), []) => generate(),
        (Some("services"), []) => services::run(),
        (Some("help" | "--help" | "-h"), _) => {
            print!("{USAGE}");
            Ok(())
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn test(arguments: &[String]) -> Result<()> {
    tools::provide()?;
    clients::provide()?;
    let run = suite::run(arguments)?;
    println!("{}", run.counts);
    run.verdict()
}

fn generate() -> Result<()> {
    let status =
        cargo().args(["test", "--workspace", "--test", "generated"]).args(EVERY_BACKEND).env("UPDATE", "1").status();
    if status.context("cargo cannot be started")?.success() { Ok(()) } else { bail!("not every file could be written") }
}

/// The program with every backend, as the tests need it.
const EVERY_BACKEND: [&str; 2] = ["--features", "ordermill/full"];

/// The cargo that runs this program, in the root of the workspace.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// The root of the workspace.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies one folder below the root of the workspace")
}

/// Where tools are installed that are not part of the machine.
fn tools_dir() -> PathBuf {
    root().join("target/tools")
}
