//! Rows whose trails are not where their events are. The ledger would meet them only when it needs one.

use ordermill_core::event::SubjectKind;
use rusqlite::{Connection, Row};

use super::super::codec::{Types, blob, natural, order_id_of, record_id_of, text, text_id};
use super::super::error::StoreError;
use super::super::read;
use super::super::trail::Trail;

/// Every such row, in words.
pub(super) fn wrong(conn: &Connection, types: &Types) -> Result<Vec<String>, StoreError> {
    let mut wrong = Vec::new();
    let orders = "SELECT id, trail FROM open_orders UNION ALL SELECT id, trail FROM closed_orders";
    each(conn, orders, &mut wrong, |row| {
        let id = order_id_of(blob(row, 0)?)?;
        Ok((format!("order {id}"), trail(row, 1).and_then(|trail| read::fold(conn, types, id, trail)).map(drop)))
    })?;
    each(conn, "SELECT id, trail, first FROM parcels", &mut wrong, |row| {
        let id = text_id(SubjectKind::Parcel, text(row, 0)?.as_bytes())?;
        let first = natural(row.get(2)?);
        let leads = trail(row, 1).and_then(|trail| match trail.first() {
            begin if begin == first => read::fold_parcel(conn, types, &id, trail).map(drop),
            begin => Err(StoreError::Unreadable(format!("it is stored at {first}, and its first event is at {begin}"))),
        });
        Ok((format!("parcel {id}"), leads))
    })?;
    each(conn, "SELECT id, trail FROM records", &mut wrong, |row| {
        let id = record_id_of(blob(row, 0)?)?;
        let leads = trail(row, 1).and_then(|trail| read::fold_record(conn, types, id, trail));
        Ok((format!("record {id}"), leads.map(drop)))
    })?;
    Ok(wrong)
}

fn trail(row: &Row<'_>, index: usize) -> Result<Trail, StoreError> {
    Trail::from_bytes(blob(row, index)?)
}

/// Looks at every row; `look` gives what it is a row of, and whether it leads to its events.
fn each(
    conn: &Connection,
    sql: &str,
    wrong: &mut Vec<String>,
    look: impl Fn(&Row<'_>) -> Result<(String, Result<(), StoreError>), StoreError>,
) -> Result<(), StoreError> {
    let mut statement = conn.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        match look(row)? {
            (name, Err(StoreError::Unreadable(what))) => {
                wrong.push(format!("the row of {name} does not lead to its events: {what}"));
            }
            (_, leads) => leads?,
        }
    }
    Ok(())
}
