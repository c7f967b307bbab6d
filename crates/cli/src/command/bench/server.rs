//! The server under test: `ordermill serve` as a process of its own, looked at from outside.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use http::Method;

use super::wire::{JSON, Target, Wire};

/// A start may have to read a large ledger first.
const READY_TIMEOUT: Duration = Duration::from_secs(120);
/// Longer than the server's own time for draining.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
/// Of the log, shown when the server did not start.
const LOG_TAIL_BYTES: usize = 4_000;

/// A child process that serves.
pub(super) struct Server {
    child: Child,
    /// Where it listens.
    pub(super) target: Target,
    /// From the start of the process until it was ready.
    pub(super) ready_after: Duration,
    log: PathBuf,
}

/// What to start.
pub(super) enum Program<'a> {
    /// `ordermill serve` on this data directory, with these options from the environment.
    Serve { data: &'a Path, environment: &'a [(String, String)] },
    /// `ordermill sandbox` on this data directory.
    Sandbox { data: &'a Path },
    /// The echo to compare with; its log goes to this directory.
    Echo { data: &'a Path },
}

impl Server {
    /// Starts it on a free port of the loopback interface, and waits until it is ready.
    pub(super) async fn start(program: Program<'_>) -> anyhow::Result<Self> {
        let address = free_address()?;
        let (data, name, health) = match program {
            Program::Serve { data, .. } => (data, "server.log", "/readyz"),
            Program::Sandbox { data } => (data, "sandbox.log", "/healthz"),
            Program::Echo { data } => (data, "echo.log", "/readyz"),
        };
        std::fs::create_dir_all(data).with_context(|| format!("cannot create {}", data.display()))?;
        let log = data.join(name);
        let mut command = Command::new(std::env::current_exe().context("the path of this program is not known")?);
        match program {
            Program::Serve { data, environment } => command
                .args(["serve", "--listen", &address.to_string(), "--data"])
                .arg(data)
                .envs(environment.iter().map(|(name, value)| (name, value))),
            Program::Sandbox { data } => {
                command.args(["sandbox", "--listen", &address.to_string(), "--data"]).arg(data)
            }
            Program::Echo { .. } => command.args(["bench", "--echo-server", &address.to_string()]),
        };
        let file = File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        let began = Instant::now();
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().context("the server cannot be started")?;
        let target = Target::new(&address.to_string())?;
        let mut server = Self { child, target, ready_after: Duration::ZERO, log };
        server.wait_until_ready(began, health).await?;
        Ok(server)
    }

    async fn wait_until_ready(&mut self, began: Instant, health: &str) -> anyhow::Result<()> {
        let mut wire = Wire::new(self.target.clone());
        while wire.call(Method::GET, health, JSON, String::new()).await.is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended at its start ({status}):\n{}", self.log_tail());
            }
            if began.elapsed() > READY_TIMEOUT {
                bail!("the server is not ready after {} s:\n{}", READY_TIMEOUT.as_secs(), self.log_tail());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.ready_after = began.elapsed();
        Ok(())
    }

    fn log_tail(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_TAIL_BYTES)..]).into_owned()
    }

    /// Memory in use now, and the most that ever was, in bytes; `None` where the system does not tell.
    pub(super) fn memory(&self) -> Option<(u64, u64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: u64 = line.trim_start_matches(':').trim().strip_suffix("kB")?.trim().parse().ok()?;
            Some(kib * 1024)
        };
        Some((field("VmRSS")?, field("VmHWM")?))
    }

    /// Processor time used so far, of all its threads; `None` where the system does not tell.
    pub(super) fn processor_time(&self) -> Option<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // The name before may hold anything; the numbers begin behind its last bracket.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        // The unit is a hundredth of a second on every Linux there is.
        Some(Duration::from_millis(ticks * 10))
    }

    /// Asks it to end, and waits until it has.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).context("the server cannot be stopped")?;
        let began = Instant::now();
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("the server ended with {status}:\n{}", self.log_tail()),
                None if began.elapsed() > STOP_TIMEOUT => {
                    bail!("the server still runs {} s after it was asked to stop", STOP_TIMEOUT.as_secs());
                }
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After `stop` there is nothing left to end.
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

/// A port that is free now. Somebody else may take it before the server does; then the server says so and ends.
fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?)
}
