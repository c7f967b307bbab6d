//! Settlements, in the commit of the inputs that they came with.
//!
//! What memory says was handed out decides whether a settlement counts; the lease's row, locked, decides whether memory may still say
//! so. A process that was fenced off settles nothing, and what it submits beside its settlements is taken all the same.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use jiff::SignedDuration;
use ordermill_core::Timestamp;
use ordermill_core::process::Role;
use ordermill_ports::bus::{Delivery, Settle, Settlement};

use super::foreign::{self, Foreign};
use super::state::{Handed, State};
use super::{Bus, Newest};
use crate::codec::{int, storable, version_int};
use crate::connect::Tx;
use crate::error::StoreError;
use crate::notify;
use crate::read::Param;
use crate::shared::Shared;
use tokio_postgres::types::ToSql;

/// Events between a cursor and what was handed out last, before a delivery that holds the cursor back is parked.
const WINDOW: u64 = 16 * 1024;

/// When a delivery that was parked for holding a cursor back is due, should its process lose the lease before it is settled.
const SPILLED_DUE: SignedDuration = SignedDuration::from_secs(30);

/// Locks those of some leases that are still this process's.
static FENCE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT role, partition, token, {} FROM leases
         WHERE owner = $5 AND (role, partition) IN (SELECT * FROM unnest($6::text[], $7::smallint[]))
         ORDER BY role, partition FOR NO KEY UPDATE OF leases",
        Newest::IS_THERE
    )
});

/// A partition of a role.
type Place = (Role, u8);

/// What a commit's settlements change in this process once it is committed. Dropped before that, it leaves everything as it was.
#[derive(Default)]
pub(crate) struct Staged {
    bus: Option<Arc<Bus>>,
    items: Vec<Item>,
    /// The newest position that the server was asked for. No cursor goes beyond it.
    newest: u64,
    /// How far each cursor goes.
    cursors: BTreeMap<Place, Cursor>,
    /// What has a row now, so that it holds no cursor back.
    spilled: Vec<(Place, u64, u32)>,
    /// Of what a broker handed out.
    foreign: Foreign,
    /// What of that has a row now.
    parked: Vec<foreign::Parked>,
}

/// A settlement that counts.
struct Item {
    place: Place,
    token: i64,
    delivery: Delivery,
    /// Whether the delivery has a row in `parked`.
    stored: bool,
    /// Whether it may have one there, or in `dead_letters`.
    in_doubt: bool,
    how: Settle,
}

struct Cursor {
    token: i64,
    position: u64,
    moved: bool,
}

/// Writes what becomes of deliveries. The writer calls it once per batch, in its transaction, behind the decisions and its own row
/// writes and before it locks the feed's head. It locks the leases concerned, in their order.
pub(crate) async fn stage(
    shared: &Shared,
    tx: &Tx,
    settlements: &[Settlement],
    now: Timestamp,
) -> Result<Staged, StoreError> {
    let mut staged = Staged::mark(&shared.bus, settlements);
    if !staged.items.is_empty() {
        staged.fence(shared, tx).await?;
        staged.move_cursors();
        staged.write(tx, now).await?;
    }
    if !staged.foreign.is_empty() {
        staged.parked = std::mem::take(&mut staged.foreign).write(shared, tx, now).await?;
    }
    Ok(staged)
}

