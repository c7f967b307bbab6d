//! What the bus reads of the event table and of parked deliveries.

use ordermill_core::Timestamp;
use ordermill_core::event::EventType;
use ordermill_core::process::Role;
use ordermill_ports::bus::Delivery;
use tokio_postgres::Row;

use super::feed::{About, Entry};
use super::state::{Gap, bit, delivery};
use crate::codec::{get, int, limit, natural, small};
use crate::connect::Session;
use crate::error::StoreError;
use crate::read::{execute, rows};
use crate::shared::Shared;

/// How often parked deliveries are read again, as some were settled meanwhile, before it is left to the next time.
const RELOADS_MAX: usize = 3;

/// The columns [`entry`] reads of events, named `e`, in its order.
pub(super) const HEADER: &str = "e.position, e.subject_kind, e.subject, e.version, e.type, e.at, e.partition";

/// Reads an event without its data from a row with [`HEADER`], the first column at `offset`.
pub(super) fn entry(row: &Row, offset: usize) -> Result<(u64, Entry), StoreError> {
    let about = About::read(get(row, offset + 1)?, get(row, offset + 2)?);
    let kind = EventType::from_name(get(row, offset + 4)?);
    let partition = u8::try_from(get::<i16>(row, offset + 6)?).unwrap_or(0);
    let entry = Entry { about, version: small(get(row, offset + 3)?), kind, at: get(row, offset + 5)?, partition };
    Ok((natural(get(row, offset)?), entry))
}

/// Events behind a position, oldest first.
pub(crate) async fn headers_behind(
    client: &Session,
    after: u64,
    count: usize,
) -> Result<Vec<(u64, Entry)>, StoreError> {
    let sql = format!("SELECT {HEADER} FROM events AS e WHERE e.position > $1 ORDER BY e.position LIMIT $2");
    let rows = rows(client, &sql, &[&int(after), &limit(count)]).await?;
    rows.iter().map(|row| entry(row, 0)).collect()
}

/// Events up to `end` that a role is behind with: those of the types it gets (one bit each), and those that are of no type this
/// program knows.
pub(super) async fn headers_within(
    client: &Session,
    kinds: u64,
    gap: Gap,
    end: u64,
    count: usize,
) -> Result<Vec<(u64, Entry)>, StoreError> {
    let others: Vec<&str> =
        EventType::ALL.iter().filter(|kind| kinds & bit(**kind) == 0).map(|kind| kind.name()).collect();
    let partitions: Vec<i16> = (0..16).filter(|partition| gap.partitions & 1 << partition != 0).collect();
    let sql = format!(
        "SELECT {HEADER} FROM events AS e
         WHERE e.position > $1 AND e.position <= $2 AND e.partition = ANY($3) AND e.type <> ALL($4) ORDER BY e.position LIMIT $5"
    );
    let rows = rows(client, &sql, &[&int(gap.from), &int(end), &partitions, &others, &limit(count)]).await?;
    rows.iter().map(|row| entry(row, 0)).collect()
}

/// A delivery that is parked.
#[derive(Debug)]
pub(super) struct ParkedRow {
    pub(super) partition: u8,
    pub(super) delivery: Delivery,
    pub(super) due: Timestamp,
}

/// The columns [`parked`] reads of parked deliveries, named `p`, and events, named `e`.
pub(super) fn parked_columns() -> String {
    format!("p.role, p.tries, p.due, {HEADER}")
}

/// Reads a parked delivery; `None` for a role that this program does not know, or an event that it cannot read.
pub(super) fn parked(row: &Row) -> Result<Option<ParkedRow>, StoreError> {
    let (position, entry) = entry(row, 3)?;
    let Some(role) = Role::from_name(get(row, 0)?) else { return Ok(None) };
    let Some(delivery) = delivery(role, position, &entry, small(get(row, 1)?)) else { return Ok(None) };
    Ok(Some(ParkedRow { partition: entry.partition, delivery, due: get(row, 2)? }))
}

/// Finds deliveries that any process has redriven, or parked for whoever leases them.
pub(crate) async fn reload(shared: &Shared, client: &Session) -> Result<(), StoreError> {
    let bus = &shared.bus;
    let roles = bus.roles();
    let names: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    if names.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "SELECT {} FROM parked AS p JOIN events AS e USING (position) WHERE p.redriven AND p.role = ANY($1)",
        parked_columns()
    );
    for _ in 0..RELOADS_MAX {
        let before = roles.iter().map(|role| bus.seat(*role).state.lock().settled_rows).collect::<Vec<_>>();
        let rows = rows(client, &sql, &[&names]).await?;
        let mut rows = rows.iter().map(parked).filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()?;
        let mut is_current = true;
        let mut found = (Vec::new(), Vec::new());
        for (role, before) in roles.iter().zip(before) {
            let seat = bus.seat(*role);
            let mut state = seat.state.lock();
            if state.settled_rows != before {
                // What was read may have been settled since.
                is_current = false;
                continue;
            }
            for ParkedRow { partition, delivery, due } in rows.extract_if(.., |row| row.delivery.role == *role) {
                let position = delivery.position.0;
                if state.park(partition, delivery, due) {
                    found.0.push(role.as_str());
                    found.1.push(int(position));
                }
            }
            drop(state);
            seat.bell.notify_waiters();
        }
        mark_found(shared, client, &found.0, &found.1).await?;
        if is_current {
            break;
        }
    }
    Ok(())
}

/// What is in memory here, under a lease, need not be looked for any more: whoever leases it next reads all that is parked.
async fn mark_found(shared: &Shared, client: &Session, roles: &[&str], positions: &[i64]) -> Result<(), StoreError> {
    if roles.is_empty() {
        return Ok(());
    }
    // Where the lease is another's by now, it stays to be found.
    let sql = "UPDATE parked AS p SET redriven = false FROM leases AS l
               WHERE (p.role, p.position) IN (SELECT * FROM unnest($2::text[], $3::bigint[])) AND p.redriven
                 AND l.role = p.role AND l.partition = p.partition AND l.owner = $1";
    execute(client, sql, &[&shared.bus.process, &roles, &positions]).await?;
    Ok(())
}
