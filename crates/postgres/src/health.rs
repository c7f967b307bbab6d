//! Whether commits go through.

use std::sync::Arc;

use parking_lot::RwLock;

/// What keeps commits from going through at present.
#[derive(Default)]
pub(crate) struct Health(RwLock<Option<Arc<str>>>);

impl Health {
    /// Why commits fail; `None` while they go through.
    pub(crate) fn problem(&self) -> Option<Arc<str>> {
        self.0.read().clone()
    }

    /// A commit failed for a reason that concerns all of them.
    pub(crate) fn failed(&self, reason: &str) {
        let mut problem = self.0.write();
        if problem.is_none() {
            tracing::error!(reason, "the ledger cannot commit");
        }
        *problem = Some(reason.into());
    }

    /// Something was committed.
    pub(crate) fn succeeded(&self) {
        if self.0.read().is_some() && self.0.write().take().is_some() {
            tracing::info!("the ledger commits again");
        }
    }
}
