//! Everything a change must pass.

use std::process::Command;

use anyhow::{Result, bail};

use crate::step::{Steps, call};
use crate::suite::Run;
use crate::{EVERY_BACKEND, cargo, clients, deny, suite, tools};

/// Runs every step, past failures, and ends with the counts of the tests.
pub fn run() -> Result<()> {
    let mut steps = Steps::default();
    steps.run("format", || call(cargo().args(["fmt", "--all", "--check"])));
    let clippy = |features: &[&str]| {
        let lint = ["clippy", "--workspace", "--all-targets", "--locked"];
        call(cargo().args(lint).args(features).args(["--", "-D", "warnings"]))
    };
    steps.run("lints", || clippy(&EVERY_BACKEND));
    steps.run("lints of the program as it is built without features", || clippy(&[]));
    steps.run("dependencies", deny::check);
    steps.run("documentation", || {
        let rustdoc = ["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"];
        call(cargo().args(rustdoc).args(EVERY_BACKEND).env("RUSTDOCFLAGS", "-D warnings"))
    });
    steps.run("generated files", || {
        let generated = ["test", "--workspace", "--locked", "--test", "generated"];
        call(cargo().args(generated).args(EVERY_BACKEND).env("INSTA_UPDATE", "no"))
    });
    // Apart, as the AWS SDK that it brings would make everything else be built twice: nothing but the client depends on it.
    steps.run("lints of the client with Amazon's IAM", || {
        call(with_iam("clippy").args(["--lib", "--tests", "--", "-D", "warnings"]))
    });
    steps.run("tests of Amazon's IAM", || call(with_iam("test").arg("--lib")));
    steps.run("tools of the tests", || tools::provide().and_then(|()| clients::provide()));
    let mut tests: Option<Run> = None;
    steps.run("tests", || {
        let run = suite::run(&["--locked".to_owned()])?;
        let verdict = run.verdict();
        tests = Some(run);
        verdict
    });
    let verdict = steps.summarize();
    match tests {
        Some(run) => println!("{}", run.counts),
        None => bail!("the tests could not be run"),
    }
    verdict
}

/// A command of cargo's on the Kafka client alone, with the feature that no other build has.
fn with_iam(command: &str) -> Command {
    let mut cargo = cargo();
    cargo.args([command, "--package", "ordermill-kafka", "--features", "msk-iam", "--locked"]);
    cargo
}
