//! Gauges for whoever watches: how far roles are behind, and what waits for a person.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use ordermill_core::process::Role;
use ordermill_ports::Bus;
use ordermill_ports::bus::{BusError, each_dead_letter};
use tokio::sync::watch;

use crate::Parts;

/// How often the lag of each role is measured.
const INTERVAL: Duration = Duration::from_secs(1);
/// What waits for a person changes seldom, and takes a walk to count: that is done once in so many intervals.
const FOR_PEOPLE_EVERY: u32 = 10;
/// Dead letters that are counted at most. More are as bad.
const DEAD_LETTERS_MAX: usize = 10_000;

/// Keeps the gauges of the roles that run here, and of the relay, without which none of them gets anything; and those of what waits for a
/// person, which are of the whole ledger. A panic while one is measured costs that measurement: people are woken by these, so they must not
/// stand still for good.
pub(crate) async fn keep(parts: Arc<Parts>, mut roles: Vec<Role>, mut stopping: watch::Receiver<bool>) {
    roles.retain(|role| !role.reacts_to().is_empty());
    if parts.bus.is_relayed() {
        roles.push(Role::Relay);
    }
    let measure = async {
        for round in (0..FOR_PEOPLE_EVERY).cycle() {
            for role in roles.iter().copied() {
                guarded(tell_lag(&parts, role)).await;
            }
            if round == 0 {
                guarded(tell_attention(&parts)).await;
                guarded(tell_dead_letters(&parts)).await;
            }
            tokio::time::sleep(INTERVAL).await;
        }
    };
    // A broker that is away is asked for long: the end does not wait for that.
    tokio::select! {
        _ = stopping.wait_for(|stop| *stop) => {}
        () = measure => {}
    }
}

async fn guarded(measuring: impl Future<Output = ()>) {
    if AssertUnwindSafe(measuring).catch_unwind().await.is_err() {
        tracing::error!("measuring a gauge panicked; it is measured again next time");
    }
}

async fn tell_lag(parts: &Parts, role: Role) {
    let Ok(lag) = parts.bus.lag(role).await else { return };
    let name = role.as_str();
    let age = lag.oldest.map_or(0.0, |oldest| parts.clock.now().duration_since(oldest).as_secs_f64());
    metrics::gauge!("ordermill_role_lag", "role" => name).set(lag.events as f64);
    metrics::gauge!("ordermill_role_parked", "role" => name).set(lag.parked as f64);
    metrics::gauge!("ordermill_role_oldest_age_seconds", "role" => name).set(age.max(0.0));
}

/// What cannot be read now keeps the value it had.
async fn tell_attention(parts: &Parts) {
    if let Ok(counts) = parts.queries.counts().await {
        metrics::gauge!("ordermill_attention_orders").set(counts.attention as f64);
    }
}

/// Likewise.
async fn tell_dead_letters(parts: &Parts) {
    if let Ok(letters) = dead_letters(&*parts.bus).await {
        for role in Role::ALL {
            let count = letters.get(&role).copied().unwrap_or(0);
            metrics::gauge!("ordermill_dead_letters", "role" => role.as_str()).set(f64::from(count));
        }
    }
}

async fn dead_letters(bus: &dyn Bus) -> Result<BTreeMap<Role, u32>, BusError> {
    let mut counts = BTreeMap::new();
    each_dead_letter(bus, DEAD_LETTERS_MAX, |letter| *counts.entry(letter.delivery.role).or_insert(0) += 1).await?;
    Ok(counts)
}
