//! Whether commits go through.

use std::sync::Arc;

use parking_lot::Mutex;

/// Failed commits in a row after which no intake is taken any more.
const FAILURES_MAX: u32 = 3;

#[derive(Debug, Default)]
struct State {
    failures: u32,
    reason: Option<Arc<str>>,
}

/// What the last commits came to.
#[derive(Debug, Default)]
pub(super) struct Health {
    state: Mutex<State>,
}

impl Health {
    /// A commit went through.
    pub(super) fn succeeded(&self) {
        let mut state = self.state.lock();
        if state.reason.take().is_some() {
            tracing::warn!(failures = state.failures, "the ledger commits again");
        }
        state.failures = 0;
    }

    /// A commit failed.
    pub(super) fn failed(&self, reason: &str) {
        let mut state = self.state.lock();
        state.failures = state.failures.saturating_add(1);
        if state.reason.is_none() {
            tracing::error!(reason, "the ledger cannot commit; it is not ready until a commit goes through");
        }
        state.reason = Some(reason.into());
    }

    /// Why commits fail at present; `None` when they do not.
    pub(super) fn problem(&self) -> Option<Arc<str>> {
        self.state.lock().reason.clone()
    }

    /// Why intake is refused at present; `None` when it is not.
    pub(super) fn refusal(&self) -> Option<Arc<str>> {
        let state = self.state.lock();
        state.reason.clone().filter(|_| state.failures >= FAILURES_MAX)
    }
}
