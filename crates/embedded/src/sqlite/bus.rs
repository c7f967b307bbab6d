//! Committed events on their way to roles: from memory, or from the event table for a role that is far behind.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ordermill_core::Timestamp;
use ordermill_core::process::Role;
use ordermill_ports::bus::{Bus, BusError, DeadLetter, Delivery, Lag};
use ordermill_ports::queries::QueryError;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::SqliteLedger;
use super::codec::{instant, int, natural};
use super::error::StoreError;
use super::read;
use super::roles::{Next, delivery};
use super::shared::Shared;
use super::writer::lanes::Command;

/// The longest sleep while a parked delivery waits: the clock it is due by may be another than the machine's.
const NAP_MAX: Duration = Duration::from_millis(250);

/// Events read from the table at a time by a role that is behind.
const CATCH_UP: usize = 4_096;

#[async_trait]
impl Bus for SqliteLedger {
    async fn receive(&self, role: Role, max: usize) -> Result<Vec<Delivery>, BusError> {
        let seat = self.shared.roles.seat(role);
        let max = max.max(1);
        loop {
            let mut bell = std::pin::pin!(seat.bell.notified());
            // Enabled before the look, so that nothing that comes in between is missed.
            bell.as_mut().enable();
            let now = self.shared.clock.now();
            // Hands out under the lock, with no await behind: a caller that goes away was handed nothing.
            let next = seat.state.lock().next(&self.shared.feed, max, now);
            match next {
                Next::Deliveries(deliveries) => return Ok(deliveries),
                Next::Behind(from) => {
                    let shared = Arc::clone(&self.shared);
                    let load = move |conn: &Connection| read::entries(conn, &shared.types, from, CATCH_UP);
                    let (events, end) = self.readers.read(load).await.map_err(bus_error)?;
                    let deliveries = seat.state.lock().catch_up(from, events, end, max);
                    if !deliveries.is_empty() {
                        return Ok(deliveries);
                    }
                }
                Next::Nothing(None) => bell.await,
                Next::Nothing(Some(due)) => {
                    let wait = Duration::try_from(due.duration_since(now)).unwrap_or_default();
                    // Whichever comes first; either way the role looks again.
                    let _ = tokio::time::timeout(wait.min(NAP_MAX), bell).await;
                }
            }
        }
    }

    async fn give_back(&self, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            let seat = self.shared.roles.seat(delivery.role);
            seat.state.lock().give_back(delivery.position.0);
            seat.bell.notify_waiters();
        }
    }

    async fn reclaim(&self, role: Role) {
        let seat = self.shared.roles.seat(role);
        seat.state.lock().reclaim();
        seat.bell.notify_waiters();
    }

    async fn dead_letters(&self, after: Option<u64>, limit: usize) -> Result<Vec<DeadLetter>, BusError> {
        let shared = Arc::clone(&self.shared);
        let load = move |conn: &Connection| dead_letters(conn, &shared, after, limit);
        self.readers.read(load).await.map_err(bus_error)
    }

    async fn redrive(&self, ids: &[u64]) -> Result<Vec<u64>, BusError> {
        let (reply, answer) = oneshot::channel();
        if !self.shared.lanes.command(Command::Redrive { ids: ids.to_vec(), reply }) {
            return Err(BusError::Ledger("it is closing".to_owned()));
        }
        answer.await.map_err(|_| BusError::Ledger("it could not commit".to_owned()))
    }

    async fn lag(&self, role: Role) -> Result<Lag, BusError> {
        let (shared, feed) = (Arc::clone(&self.shared), &self.shared.feed);
        let (head, interests, mut lag) = {
            let mut state = self.shared.roles.seat(role).state.lock();
            state.pass_over(feed);
            let events = feed.last().saturating_sub(state.watermark(|_| false));
            (state.head(), state.interests(), Lag { events, parked: state.parked(), oldest: state.oldest() })
        };
        if head < feed.last() && interests != 0 {
            let mut next = None;
            let in_reach = feed.scan(head, |_, entry| {
                next = Some(entry.at);
                false
            });
            if !in_reach {
                let load = move |conn: &Connection| read::entries(conn, &shared.types, head, 1);
                let (events, _) = self.readers.read(load).await.map_err(bus_error)?;
                next = events.first().map(|(_, entry)| entry.at);
            }
            lag.oldest = lag.oldest.into_iter().chain(next).min();
        }
        Ok(lag)
    }
}

fn bus_error(error: QueryError) -> BusError {
    BusError::Ledger(error.to_string())
}

fn dead_letters(
    conn: &Connection,
    shared: &Shared,
    after: Option<u64>,
    limit: usize,
) -> Result<Vec<DeadLetter>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT id, role, position, tries, reason, since FROM dead_letters WHERE id > ?1 ORDER BY id LIMIT ?2",
    )?;
    let mut rows = statement.query((int(after.unwrap_or(0)), i64::try_from(limit).unwrap_or(i64::MAX)))?;
    let mut letters = Vec::new();
    while let Some(row) = rows.next()? {
        let position = natural(row.get(2)?);
        let since = instant(row.get(5)?)?;
        if let Some(delivery) = stored(conn, shared, row.get_ref(1)?.as_str().unwrap_or(""), position, row.get(3)?)? {
            letters.push(DeadLetter { id: natural(row.get(0)?), delivery, reason: row.get(4)?, since });
        }
    }
    Ok(letters)
}

/// A stored delivery; `None` for a role or an event that this program does not know.
fn stored(
    conn: &Connection,
    shared: &Shared,
    role: &str,
    position: u64,
    tries: u32,
) -> Result<Option<Delivery>, StoreError> {
    let Some(role) = Role::from_name(role) else { return Ok(None) };
    let entry = read::entry(conn, &shared.types, position)?;
    Ok(entry.map(|entry| delivery(role, position, &entry, tries)))
}

/// Parks every delivery that was parked when the ledger was last open.
pub(super) fn load_parked(conn: &Connection, shared: &Shared) -> Result<(), StoreError> {
    let mut statement = conn.prepare("SELECT role, position, due, tries FROM parked")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (position, due): (u64, Timestamp) = (natural(row.get(1)?), instant(row.get(2)?)?);
        if let Some(delivery) = stored(conn, shared, row.get_ref(0)?.as_str().unwrap_or(""), position, row.get(3)?)? {
            shared.roles.seat(delivery.role).state.lock().park(delivery, due);
        }
    }
    Ok(())
}
