//! The Restate side: its server with an empty store, our handler beside it, the load through its ingress.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::process::Command;

use crate::Times;
use crate::load::{self, Run};
use crate::process::{Process, free_address};

const PACKAGE: &str = "@restatedev/restate-server@1.7.12";

/// Fetches the server with npm into the target folder, and gives the path of the program itself. (What npm puts on the path is a script
/// that starts it: to stop the script would leave the server running.)
pub async fn fetch_server() -> Result<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/restate-server");
    let machine = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    };
    let package = format!("node_modules/@restatedev/restate-server-{}-{machine}", std::env::consts::OS);
    let program = dir.join(package).join("bin/restate-server");
    if !program.exists() {
        std::fs::create_dir_all(&dir)?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(&dir).arg(PACKAGE);
        let status = npm.status().await.context("npm cannot be started")?;
        ensure!(status.success(), "npm ended with {status}");
        ensure!(program.exists(), "{PACKAGE} has no program for this machine at {}", program.display());
    }
    Ok(program)
}

/// One run on an empty store. The server's own settings hold, so its log is synced to the disk before anything counts as done.
pub async fn run(server: &Path, connections: usize, times: Times) -> Result<Run> {
    let client = reqwest::Client::new();
    let data = tempfile::tempdir()?;
    let (ingress, admin, node, service) = (free_address()?, free_address()?, free_address()?, free_address()?);
    let handler = Process::start(
        "the handler",
        Command::new(std::env::current_exe()?).args(["handler", "--listen", &service.to_string()]),
    )?;
    let mut command = Command::new(server);
    command
        .args(["--no-logo", "--listen-mode", "tcp", "--node-name", "one", "--log-filter", "warn", "--base-dir"])
        .arg(data.path())
        .env("RESTATE_DISABLE_TELEMETRY", "true")
        .env("RESTATE_INGRESS__BIND_ADDRESS", ingress.to_string())
        .env("RESTATE_ADMIN__BIND_ADDRESS", admin.to_string())
        .env("RESTATE_BIND_ADDRESS", node.to_string());
    let mut restate = Process::start("restate-server", &mut command)?;
    restate.wait_ready(&client, &format!("http://{admin}/health")).await?;
    restate.wait_ready(&client, &format!("http://{ingress}/restate/health")).await?;
    register(&client, &format!("http://{admin}/deployments"), &format!("http://{service}")).await?;
    let run = load::closed_loop(format!("http://{ingress}/Orders/place"), connections, times).await;
    restate.stop().await?;
    handler.stop().await?;
    run
}

/// Makes the handler known. It may still be starting, so this is tried for a while.
async fn register(client: &reqwest::Client, url: &str, service: &str) -> Result<()> {
    let mut problem = String::new();
    for _ in 0..100 {
        match client.post(url).json(&json!({ "uri": service })).send().await {
            Ok(response) if response.status().is_success() => return Ok(()),
            Ok(response) => problem = format!("{}: {}", response.status(), response.text().await.unwrap_or_default()),
            Err(error) => problem = error.to_string(),
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    anyhow::bail!("the handler could not be registered: {problem}")
}
