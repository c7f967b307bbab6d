//! The auditor, run as an operator runs it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::server::ordermill;

/// What `ordermill doctor --json` said.
#[derive(Debug)]
pub struct Diagnosis {
    pub exit_code: Option<i32>,
    pub lines: Vec<Value>,
    pub complaint: String,
}

/// Audits a data directory.
pub fn doctor(data: &Path) -> Diagnosis {
    doctor_by(ordermill(), data)
}

/// The same by a command that runs the program in surroundings of its own.
pub fn doctor_by(mut program: Command, data: &Path) -> Diagnosis {
    let output = program.args(["doctor", "--json", "--data"]).arg(data).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    Diagnosis { exit_code: output.status.code(), lines, complaint }
}

impl Diagnosis {
    /// Nothing is wrong.
    pub fn assert_clean(&self) {
        assert_eq!(self.exit_code, Some(0), "{self:#?}");
    }

    /// The invariants that are broken.
    pub fn invariants(&self) -> Vec<&str> {
        self.lines.iter().filter_map(|line| line["finding"]["invariant"].as_str()).collect()
    }

    /// The last line: the totals.
    pub fn totals(&self) -> &Value {
        &self.lines.last().unwrap_or_else(|| panic!("{self:#?}"))["totals"]
    }
}