/// The transaction was committed.
pub(crate) fn committed(shared: &Shared, mut staged: Staged) {
    let mut left = false;
    for item in std::mem::take(&mut staged.items) {
        let Item { place: (role, partition), token, delivery, how, .. } = item;
        let seat = shared.bus.seat(role);
        let mut state = seat.state.lock();
        // Where the lease was lost and came back meanwhile, it may be handed out for the next try.
        if state.handed(delivery.position.0).is_some_and(|handed| handed.delivery.tries == delivery.tries) {
            state.settle(delivery.position.0);
        }
        let lease = state.leases[usize::from(partition)].as_ref().filter(|lease| lease.token == token);
        let Some(lease) = lease else { continue };
        left |= lease.leaving.is_some();
        if let Settle::Retry { due, .. } = how {
            let tries = delivery.tries.saturating_add(1);
            state.park(partition, Delivery { tries, ..delivery }, due);
            drop(state);
            seat.bell.notify_waiters();
        }
    }
    for ((role, partition), position, _) in std::mem::take(&mut staged.spilled) {
        shared.bus.seat(role).state.lock().stored(partition, position);
    }
    for ((role, partition), cursor) in &staged.cursors {
        if let Some(lease) = &mut shared.bus.seat(*role).state.lock().leases[usize::from(*partition)]
            && lease.token == cursor.token
        {
            lease.committed = lease.committed.max(cursor.position);
        }
    }
    foreign::committed(&shared.bus, std::mem::take(&mut staged.parked));
    if left {
        // A partition that is being given up may be free now.
        shared.notify.poke_leases();
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        let Some(bus) = &self.bus else { return };
        // Where nobody knows what became of the transaction, the rows that it wrote may be there.
        for item in &self.items {
            if let Some(handed) = bus.seat(item.place.0).state.lock().handed(item.delivery.position.0) {
                handed.settling = false;
                handed.in_doubt |= item.how != Settle::Ack;
            }
        }
        for ((role, _), position, _) in &self.spilled {
            if let Some(handed) = bus.seat(*role).state.lock().handed(*position) {
                handed.in_doubt = true;
            }
        }
    }
}

impl Staged {
    /// Takes the settlements that count: of what is handed out here, for the try that it is handed out for, each once.
    fn mark(bus: &Arc<Bus>, settlements: &[Settlement]) -> Self {
        let mut staged = Self::default();
        staged.bus = Some(Arc::clone(bus));
        for settlement in settlements {
            let Settlement { delivery, how } = settlement;
            let seat = bus.seat(delivery.role);
            let mut state = seat.state.lock();
            // What a broker delivers at a position may be of another history than what is known here.
            let is_it = |handed: &&mut Handed| {
                (&handed.delivery.subject, handed.delivery.version) == (&delivery.subject, delivery.version)
            };
            let Some(handed) = state.handed(delivery.position.0).filter(is_it) else {
                // A broker delivers for the first try; a later one was handed out here, under a lease that is lost.
                if seat.is_fed_elsewhere && delivery.tries == 0 {
                    staged.foreign.take(settlement);
                }
                continue;
            };
            if handed.settling || handed.delivery.tries != delivery.tries {
                continue;
            }
            handed.settling = true;
            let (partition, stored, in_doubt) = (handed.partition, handed.stored, handed.in_doubt);
            // What was handed out is forgotten with its lease, so there is one.
            let Some(lease) = &state.leases[usize::from(partition)] else { continue };
            let (place, token) = ((delivery.role, partition), lease.token);
            staged.items.push(Item { place, token, delivery: delivery.clone(), stored, in_doubt, how: how.clone() });
        }
        staged
    }

