//! One file per role.

mod archive;
mod inventory;
mod notifications;
mod payments;
mod records;
mod relay;
mod sweeper;
mod tracking;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ordermill_core::process::Role;
use tokio::sync::watch;

use crate::Parts;
use crate::worker::Worker;

/// How often the lag of each role is measured.
const LAG_INTERVAL: Duration = Duration::from_secs(1);

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

/// Keeps the gauges of how far each role is behind: those that run here, and the relay, without which none of them gets anything.
pub(crate) async fn report_lag(parts: Arc<Parts>, mut roles: Vec<Role>, mut stopping: watch::Receiver<bool>) {
    roles.retain(|role| !role.reacts_to().is_empty());
    if parts.bus.is_relayed() {
        roles.push(Role::Relay);
    }
    loop {
        for role in roles.iter().copied() {
            let Ok(lag) = parts.bus.lag(role).await else { continue };
            let name = role.as_str();
            let age = lag.oldest.map_or(0.0, |oldest| parts.clock.now().duration_since(oldest).as_secs_f64());
            metrics::gauge!("ordermill_role_lag", "role" => name).set(lag.events as f64);
            metrics::gauge!("ordermill_role_parked", "role" => name).set(lag.parked as f64);
            metrics::gauge!("ordermill_role_oldest_age_seconds", "role" => name).set(age.max(0.0));
        }
        let stopped = stopping.wait_for(|stop| *stop);
        if tokio::time::timeout(LAG_INTERVAL, stopped).await.is_ok() {
            return;
        }
    }
}
