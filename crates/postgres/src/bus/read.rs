//! What the bus reads of the event table and of parked deliveries.

use std::collections::BTreeMap;

use ordermill_core::event::EventType;
use tokio_postgres::Row;

use super::feed::{About, Entry};
use super::state::{Gap, bit, delivery};
use crate::codec::{get, int, limit, natural, small};
use crate::connect::Session;
use crate::error::StoreError;
use crate::read::{execute, rows};
use crate::shared::Shared;

/// Deliveries that were parked by others are found so many at a time.
const RELOADED: usize = 512;

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

/// Finds deliveries that any process has redriven, or parked for whoever leases them. Some at a time, so that leases are renewed in between.
pub(crate) async fn reload(shared: &Shared, client: &Session) -> Result<(), StoreError> {
    let bus = &shared.bus;
    let roles = bus.roles();
    if roles.is_empty() {
        return Ok(());
    }
    for role in &roles {
        bus.seat(*role).state.lock().begin_looking();
    }
    // By the indexes, whatever the planner thinks of the tables' sizes.
    let sql = format!(
        "SELECT p.role, p.tries, p.due, e.* FROM leases AS l
         CROSS JOIN LATERAL (
             SELECT p.role, p.tries, p.due, p.position FROM parked AS p
             WHERE p.redriven AND p.role = l.role AND p.partition = l.partition ORDER BY p.due, p.position LIMIT $2
         ) AS p
         CROSS JOIN LATERAL (SELECT {HEADER} FROM events AS e WHERE e.position = p.position OFFSET 0) AS e
         WHERE l.owner = $1 LIMIT $2"
    );
    let found = rows(client, &sql, &[&bus.process, &limit(RELOADED)]).await?;
    let mut by_role: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in &found {
        by_role.entry(get(row, 0)?).or_default().push(row);
    }
    let (mut names, mut positions) = (Vec::new(), Vec::new());
    for role in roles {
        let seat = bus.seat(role);
        let mut state = seat.state.lock();
        let settled = state.end_looking();
        for row in by_role.remove(role.as_str()).unwrap_or_default() {
            let (position, entry) = entry(row, 3)?;
            let is_found = match delivery(role, position, &entry, small(get(row, 1)?)) {
                _ if settled.contains(&position) => false,
                Some(delivery) => state.park(entry.partition, delivery, get(row, 2)?),
                // Only a newer program can read it, and finds it when it takes the lease.
                None => true,
            };
            if is_found {
                names.push(role.as_str());
                positions.push(int(position));
            }
        }
        drop(state);
        seat.bell.notify_waiters();
    }
    mark_found(shared, client, &names, &positions).await?;
    if found.len() == RELOADED && !names.is_empty() {
        shared.notify.poke_redriven();
    }
    Ok(())
}

/// What is known here, under a lease, need not be looked for any more: whoever leases it next reads all that is parked.
async fn mark_found(shared: &Shared, client: &Session, roles: &[&str], positions: &[i64]) -> Result<(), StoreError> {
    if roles.is_empty() {
        return Ok(());
    }
    // Where the lease is another's by now, it stays to be found. Nothing is said of `redriven`, so that the rows are found by their key: the
    // planner may know nothing of how many there are.
    let sql = "UPDATE parked AS p SET redriven = false FROM leases AS l
               WHERE (p.role, p.position) IN (SELECT * FROM unnest($2::text[], $3::bigint[]))
                 AND l.role = p.role AND l.partition = p.partition AND l.owner = $1";
    execute(client, sql, &[&shared.bus.process, &roles, &positions]).await?;
    Ok(())
}
