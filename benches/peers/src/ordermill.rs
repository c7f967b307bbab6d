//! Our side: the server with an empty data directory, and its own load generator, which counts mails in the mail store.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::Times;
use crate::load::Run;
use crate::process::{Process, free_address};

/// One run on an empty ledger.
pub async fn run(program: &Path, connections: usize, times: Times) -> Result<Run> {
    let client = reqwest::Client::new();
    let data = tempfile::tempdir()?;
    let listen = free_address()?;
    let mut command = Command::new(program);
    command.args(["serve", "--listen", &listen.to_string(), "--data"]).arg(data.path());
    let mut server = Process::start("ordermill", &mut command)?;
    let url = format!("http://{listen}");
    server.wait_ready(&client, &format!("{url}/readyz")).await?;
    // A bench of its own warms up the ledger as the other side's run does.
    if !times.warm_up.is_zero() {
        bench(program, &url, connections, times.warm_up.as_secs()).await?;
    }
    let run = bench(program, &url, connections, times.measured.as_secs()).await;
    server.stop().await?;
    run
}

async fn bench(program: &Path, url: &str, connections: usize, seconds: u64) -> Result<Run> {
    let mut command = Command::new(program);
    command.args(["bench", "--url", url, "--connections", &connections.to_string()]);
    command.args(["--duration", &format!("{seconds}s"), "--json"]).kill_on_drop(true);
    let output = command.output().await.context("ordermill bench cannot be started")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ordermill bench ended with {}: {said}", output.status);
    let printed = String::from_utf8_lossy(&output.stdout);
    let line = printed.lines().rfind(|line| line.starts_with('{')).context("ordermill bench printed no JSON")?;
    let report: Value = serde_json::from_str(line).context("ordermill bench printed JSON that cannot be read")?;
    let rate = report["fulfilled_per_second"].as_f64().context("its JSON has no fulfilled_per_second")?;
    let latency = |percentile: &str| report["placed_to_mailed_ms"][percentile].as_f64();
    Ok(Run { fulfilled_per_second: rate, p50_ms: latency("p50"), p99_ms: latency("p99") })
}
