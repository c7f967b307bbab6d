//! What the rows add up to.

use std::collections::BTreeMap;

use ordermill_core::event::SubjectKind;
use ordermill_ports::moving::{Totals, Units};
use rusqlite::Connection;

use super::super::codec::{Types, natural};
use super::super::error::StoreError;
use super::super::read;

const ORDERS: &str =
    "SELECT s.name, count(*) FROM (SELECT status FROM open_orders UNION ALL SELECT status FROM closed_orders) AS o
    JOIN statuses AS s ON s.code = o.status GROUP BY s.name";

const ATTENTION: &str = "SELECT (SELECT count(*) FROM open_orders WHERE attention = 1)
    + (SELECT count(*) FROM closed_orders WHERE attention = 1)";

/// Adds up what a connection sees.
pub(super) fn of(conn: &Connection, types: &Types) -> Result<Totals, StoreError> {
    let one = |sql: &str| -> Result<u64, StoreError> { Ok(natural(conn.query_row(sql, [], |row| row.get(0))?)) };
    let stock = "SELECT coalesce(sum(available), 0), coalesce(sum(reserved), 0), coalesce(sum(sold), 0) FROM stock";
    let units =
        |row: &rusqlite::Row<'_>| Ok(Units { available: row.get(0)?, reserved: row.get(1)?, sold: row.get(2)? });
    // Rows of parcels may be behind their events, which count.
    let codes: Vec<String> = types.codes_of(SubjectKind::Parcel).map(|code| code.to_string()).collect();
    let parcels = format!("SELECT count(DISTINCT subject) FROM events WHERE type IN ({})", codes.join(", "));
    Ok(Totals {
        events: by_name(
            conn,
            "SELECT t.name, count(*) FROM events AS e JOIN event_types AS t ON t.code = e.type GROUP BY t.name",
        )?,
        orders: by_name(conn, ORDERS)?,
        attention: one(ATTENTION)?,
        order_refs: one("SELECT count(*) FROM order_refs")?,
        keys: one("SELECT count(DISTINCT key) FROM idempotency")?,
        products: one("SELECT count(*) FROM products")?,
        stock: conn.query_row(stock, [], units)?,
        customers: one("SELECT count(*) FROM customers")?,
        parcels: one(&parcels)?,
        records: one("SELECT count(*) FROM records")?,
        records_stored: one("SELECT count(*) FROM records WHERE stored_key IS NOT NULL")?,
        parked: by_name(conn, "SELECT role, count(*) FROM parked GROUP BY role")?,
        dead_letters: by_name(conn, "SELECT role, count(DISTINCT position) FROM dead_letters GROUP BY role")?,
        mailbox_end: read::counter(conn, "mailbox_end")?,
    })
}

fn by_name(conn: &Connection, sql: &str) -> Result<BTreeMap<String, u64>, StoreError> {
    let mut statement = conn.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, natural(row.get(1)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
