//! SIGTERM and SIGINT: the first drains, the second ends at once.

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The exit code of a process that was ended at once, as shells have it for an interrupted one.
const INTERRUPTED: i32 = 130;

/// Waits for signals.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes the signals over from here on. Must be called within a tokio runtime.
    pub fn install() -> Result<Self> {
        let terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be handled")?;
        let interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be handled")?;
        Ok(Self { terminate, interrupt })
    }

    /// Returns at the next signal, with its name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// From here on a signal ends the process at once. What is committed is safe, and what is not was not acknowledged.
    pub fn end_at_next(mut self) {
        tokio::spawn(async move {
            let signal = self.next().await;
            tracing::warn!(signal, "ended at once by a second signal");
            std::process::exit(INTERRUPTED);
        });
    }
}
