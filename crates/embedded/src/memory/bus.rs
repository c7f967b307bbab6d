//! The ledger's own events as deliveries.

use std::time::Duration;

use async_trait::async_trait;
use ordermill_core::Timestamp;
use ordermill_core::process::Role;
use ordermill_ports::bus::{Bus, BusError, DeadLetter, Delivery, Lag};
use tokio::time::timeout;

use super::MemoryLedger;

/// A receiver that waits for a parked delivery looks at the clock this often, as the clock may be set.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

#[async_trait]
impl Bus for MemoryLedger {
    async fn receive(&self, role: Role, max: usize) -> Result<Vec<Delivery>, BusError> {
        let max = max.max(1);
        let bell = &self.bells[role as usize];
        loop {
            let now = self.now();
            let (batch, next_due) = {
                let mut state = self.state.lock();
                let state = &mut *state;
                let deliveries = &mut state.deliveries[role as usize];
                (deliveries.hand_out(&state.log, max, now), deliveries.next_due())
            };
            if !batch.is_empty() {
                if batch.len() == max {
                    // There may be more, for another receiver of this role.
                    self.ring(role);
                }
                return Ok(batch);
            }
            // A bell that rang since the look above is remembered.
            match next_due {
                Some(due) => {
                    // Whether it rang or not, the next look tells what there is.
                    let _ = timeout(wait_until(due, now), bell.notified()).await;
                }
                None => bell.notified().await,
            }
        }
    }

    async fn give_back(&self, deliveries: Vec<Delivery>) {
        let mut state = self.state.lock();
        for delivery in deliveries {
            state.deliveries[delivery.role as usize].give_back(&delivery);
            self.ring(delivery.role);
        }
    }

    async fn reclaim(&self, role: Role) {
        self.state.lock().deliveries[role as usize].reclaim();
        self.ring(role);
    }

    async fn dead_letters(&self, after: Option<u64>, limit: usize) -> Result<Vec<DeadLetter>, BusError> {
        let first = after.map_or(0, |after| after.saturating_add(1));
        Ok(self.state.lock().dead_letters.range(first..).take(limit).map(|(_, letter)| letter.clone()).collect())
    }

    async fn redrive(&self, ids: &[u64]) -> Result<Vec<u64>, BusError> {
        let mut state = self.state.lock();
        let revive = |id: &u64| state.redrive(*id).map(|role| self.ring(role)).is_some();
        Ok(ids.iter().copied().filter(revive).collect())
    }

    async fn lag(&self, role: Role) -> Result<Lag, BusError> {
        let state = self.state.lock();
        Ok(state.deliveries[role as usize].lag(&state.log))
    }
}

fn wait_until(due: Timestamp, now: Timestamp) -> Duration {
    let wait = Duration::try_from(due.duration_since(now)).unwrap_or(Duration::ZERO);
    wait.clamp(Duration::from_millis(1), LOOK_INTERVAL)
}
