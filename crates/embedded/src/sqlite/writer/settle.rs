//! Deliveries: what a settlement does to the tables, in the commit of the input that it came with.

use std::collections::HashSet;
use std::time::Duration;

use jiff::SignedDuration;
use ordermill_core::process::Role;
use ordermill_ports::bus::{Delivery, Settle, Settlement};

use super::super::codec::{int, micros, natural};
use super::super::error::StoreError;
use super::super::read;
use super::super::roles::{Seat, delivery};
use super::batch::Batch;
use super::overlay::Fate;

/// Events between a cursor and what was handed out last, before a delivery that holds the cursor back is parked.
const WINDOW: u64 = 16 * 1024;

/// Deliveries parked in one commit for holding a cursor back.
const SPILL_MAX: usize = 512;

/// When a delivery that was parked for holding the cursor back is due, should the process end before it is settled.
const LEASE: Duration = Duration::from_secs(30);

/// Events a cursor may move on in memory, for want of deliveries, before it is stored.
const CURSOR_STEP: u64 = 16 * 1024;

impl Batch<'_, '_> {
    /// Stages a settlement. Nothing happens where the delivery is not handed out, or is for another try: that one was settled before.
    pub(super) fn settle(&mut self, settlement: Settlement) -> Result<(), StoreError> {
        let (role, position) = (settlement.delivery.role, settlement.delivery.position.0);
        let handed = self.shared.roles.seat(role).state.lock().handed(position).cloned();
        let Some(handed) = handed.filter(|handed| handed.delivery.tries == settlement.delivery.tries) else {
            return Ok(());
        };
        if !self.overlay.settled.insert((role, position)) {
            return Ok(());
        }
        let tries = handed.delivery.tries.saturating_add(1);
        let row = (role.as_str(), int(position));
        let fate = match settlement.how {
            Settle::Ack => Fate::Done,
            Settle::Retry { due, reason } => {
                self.sql.put_parked.execute((row.0, row.1, micros(due), tries, reason))?;
                Fate::Parked(Delivery { tries, ..handed.delivery }, due)
            }
            Settle::DeadLetter { reason } => {
                self.sql.insert_dead.execute((row.0, row.1, tries, reason, micros(self.now)))?;
                Fate::Done
            }
        };
        if handed.stored && matches!(fate, Fate::Done) {
            self.sql.delete_parked.execute(row)?;
        }
        self.overlay.fates.push((role, position, fate));
        Ok(())
    }

    /// Parks dead letters anew, due at once, with no tries counted. Gives those that were there.
    pub(super) fn redrive(&mut self, ids: &[u64]) -> Result<Vec<u64>, StoreError> {
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            let Some((role, position)) = self.dead_letter(*id)? else { continue };
            let Some(event) = read::entry(self.conn, &self.shared.types, position)? else { continue };
            self.sql.delete_dead.execute([int(*id)])?;
            self.sql.put_parked.execute((role.as_str(), int(position), micros(self.now), 0, "redriven"))?;
            let delivery = delivery(role, position, &event, 0);
            self.overlay.fates.push((role, position, Fate::Parked(delivery, self.now)));
            found.push(*id);
        }
        Ok(found)
    }

    /// Whose dead letter this is; `None` where there is none, or it is of a role that this program does not know.
    fn dead_letter(&mut self, id: u64) -> Result<Option<(Role, u64)>, StoreError> {
        let mut rows = self.sql.select_dead.query([int(id)])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let role = row.get_ref(0)?.as_str().ok().and_then(Role::from_name);
        let position = natural(row.get(1)?);
        Ok(role.map(|role| (role, position)))
    }

    /// Moves the cursors of roles that settled something, and of those that have passed over many events.
    pub(super) fn move_cursors(&mut self) -> Result<(), StoreError> {
        let settled: HashSet<Role> = self.overlay.fates.iter().map(|(role, ..)| *role).collect();
        for seat in self.shared.roles.iter() {
            self.spill(seat)?;
            let (watermark, committed) = {
                let state = seat.state.lock();
                let gone = |position| {
                    let delivery = (seat.role, position);
                    self.overlay.settled.contains(&delivery) || self.overlay.spilled.contains(&delivery)
                };
                (state.watermark(gone), state.committed)
            };
            let due = settled.contains(&seat.role) && watermark > committed;
            if due || watermark > committed + CURSOR_STEP {
                self.sql.put_cursor.execute((seat.role.as_str(), int(watermark)))?;
                self.overlay.cursors.push((seat.role, watermark));
            }
        }
        Ok(())
    }

    /// Gives rows to deliveries that hold a cursor back for too long, so that it moves on: after a crash they come again by
    /// their rows, and the many that were settled behind them do not.
    fn spill(&mut self, seat: &Seat) -> Result<(), StoreError> {
        let laggards: Vec<Delivery> = {
            let state = seat.state.lock();
            if state.head() < state.committed + WINDOW {
                return Ok(());
            }
            let settled = &self.overlay.settled;
            let held = state.laggards(state.head() - WINDOW / 2);
            let held = held.filter(|handed| !settled.contains(&(seat.role, handed.delivery.position.0)));
            held.take(SPILL_MAX).map(|handed| handed.delivery.clone()).collect()
        };
        let lease = SignedDuration::try_from(LEASE).unwrap_or(SignedDuration::from_secs(30));
        let due = self.now.saturating_add(lease).unwrap_or(self.now);
        for delivery in laggards {
            let position = delivery.position.0;
            let row = (seat.role.as_str(), int(position), micros(due), delivery.tries, "not settled yet");
            self.sql.put_parked.execute(row)?;
            self.overlay.spilled.insert((seat.role, position));
            self.overlay.fates.push((seat.role, position, Fate::Stored));
        }
        Ok(())
    }
}