    /// Locks the leases, and leaves out what was handed out under one that is another's by now; everything where the server has lost commits
    /// that this process knows of, as it does behind a failover to a standby that was behind: what was handed out is of another history, and
    /// a cursor would go past what is new in this one.
    async fn fence(&mut self, shared: &Shared, tx: &Tx) -> Result<(), StoreError> {
        let tokens: BTreeMap<Place, i64> = self.items.iter().map(|item| (item.place, item.token)).collect();
        let (roles, partitions) = columns(tokens.keys());
        let newest = shared.bus.feed.newest();
        let (known, kind, subject, version) = newest.params();
        let statement = tx.prepare_cached(&FENCE).await?;
        let params: [Param<'_>; 7] = [&known, &kind, &subject, &version, &shared.bus.process, &roles, &partitions];
        let rows = tx.query(&statement, &params).await?;
        let is_past = rows.first().is_some_and(|row| !row.get::<_, bool>(3));
        if is_past {
            notify::look_again(shared);
        }
        let ours = rows.iter().filter(|_| !is_past).map(|row| ((row.get(0), row.get(1)), row.get(2)));
        let ours: BTreeMap<(&str, i16), i64> = ours.collect();
        self.newest = newest.position;
        for ((role, partition), token) in tokens {
            if ours.get(&(role.as_str(), i16::from(partition))) != Some(&token) {
                shared.bus.fenced(role, partition, token);
                shared.notify.poke_leases();
                // What was handed out went with the lease, so that no mark is left to take back.
                self.items.retain(|item| item.place != (role, partition));
            } else {
                self.cursors.insert((role, partition), Cursor { token, position: 0, moved: false });
            }
        }
        Ok(())
    }

    /// Finds out how far the cursors go, and parks what holds one back for too long: then it moves on, and after a crash the many
    /// that were settled behind it do not come again.
    fn move_cursors(&mut self) {
        let Some(bus) = self.bus.clone() else { return };
        let settled: BTreeSet<(Role, u64)> =
            self.items.iter().map(|item| (item.place.0, item.delivery.position.0)).collect();
        for ((role, partition), cursor) in &mut self.cursors {
            let state = bus.seat(*role).state.lock();
            let mut gone = BTreeSet::new();
            if state.distance(*partition) > WINDOW {
                let laggards = state.laggards(*partition).into_iter();
                for (position, tries) in laggards.filter(|(position, _)| !settled.contains(&(*role, *position))) {
                    gone.insert(position);
                    self.spilled.push(((*role, *partition), position, tries));
                }
            }
            let is_settled = |position| settled.contains(&(*role, position));
            cursor.position = watermark(&state, *partition, is_settled, &gone).min(self.newest);
            let committed = state.leases[usize::from(*partition)].as_ref().map_or(u64::MAX, |lease| lease.committed);
            cursor.moved = cursor.position > committed;
        }
    }

    async fn write(&self, tx: &Tx, now: Timestamp) -> Result<(), StoreError> {
        // Sent together: none waits for the answer of another.
        tokio::try_join!(
            self.write_cursors(tx),
            self.write_parked(tx, now),
            self.delete(tx, "parked", |item| (item.stored || item.in_doubt)
                && !matches!(item.how, Settle::Retry { .. })),
            self.delete(tx, "dead_letters", |item| item.in_doubt && !matches!(item.how, Settle::DeadLetter { .. })),
            self.write_dead(tx, now)
        )?;
        Ok(())
    }

    async fn write_cursors(&self, tx: &Tx) -> Result<(), StoreError> {
        let moved: Vec<_> = self.cursors.iter().filter(|(_, cursor)| cursor.moved).collect();
        if moved.is_empty() {
            return Ok(());
        }
        let (roles, partitions) = columns(moved.iter().map(|(place, _)| *place));
        let positions: Vec<i64> = moved.iter().map(|(_, cursor)| int(cursor.position)).collect();
        let sql = "UPDATE leases AS l SET position = greatest(l.position, c.position)
                   FROM unnest($1::text[], $2::smallint[], $3::bigint[]) AS c (role, partition, position)
                   WHERE l.role = c.role AND l.partition = c.partition";
        tx.execute(&tx.prepare_cached(sql).await?, &[&roles, &partitions, &positions]).await?;
        Ok(())
    }

    async fn write_parked(&self, tx: &Tx, now: Timestamp) -> Result<(), StoreError> {
        let mut rows = Rows::default();
        for item in &self.items {
            if let Settle::Retry { due, reason } = &item.how {
                let tries = item.delivery.tries.saturating_add(1);
                rows.push(item.place, item.delivery.position.0, tries, reason, *due);
            }
        }
        let due = now.saturating_add(SPILLED_DUE).unwrap_or(now);
        for (place, position, tries) in &self.spilled {
            rows.push(*place, *position, *tries, "not settled yet", due);
        }
        if rows.roles.is_empty() {
            return Ok(());
        }
        let sql = "INSERT INTO parked (role, partition, position, tries, reason, due)
                   SELECT * FROM unnest($1::text[], $2::smallint[], $3::bigint[], $4::integer[], $5::text[], $6::timestamptz[])
                   ON CONFLICT (role, position)
                   DO UPDATE SET tries = excluded.tries, reason = excluded.reason, due = excluded.due, redriven = false";
        rows.execute(tx, sql).await
    }

    /// Deletes the rows of deliveries in a table.
    async fn delete(&self, tx: &Tx, table: &str, is_gone: impl Fn(&Item) -> bool) -> Result<(), StoreError> {
        let gone = self.items.iter().filter(|item| is_gone(item));
        let (roles, positions): (Vec<&str>, Vec<i64>) =
            gone.map(|item| (item.place.0.as_str(), int(item.delivery.position.0))).unzip();
        if roles.is_empty() {
            return Ok(());
        }
        let sql =
            format!("DELETE FROM {table} WHERE (role, position) IN (SELECT * FROM unnest($1::text[], $2::bigint[]))");
        tx.execute(&tx.prepare_cached(&sql).await?, &[&roles, &positions]).await?;
        Ok(())
    }

    async fn write_dead(&self, tx: &Tx, now: Timestamp) -> Result<(), StoreError> {
        let mut rows = Rows::default();
        for item in &self.items {
            if let Settle::DeadLetter { reason } = &item.how {
                let tries = item.delivery.tries.saturating_add(1);
                rows.push(item.place, item.delivery.position.0, tries, reason, now);
            }
        }
        if rows.roles.is_empty() {
            return Ok(());
        }
        let sql = "INSERT INTO dead_letters (role, partition, position, tries, reason, since)
                   SELECT * FROM unnest($1::text[], $2::smallint[], $3::bigint[], $4::integer[], $5::text[], $6::timestamptz[])
                   ON CONFLICT (role, position) DO NOTHING";
        rows.execute(tx, sql).await
    }
}

/// Rows about deliveries, column by column.
#[derive(Default)]
pub(super) struct Rows<'a> {
    roles: Vec<&'static str>,
    partitions: Vec<i16>,
    positions: Vec<i64>,
    tries: Vec<i32>,
    reasons: Vec<Cow<'a, str>>,
    times: Vec<Timestamp>,
}

