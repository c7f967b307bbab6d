//! Our side: the server with an empty data directory, and its own load generator, which counts mails in the mail store.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::Times;
use crate::load::{Quantiles, Run};
use crate::postgres::Server;
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
    let run = bench(program, &url, data.path(), connections, times).await;
    server.stop().await?;
    run
}

async fn bench(program: &Path, url: &str, data: &Path, connections: usize, times: Times) -> Result<Run> {
    let mut command = Command::new(program);
    command.args(["bench", "--json", "--url", url, "--data"]).arg(data);
    measure(command, connections, times).await
}

/// One run on an empty schema of a PostgreSQL server: one process with every role.
pub async fn run_on_postgres(program: &Path, server: &Server, connections: usize, times: Times) -> Result<Run> {
    // Where the program is does not change with where it runs.
    let program = program.canonicalize().with_context(|| format!("there is no program at {}", program.display()))?;
    // Beside its own data, which is to lie on a disk, as that of the server does.
    let directory = tempfile::tempdir()?;
    let mut command = Command::new(program);
    command.args(["bench", "--json", "--ledger", &server.url("postgres")]).current_dir(directory.path());
    measure(command, connections, times).await
}

async fn measure(mut command: Command, connections: usize, times: Times) -> Result<Run> {
    command.args(["--connections", &connections.to_string()]);
    command.args(["--warm-up", &times.warm_up.as_secs().to_string()]);
    command.args(["--duration", &times.measured.as_secs().to_string()]);
    let output = command.kill_on_drop(true).output().await.context("ordermill bench cannot be started")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ordermill bench ended with {}: {said}", output.status);
    let report: Value =
        serde_json::from_slice(&output.stdout).context("ordermill bench printed JSON that cannot be read")?;
    let rate = report["fulfilled_per_second"].as_f64().context("its JSON has no fulfilled_per_second")?;
    let times = |name: &str| {
        let of = |percentile: &str| report[name][percentile].as_f64();
        of("p50").zip(of("p99")).map(|(p50, p99)| Quantiles { p50, p99 })
    };
    let answer_ms = times("accept_ms").context("its JSON has no accept_ms")?;
    Ok(Run { fulfilled_per_second: rate, answer_ms, mailed_ms: times("mailed_ms") })
}
