//! What the rows add up to.

use std::collections::BTreeMap;

use ordermill_ports::moving::{MoveError, Totals, Units};
use tokio_postgres::Row;

use crate::codec::{get, natural};

/// Runs a statement.
pub(super) type Query<'a> = dyn FnMut(&str) -> Result<Vec<Row>, MoveError> + 'a;

const SINGLE: &str = "SELECT (SELECT count(*) FROM orders WHERE attention), (SELECT count(*) FROM order_refs),
    (SELECT count(*) FROM idempotency), (SELECT count(*) FROM products), (SELECT count(*) FROM customers),
    (SELECT count(*) FROM parcels), (SELECT count(*) FROM records),
    (SELECT count(*) FROM records WHERE stored_key IS NOT NULL), (SELECT mailbox_end FROM feed_head)";

const STOCK: &str =
    "SELECT coalesce(sum(available), 0)::bigint, coalesce(sum(reserved), 0)::bigint, coalesce(sum(sold), 0)::bigint
    FROM stock";

/// Adds up what a statement sees.
pub(super) fn of(query: &mut Query<'_>) -> Result<Totals, MoveError> {
    let rows = query(SINGLE)?;
    let row = rows.first().ok_or_else(|| MoveError::Store("the server gives no totals".to_owned()))?;
    let count = |index| -> Result<u64, MoveError> { Ok(natural(get(row, index)?)) };
    let stock = query(STOCK)?;
    let units = stock.first().ok_or_else(|| MoveError::Store("the server gives no totals".to_owned()))?;
    Ok(Totals {
        attention: count(0)?,
        order_refs: count(1)?,
        keys: count(2)?,
        products: count(3)?,
        customers: count(4)?,
        parcels: count(5)?,
        records: count(6)?,
        records_stored: count(7)?,
        mailbox_end: get::<Option<i64>>(row, 8)?.map(natural),
        stock: Units { available: get(units, 0)?, reserved: get(units, 1)?, sold: get(units, 2)? },
        events: by_name(query, "SELECT type, count(*) FROM events GROUP BY type")?,
        orders: by_name(query, "SELECT status, count(*) FROM orders GROUP BY status")?,
        parked: by_name(query, "SELECT role, count(*) FROM parked GROUP BY role")?,
        dead_letters: by_name(query, "SELECT role, count(*) FROM dead_letters GROUP BY role")?,
    })
}

fn by_name(query: &mut Query<'_>, sql: &str) -> Result<BTreeMap<String, u64>, MoveError> {
    let rows = query(sql)?;
    rows.iter().map(|row| Ok((get(row, 0)?, natural(get(row, 1)?)))).collect()
}
