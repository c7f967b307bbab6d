//! The DBOS side: its Python library in a folder of its own, our workflow, and the load in the same process.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::Times;
use crate::load::{Quantiles, Run};
use crate::postgres::Server;

const HOME: &str = env!("CARGO_MANIFEST_DIR");

/// Fetches the library with pip into the target folder, and gives the path of the Python that has it.
pub async fn fetch() -> Result<PathBuf> {
    let home = Path::new(HOME).join("target/dbos");
    let python = home.join("bin/python");
    let requirements = Path::new(HOME).join("dbos/requirements.txt");
    // Written when everything is there, so that a fetch that was cut short begins anew, as one of other versions does.
    let done = home.join("requirements.txt");
    let wanted = std::fs::read(&requirements)?;
    if std::fs::read(&done).is_ok_and(|had| had == wanted) {
        return Ok(python);
    }
    let said = "python3 cannot make a place of its own: install python3 and python3-venv";
    run_tool(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home)).await.context(said)?;
    let mut pip = Command::new(&python);
    run_tool(pip.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&requirements)).await?;
    std::fs::write(done, wanted)?;
    Ok(python)
}

async fn run_tool(command: &mut Command) -> Result<()> {
    let status = command.status().await.with_context(|| format!("{command:?} cannot be started"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

/// One run on an empty database.
pub async fn run(python: &Path, server: &Server, connections: usize, processes: usize, times: Times) -> Result<Run> {
    let url = server.url("postgres").replacen("postgres://", "postgresql://", 1);
    let mut command = Command::new(python);
    command.arg(Path::new(HOME).join("dbos/order.py")).args(["--url", &url]);
    command.args(["--connections", &connections.to_string(), "--processes", &processes.to_string()]);
    command.args(["--warm-up", &times.warm_up.as_secs().to_string()]);
    command.args(["--seconds", &times.measured.as_secs().to_string()]);
    let output = command.kill_on_drop(true).output().await.context("the workflow cannot be started")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the workflow ended with {}: {said}", output.status);
    let report: Value = serde_json::from_slice(&output.stdout).context("it printed JSON that cannot be read")?;
    let number = |value: &Value| value.as_f64().context("a figure is missing in its JSON");
    let answer = &report["answer_ms"];
    Ok(Run {
        fulfilled_per_second: number(&report["fulfilled_per_second"])?,
        answer_ms: Quantiles { p50: number(&answer["p50"])?, p99: number(&answer["p99"])? },
        mailed_ms: None,
    })
}
