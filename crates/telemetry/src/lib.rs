//! Logs and metrics: `tracing` to standard error, `metrics` for Prometheus.
//!
//! Logs hold nothing personal and nothing secret. Who writes a log line sees to that; what slips through all the same (a mail
//! address, a password in a URL, a bearer token in an error text from elsewhere) is masked on its way out.

mod log;
mod metric;
mod process;
mod redact;

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::{BuildError, PrometheusHandle};
use thiserror::Error;

pub use log::{Format, LogSettings, check_level};
pub use redact::redact;

/// How often what histograms have gathered is summed up, so that it does not grow when nobody asks for the metrics.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Why there is no telemetry.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// The level is no filter.
    #[error("the log level {given:?} cannot be read: {problem}")]
    Level {
        /// What was given.
        given: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Logs were set up before in this process.
    #[error("logs are set up already")]
    LogInstalled,
    /// Metrics could not be set up, for instance as they were before.
    #[error("metrics could not be set up: {0}")]
    Metrics(#[from] BuildError),
    /// The thread that sums up histograms could not be started.
    #[error("the thread for metrics could not be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// The logs and metrics of this process.
#[derive(Clone)]
pub struct Telemetry {
    handle: PrometheusHandle,
    /// Held by every clone; the upkeep thread ends when the last one is gone.
    started: Arc<Instant>,
}

/// Sets up logs and metrics for the whole process; can be done once.
///
/// # Errors
/// [`TelemetryError`].
pub fn init(settings: &LogSettings) -> Result<Telemetry, TelemetryError> {
    log::install(settings, std::io::stderr().is_terminal())?;
    Ok(Telemetry::start(metric::builder()?.install_recorder()?)?)
}

impl Telemetry {
    fn start(handle: PrometheusHandle) -> std::io::Result<Self> {
        metric::describe();
        let started = Arc::new(Instant::now());
        let alive = Arc::downgrade(&started);
        let upkeep = handle.clone();
        std::thread::Builder::new().name("metrics".to_owned()).spawn(move || {
            while alive.upgrade().is_some() {
                std::thread::sleep(UPKEEP_INTERVAL);
                upkeep.run_upkeep();
            }
        })?;
        Ok(Self { handle, started })
    }

    /// The metrics in the text format of Prometheus.
    #[must_use]
    pub fn render_metrics(&self) -> String {
        process::record(self.started.elapsed());
        self.handle.render()
    }
}
