//! Tells the log when a gateway begins to fail, and when it works again.

use std::fmt;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Between two reports that it begins to fail: what comes and goes all the time would fill the log.
const REPORTS_APART: Duration = Duration::from_secs(10);

/// What is told of a gateway, or of one operation of it. Failures in between are in the metrics, one by one.
pub(super) struct Trouble {
    gateway: &'static str,
    /// `None` where all of them work or fail together.
    operation: Option<&'static str>,
    /// It is told at this many failures in a row.
    tolerance: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Failures since the last call that worked.
    failures: u64,
    /// When the first of them was told, if it was.
    told: Option<Instant>,
    /// When it was told last that it fails.
    told_last: Option<Instant>,
}

impl Trouble {
    pub(super) fn new(gateway: &'static str, operation: Option<&'static str>, tolerance: u64) -> Self {
        Self { gateway, operation, tolerance, state: Mutex::default() }
    }

    /// What of a call failed, and why.
    pub(super) fn judge<E: fmt::Display>(&self, errors: &[&E]) {
        match errors.first() {
            Some(reason) => self.failed(errors.len() as u64, reason),
            None => self.worked(),
        }
    }

    /// So many things that a call was asked for failed, one of them for this reason, which names nobody.
    pub(super) fn failed(&self, failures: u64, reason: &dyn fmt::Display) {
        let mut state = self.state.lock();
        state.failures += failures;
        let now = Instant::now();
        let is_soon = state.told_last.is_some_and(|last| now.duration_since(last) < REPORTS_APART);
        if state.told.is_some() || state.failures < self.tolerance || is_soon {
            return;
        }
        (state.told, state.told_last) = (Some(now), Some(now));
        drop(state);
        let Self { gateway, operation, .. } = self;
        tracing::warn!(gateway, operation, %reason, "a gateway begins to fail");
    }

    /// A call did all it was asked for.
    pub(super) fn worked(&self) {
        let (failures, told) = {
            let mut state = self.state.lock();
            (std::mem::take(&mut state.failures), state.told.take())
        };
        let Some(since) = told else { return };
        let Self { gateway, operation, .. } = self;
        let after_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(gateway, operation, failures, after_ms, "a gateway works again");
    }
}
