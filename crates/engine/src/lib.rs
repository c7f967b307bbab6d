//! The roles of Ordermill: what is done outside the ledger, and the auditor.
//!
//! A role takes deliveries from the bus, looks at the ledger, does its outside work bounded and concurrently, and submits results
//! and acknowledgements together. Which events reach it and how it retries stands in [`ordermill_core::process::TABLE`].
//!
//! Architecture invariant: roles hold nothing that matters. Kill the process at any instruction and start it again: the same
//! deliveries come again, and what the ledger says decides what is left to do.

pub mod archive_object;
pub mod audit;
pub mod mail;
pub mod moving;
pub mod record_object;
mod roles;
mod settings;
mod worker;

use std::sync::Arc;

use ordermill_core::process::Role;
use ordermill_ports::{Bus, Clock, Ledger, Mailer, Objects, Payments, Publisher, Queries, Random};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use mail::{TemplateError, Templates};
pub use settings::{BatchLimits, RecordsLayout, Settings};
use worker::Worker;

/// Everything the roles work with.
#[derive(Clone)]
pub struct Parts {
    /// Where results go.
    pub ledger: Arc<dyn Ledger>,
    /// Where a role looks before it acts.
    pub queries: Arc<dyn Queries>,
    /// Where deliveries come from.
    pub bus: Arc<dyn Bus>,
    /// The payment provider.
    pub payments: Arc<dyn Payments>,
    /// The mail server or store.
    pub mailer: Arc<dyn Mailer>,
    /// Where the archive and the records lie.
    pub objects: Arc<dyn Objects>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for jitter.
    pub random: Arc<dyn Random>,
    /// What mails look like.
    pub templates: Arc<Templates>,
    /// The broker that carries the events to the roles; `None` = the ledger's own bus does, and the relay has nothing to do.
    pub publisher: Option<Arc<dyn Publisher>>,
}

/// Roles at work.
pub struct Running {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    grace: std::time::Duration,
}

/// Starts these roles, each as a task of its own. A role that the engine has no loop for (the interface) is passed over.
///
/// Must be called within a tokio runtime.
#[must_use]
pub fn start(parts: Parts, settings: Settings, roles: &[Role]) -> Running {
    let (stop, stopping) = watch::channel(false);
    let parts = Arc::new(parts);
    let settings = Arc::new(settings);
    let mut tasks = JoinSet::new();
    for &role in roles {
        let worker = Worker::new(role, Arc::clone(&parts), Arc::clone(&settings), stopping.clone());
        if let Some(supervised) = roles::supervise(worker) {
            tasks.spawn(supervised);
        }
    }
    tasks.spawn(roles::gauges::keep(parts, roles.to_vec(), stopping));
    Running { stop, tasks, grace: settings.stop_grace }
}

impl Running {
    /// Takes nothing new, lets what is under way come to its end for the grace time, and returns. What is cut off then is
    /// delivered again at the next start.
    pub async fn stop(mut self) {
        // No receiver is left only when every role has ended already.
        let _ = self.stop.send(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(self.grace, ended).await.is_err() {
            tracing::warn!(
                grace_ms = self.grace.as_millis(),
                "roles still had work under way at the end of the grace time"
            );
            self.tasks.shutdown().await;
        }
    }
}
