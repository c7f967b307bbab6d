//! Processes that are started here and stopped here, each by its own id.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

/// How long a process may take to be ready.
const START_MAX: Duration = Duration::from_secs(60);
/// How long it may take to stop before it is killed.
const STOP_MAX: Duration = Duration::from_secs(10);

/// A running process; killed when dropped.
pub struct Process {
    name: &'static str,
    child: Child,
}

impl Process {
    /// Starts it. Its output is thrown away, except for what it says on standard error when that is wanted.
    pub fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        let errors = if std::env::var_os("PEERS_VERBOSE").is_some() { Stdio::inherit() } else { Stdio::null() };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("{name} cannot be started"))?;
        Ok(Self { name, child })
    }

    /// Waits until this address answers with a success.
    pub async fn wait_ready(&mut self, client: &reqwest::Client, url: &str) -> Result<()> {
        let begun = Instant::now();
        loop {
            if client.get(url).send().await.is_ok_and(|response| response.status().is_success()) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status} before it was ready; PEERS_VERBOSE=1 shows why", self.name);
            }
            if begun.elapsed() > START_MAX {
                bail!("{} was not ready in {} s", self.name, START_MAX.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Asks it to stop, and kills it if it does not.
    pub async fn stop(mut self) -> Result<()> {
        let id = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(id) = id {
            kill_process(id, Signal::TERM).with_context(|| format!("{} cannot be stopped", self.name))?;
        }
        if tokio::time::timeout(STOP_MAX, self.child.wait()).await.is_err() {
            self.child.kill().await?;
        }
        Ok(())
    }
}

/// A loopback address that is free at this moment.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
