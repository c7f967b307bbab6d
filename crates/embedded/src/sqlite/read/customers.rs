//! Customers: each is one row.

use ordermill_core::customer::Customer;
use ordermill_core::event::SubjectKind;
use ordermill_core::id::CustomerId;
use ordermill_core::mail::Email;
use rusqlite::{Connection, Row};
use serde_json::Value;

use super::super::codec::{text, text_id};
use super::super::error::StoreError;

/// The columns [`customer_of`] reads, in its order.
pub(in super::super) const CUSTOMER_COLUMNS: &str = "id, name, email, address, metadata, deleted, version";

/// One customer.
pub(in super::super) fn customer(conn: &Connection, id: &CustomerId) -> Result<Option<Customer>, StoreError> {
    let sql = format!("SELECT {CUSTOMER_COLUMNS} FROM customers WHERE id = ?1");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([id.as_str()])?;
    rows.next()?.map(customer_of).transpose()
}

/// Reads a customer from a row that begins with [`CUSTOMER_COLUMNS`].
pub(in super::super) fn customer_of(row: &Row<'_>) -> Result<Customer, StoreError> {
    let id: CustomerId = text_id(SubjectKind::Customer, text(row, 0)?.as_bytes())?;
    // Says where, and not what: an address has no place in a log.
    let unreadable = |column: &str| StoreError::Unreadable(format!("the {column} of customer {id} cannot be read"));
    let json = |index: usize, column: &str| -> Result<Option<Value>, StoreError> {
        let text: Option<String> = row.get(index)?;
        text.map(|text| serde_json::from_str(&text).map_err(|_| unreadable(column))).transpose()
    };
    let email: Option<String> = row.get(2)?;
    Ok(Customer {
        name: row.get(1)?,
        email: email.map(|email| Email::new(&email).map_err(|_| unreadable("e-mail address"))).transpose()?,
        address: json(3, "address")?,
        metadata: json(4, "metadata")?,
        deleted: row.get(5)?,
        version: row.get(6)?,
        id,
    })
}
