//! Runs every test of the workspace and adds up what the test programs report.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::ops::AddAssign;
use std::process::{ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

use crate::{EVERY_BACKEND, cargo};

/// Tests, over all test programs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// `total: 12 passed, 0 failed, 0 skipped`
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, failed, skipped } = self;
        write!(f, "total: {passed} passed, {failed} failed, {skipped} skipped")
    }
}

impl Counts {
    /// Reads the last line of one test program: `test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; …`.
    fn parse(line: &str) -> Option<Self> {
        let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let count = |word: &str| {
            let entry = counts.split(';').map(str::trim).find_map(|entry| entry.strip_suffix(word))?;
            entry.trim().parse().ok()
        };
        Some(Self { passed: count("passed")?, failed: count("failed")?, skipped: count("ignored")? })
    }
}

/// One run of `cargo test`.
pub struct Run {
    /// What its test programs reported.
    pub counts: Counts,
    status: ExitStatus,
}

impl Run {
    /// Whether everything that was asked for ran and passed.
    ///
    /// # Errors
    /// Why not. A skipped test is an error: it would look as if what it shows still held.
    pub fn verdict(&self) -> Result<()> {
        if !self.status.success() {
            bail!("cargo test ended with {}", self.status);
        }
        match self.counts {
            Counts { passed: 0, .. } => bail!("no test ran"),
            Counts { failed: 0, skipped: 0, .. } => Ok(()),
            Counts { failed: 0, .. } => bail!("tests were skipped"),
            Counts { .. } => bail!("tests failed"),
        }
    }
}

/// Runs `cargo test --workspace` with every backend to the end, past programs that fail, and passes its output on.
pub fn run(arguments: &[String]) -> Result<Run> {
    let mut command = cargo();
    command.args(["test", "--workspace"]).args(EVERY_BACKEND);
    if !arguments.iter().any(|argument| argument == "--no-fail-fast") {
        command.arg("--no-fail-fast");
    }
    // Snapshots are compared here, never written.
    command.args(arguments).env("INSTA_UPDATE", "no").stdout(Stdio::piped());
    let mut child = command.spawn().context("cargo cannot be started")?;
    let output = child.stdout.take().context("cargo has no output")?;
    let mut counts = Counts::default();
    let mut ours = std::io::stdout().lock();
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("the output of cargo cannot be read")?;
        let line = String::from_utf8_lossy(&line);
        writeln!(ours, "{line}")?;
        if let Some(of_program) = Counts::parse(&line) {
            counts += of_program;
        }
    }
    drop(ours);
    Ok(Run { counts, status: child.wait().context("cargo cannot be waited for")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_a_test_program_is_read() {
        let line = "test result: FAILED. 31 passed; 2 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.00s";
        assert_eq!(Counts::parse(line), Some(Counts { passed: 31, failed: 2, skipped: 1 }));
        assert_eq!(Counts::parse("test order::result: ok. ... ok"), None);
        assert_eq!(Counts::parse("running 3 tests"), None);
    }

    #[test]
    fn sums_are_printed_in_the_agreed_form() {
        let mut counts = Counts { passed: 1, failed: 0, skipped: 0 };
        counts += Counts { passed: 2, failed: 3, skipped: 4 };
        assert_eq!(counts.to_string(), "total: 3 passed, 3 failed, 4 skipped");
    }

    #[test]
    fn skipped_tests_and_empty_runs_are_no_success() {
        let verdict = |passed, failed, skipped| {
            Run { counts: Counts { passed, failed, skipped }, status: ExitStatus::default() }.verdict().is_ok()
        };
        assert!(verdict(3, 0, 0));
        assert!(!verdict(3, 0, 1));
        assert!(!verdict(3, 1, 0));
        assert!(!verdict(0, 0, 0));
    }
}
