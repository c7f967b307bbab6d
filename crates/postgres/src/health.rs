//! Whether commits go through.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

/// What keeps commits from going through at present.
#[derive(Default)]
pub(crate) struct Health {
    problem: RwLock<Option<Arc<str>>>,
    /// What was refused for it, without a try.
    refused: AtomicU64,
}

impl Health {
    /// Why commits fail; `None` while they go through.
    pub(crate) fn problem(&self) -> Option<Arc<str>> {
        self.problem.read().clone()
    }

    /// A commit failed for a reason that concerns all of them.
    pub(crate) fn failed(&self, reason: &str) {
        let mut problem = self.problem.write();
        if problem.is_none() {
            tracing::error!(reason, "the ledger cannot commit");
        }
        *problem = Some(reason.into());
    }

    /// So much was refused, as it would not have been committed.
    pub(crate) fn refused(&self, inputs: usize) {
        self.refused.fetch_add(inputs as u64, Ordering::Relaxed);
    }

    /// Something was committed.
    pub(crate) fn succeeded(&self) {
        if self.problem.read().is_some() && self.problem.write().take().is_some() {
            let refused = self.refused.swap(0, Ordering::Relaxed);
            tracing::info!(refused, "the ledger commits again");
        }
    }
}
