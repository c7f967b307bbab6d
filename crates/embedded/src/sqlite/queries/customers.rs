//! Customers: from their rows.

use std::sync::Arc;

use ordermill_core::customer::Customer;
use ordermill_core::id::CustomerId;
use ordermill_ports::queries::{Deleted, Page};
use rusqlite::Connection;

use super::super::error::StoreError;
use super::super::read;

/// Customers by id.
pub(super) fn customers(
    conn: &Connection,
    after: Option<&CustomerId>,
    deleted: Deleted,
    limit: usize,
) -> Result<Page<Arc<Customer>, CustomerId>, StoreError> {
    let sql = format!(
        "SELECT {} FROM customers WHERE id > ?1 AND deleted <= ?2 ORDER BY id LIMIT ?3",
        read::CUSTOMER_COLUMNS
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let after = after.map_or("", CustomerId::as_str);
    let wanted = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let mut rows = statement.query((after, deleted == Deleted::Shown, wanted))?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(Arc::new(read::customer_of(row)?));
    }
    let more = entries.len() > limit;
    entries.truncate(limit);
    let next = entries.last().filter(|_| more).map(|customer| customer.id.clone());
    Ok(Page { entries, next })
}