impl<'a> Rows<'a> {
    pub(super) fn push(
        &mut self,
        (role, partition): Place,
        position: u64,
        tries: u32,
        reason: &'a str,
        time: Timestamp,
    ) {
        self.roles.push(role.as_str());
        self.partitions.push(i16::from(partition));
        self.positions.push(int(position));
        self.tries.push(version_int(tries));
        // One that cannot be written would come again without end.
        self.reasons.push(storable(reason));
        self.times.push(time);
    }

    async fn execute(&self, tx: &Tx, sql: &str) -> Result<(), StoreError> {
        tx.execute(&tx.prepare_cached(sql).await?, &self.params()).await?;
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.roles.is_empty()
    }

    /// The columns: role, partition, position, tries, reason, time.
    pub(super) fn params(&self) -> [&(dyn ToSql + Sync); 6] {
        let Self { roles, partitions, positions, tries, reasons, times } = self;
        [roles, partitions, positions, tries, reasons, times]
    }
}

fn watermark(state: &State, partition: u8, is_settled: impl Fn(u64) -> bool, gone: &BTreeSet<u64>) -> u64 {
    state.watermark(partition, |position| is_settled(position) || gone.contains(&position))
}

/// Places as two columns.
pub(super) fn columns<'a>(places: impl Iterator<Item = &'a Place>) -> (Vec<&'static str>, Vec<i16>) {
    places.map(|(role, partition)| (role.as_str(), i16::from(*partition))).unzip()
}
