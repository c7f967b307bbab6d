//! The port.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ordermill_core::process::Role;
use ordermill_ports::bus::{Bus, BusError, DeadLetter, Delivery, Lag};

use super::state::{Gap, Next};
use super::{dead_letters, lag, read};
use crate::PgLedger;
use crate::error::StoreError;

/// The longest sleep while a parked delivery waits: the clock it is due by may be another than the machine's.
const NAP_MAX: Duration = Duration::from_millis(250);

/// Events read from the table at a time by a role that is behind.
const CATCH_UP: usize = 4_096;

#[async_trait]
impl Bus for PgLedger {
    async fn receive(&self, role: Role, max: usize) -> Result<Vec<Delivery>, BusError> {
        let shared = &self.shared;
        let seat = shared.bus.seat(role);
        let max = max.max(1);
        if seat.kinds == 0 && !seat.is_fed_elsewhere {
            // No event ever reaches it.
            return std::future::pending().await;
        }
        if !seat.is_run.swap(true, Ordering::AcqRel) {
            shared.notify.poke_leases();
        }
        loop {
            let mut bell = std::pin::pin!(seat.bell.notified());
            // Enabled before the look, so that nothing that comes in between is missed.
            bell.as_mut().enable();
            let now = shared.now();
            // Hands out under the lock, with no await behind: a caller that goes away was handed nothing.
            let next = {
                let (mut state, instant) = (seat.state.lock(), Instant::now());
                let next = state.next(&shared.bus.feed, max, now, instant);
                if state.runs_low(now, instant) {
                    seat.reader.notify_one();
                }
                next
            };
            match next {
                Next::Deliveries(deliveries) => return Ok(deliveries),
                Next::Behind(gap) => {
                    let deliveries = self.catch_up(role, gap, max).await?;
                    if !deliveries.is_empty() {
                        return Ok(deliveries);
                    }
                }
                Next::Nothing(None) => bell.await,
                Next::Nothing(Some(due)) => {
                    let wait = Duration::try_from(due.duration_since(now)).unwrap_or_default();
                    // Whichever comes first; either way the role looks again.
                    let _ = tokio::time::timeout(wait.clamp(Duration::from_millis(1), NAP_MAX), bell).await;
                }
            }
        }
    }

    async fn give_back(&self, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            let seat = self.shared.bus.seat(delivery.role);
            seat.state.lock().give_back(&delivery);
            seat.bell.notify_waiters();
        }
    }

    async fn reclaim(&self, role: Role) {
        let seat = self.shared.bus.seat(role);
        seat.state.lock().reclaim();
        seat.bell.notify_waiters();
    }

    async fn leave(&self, role: Role) {
        let seat = self.shared.bus.seat(role);
        if seat.is_run.swap(false, Ordering::AcqRel) {
            seat.is_left.store(true, Ordering::Release);
            self.shared.notify.poke_leases();
        }
    }

    fn history(&self) -> u64 {
        self.shared.bus.history.load(Ordering::Acquire)
    }

    async fn dead_letters(&self, after: Option<u64>, limit: usize) -> Result<Vec<DeadLetter>, BusError> {
        Ok(dead_letters::list(&self.shared, after, limit).await?)
    }

    async fn redrive(&self, ids: &[u64]) -> Result<Vec<u64>, BusError> {
        Ok(dead_letters::redrive(&self.shared, ids).await?)
    }

    async fn lag(&self, role: Role) -> Result<Lag, BusError> {
        Ok(lag::lag(&self.shared, role).await?)
    }
}

impl PgLedger {
    /// Reads what a role is behind with, where memory does not reach back to it.
    async fn catch_up(&self, role: Role, gap: Gap, max: usize) -> Result<Vec<Delivery>, StoreError> {
        let shared = &self.shared;
        let seat_kinds = shared.bus.seat(role).kinds;
        // Everything up to here is committed, so that what is not read below is not there.
        let mut end = shared.bus.feed.last();
        let events = {
            let client = shared.pool.client().await?;
            read::headers_within(&client, seat_kinds, gap, end, CATCH_UP).await?
        };
        if events.len() == CATCH_UP {
            end = events.last().map_or(end, |(position, _)| *position);
        }
        Ok(shared.bus.seat(role).state.lock().catch_up(gap, &events, end, max))
    }
}
