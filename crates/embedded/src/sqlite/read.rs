//! Reads single things from the database; for the writer and all readers.

mod customers;
mod parcels;
mod records;

use std::sync::Arc;

use ordermill_core::event::{Event, Subject};
use ordermill_core::id::{OrderId, OrderRef};
use ordermill_core::idempotency::{Fingerprint, RefRecord};
use ordermill_core::order::Order;
use ordermill_ports::queries::{Committed, Position};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row};

use super::codec::{EVENT_COLUMNS, Types, blob, instant, int, natural, order_id_of, recorded, subject_of};
use super::error::StoreError;
use super::feed::Entry;
use super::memory::Held;
use super::trail::Trail;

pub(super) use customers::{CUSTOMER_COLUMNS, customer, customer_of};
pub(super) use parcels::{fold_parcel, parcel, parcel_row};
pub(super) use records::{fold_record, record};

/// The places of an order's events; `None` when there is no such order.
pub(super) fn trail(conn: &Connection, id: OrderId) -> Result<Option<Trail>, StoreError> {
    // One statement, as an order may move between the tables. Few orders are open, and those are looked for in memory first: the
    // scan over them is for ids that do not exist, and for an order that is opened again this moment.
    trail_by(
        conn,
        "SELECT trail FROM closed_orders WHERE id = ?1 UNION ALL SELECT trail FROM open_orders WHERE id = ?1",
        id,
    )
}

fn trail_by(conn: &Connection, sql: &str, id: OrderId) -> Result<Option<Trail>, StoreError> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([id.as_bytes()])?;
    match rows.next()? {
        Some(row) => Trail::from_bytes(blob(row, 0)?).map(Some),
        None => Ok(None),
    }
}

/// An order, folded from its events.
pub(super) fn order(conn: &Connection, types: &Types, id: OrderId) -> Result<Option<Held>, StoreError> {
    trail(conn, id)?.map(|trail| fold(conn, types, id, trail)).transpose()
}

/// An order that is not open, folded from its events.
pub(super) fn closed_order(conn: &Connection, types: &Types, id: OrderId) -> Result<Option<Held>, StoreError> {
    let trail = trail_by(conn, "SELECT trail FROM closed_orders WHERE id = ?1", id)?;
    trail.map(|trail| fold(conn, types, id, trail)).transpose()
}

/// Folds the events on a trail.
pub(super) fn fold(conn: &Connection, types: &Types, id: OrderId, trail: Trail) -> Result<Held, StoreError> {
    let events = events(conn, types, &Subject::Order(id), &trail, 0)?;
    let order = Order::fold(id, events.iter().map(|committed| (&committed.recorded.event, committed.recorded.at)))
        .ok_or_else(|| StoreError::Unreadable(format!("the events of order {id} do not begin with its placement")))?;
    Ok(Held { order: Arc::new(order), trail })
}

/// The events of one subject behind a version.
pub(super) fn events(
    conn: &Connection,
    types: &Types,
    subject: &Subject,
    trail: &Trail,
    after: u32,
) -> Result<Vec<Committed>, StoreError> {
    let mut statement = event_at(conn)?;
    let mut events = Vec::new();
    for (position, version) in trail.positions().zip(1_u32..).skip(after as usize) {
        let mut rows = statement.query([int(position)])?;
        let row = rows.next()?.ok_or_else(|| missing(subject, version, position))?;
        let recorded = recorded(row, 0, types)?;
        if recorded.subject != *subject || recorded.version != version {
            return Err(missing(subject, version, position));
        }
        events.push(Committed { position: Position(position), recorded });
    }
    Ok(events)
}

fn missing(subject: &Subject, version: u32, position: u64) -> StoreError {
    StoreError::Unreadable(format!("event {version} of {} is not at position {position}", name_of(subject)))
}

/// A subject in words, for an operator.
pub(super) fn name_of(subject: &Subject) -> String {
    let kind = subject.kind().as_str();
    match subject {
        Subject::Order(id) => format!("{kind} {id}"),
        Subject::Product(id) => format!("{kind} {id}"),
        Subject::Customer(id) => format!("{kind} {id}"),
        Subject::Parcel(id) => format!("{kind} {id}"),
        Subject::Record(id) => format!("{kind} {id}"),
    }
}

fn event_at(conn: &Connection) -> Result<CachedStatement<'_>, StoreError> {
    Ok(conn.prepare_cached(&format!("SELECT {EVENT_COLUMNS} FROM events WHERE position = ?1"))?)
}

/// What roles need of one event; `None` where there is none, or it is of a type that this program does not know.
pub(super) fn entry(conn: &Connection, types: &Types, position: u64) -> Result<Option<Entry>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT subject, version, type, at FROM events WHERE position = ?1")?;
    let mut rows = statement.query([int(position)])?;
    rows.next()?.map_or(Ok(None), |row| entry_of(row, 0, types))
}

/// Reads what roles need of an event from its subject, version, type and time, the first of them at `offset`.
fn entry_of(row: &Row<'_>, offset: usize, types: &Types) -> Result<Option<Entry>, StoreError> {
    let Some(kind) = types.kind(row.get(offset + 2)?) else { return Ok(None) };
    let subject = subject_of(kind.subject_kind(), row.get_ref(offset)?)?;
    Ok(Some(Entry { subject, version: row.get(offset + 1)?, kind, at: instant(row.get(offset + 3)?)? }))
}

/// A stretch of the feed, as roles need it, and the position up to which it goes.
pub(super) fn entries(
    conn: &Connection,
    types: &Types,
    after: u64,
    limit: usize,
) -> Result<(Vec<(u64, Entry)>, u64), StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT position, subject, version, type, at FROM events WHERE position > ?1 ORDER BY position LIMIT ?2",
    )?;
    let mut rows = statement.query((int(after), limit as i64))?;
    let (mut entries, mut end) = (Vec::new(), after);
    while let Some(row) = rows.next()? {
        end = natural(row.get(0)?);
        entries.extend(entry_of(row, 1, types)?.map(|entry| (end, entry)));
    }
    Ok((entries, end))
}

/// The order a reference stands for.
pub(super) fn order_ref(conn: &Connection, order_ref: &OrderRef) -> Result<Option<RefRecord>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT order_id, fingerprint FROM order_refs WHERE ref = ?1")?;
    let mut rows = statement.query([order_ref.as_str()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let order_id = order_id_of(blob(row, 0)?)?;
    Ok(Some(RefRecord { order_id, fingerprint: Fingerprint(row.get(1)?) }))
}

/// A number of the table `counters`.
pub(super) fn counter(conn: &Connection, name: &str) -> Result<Option<u64>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT value FROM counters WHERE name = ?1")?;
    Ok(statement.query_row([name], |row| row.get(0)).optional()?.map(natural))
}

/// Whether an event is the order's last word on where the local mail file ends.
pub(super) const fn mailbox_end(event: &Event) -> Option<u64> {
    match event {
        Event::NotificationSent(sent) => sent.mailbox_end,
        _ => None,
    }
}
