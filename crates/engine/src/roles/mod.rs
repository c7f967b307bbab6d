//! One file per role.

mod archive;
pub(crate) mod gauges;
mod inventory;
mod notifications;
mod payments;
mod records;
mod relay;
mod sweeper;
mod tracking;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ordermill_core::process::Role;

use crate::worker::Worker;

/// The loop of a role, begun again should it ever panic: one broken delivery must not end the others for good. `None` for roles
/// without a loop.
pub(crate) fn supervise(worker: Worker) -> Option<BoxFuture<'static, ()>> {
    let mut life = run(worker.again());
    life.as_ref()?;
    let supervised = async move {
        while let Some(role) = life.take() {
            if AssertUnwindSafe(role).catch_unwind().await.is_ok() {
                break;
            }
            metrics::counter!("ordermill_role_panics_total", "role" => worker.role.as_str()).increment(1);
            tracing::error!(role = worker.role.as_str(), "the role panicked; it starts again");
            tokio::time::sleep(Duration::from_secs(1)).await;
            // The life that ended took with it what it was handed.
            worker.parts.bus.reclaim(worker.role).await;
            life = run(worker.again());
        }
    };
    Some(supervised.boxed())
}

fn run(worker: Worker) -> Option<BoxFuture<'static, ()>> {
    match worker.role {
        Role::Payments => Some(payments::run(worker).boxed()),
        Role::Inventory => Some(inventory::run(worker).boxed()),
        Role::Notifications => Some(notifications::run(worker).boxed()),
        Role::Tracking => Some(tracking::run(worker).boxed()),
        Role::Archive => Some(archive::run(worker).boxed()),
        Role::Records => Some(records::run(worker).boxed()),
        Role::Sweeper => Some(sweeper::run(worker).boxed()),
        Role::Relay => {
            let publisher = worker.parts.publisher.clone()?;
            Some(relay::run(worker, publisher).boxed())
        }
        Role::Api => None,
    }
}
