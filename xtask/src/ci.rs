//! Everything a change must pass.

use anyhow::{Result, bail};

use crate::step::{Steps, call};
use crate::suite::Run;
use crate::{cargo, clients, deny, suite, tools};

/// Runs every step, past failures, and ends with the counts of the tests.
pub fn run() -> Result<()> {
    let mut steps = Steps::default();
    steps.run("format", || call(cargo().args(["fmt", "--all", "--check"])));
    steps.run("lints", || {
        call(cargo().args(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))
    });
    steps.run("dependencies", deny::check);
    steps.run("documentation", || {
        let rustdoc = ["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"];
        call(cargo().args(rustdoc).env("RUSTDOCFLAGS", "-D warnings"))
    });
    steps.run("generated files", || {
        call(cargo().args(["test", "--workspace", "--locked", "--test", "generated"]).env("INSTA_UPDATE", "no"))
    });
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
