//! Lists of products and of stock: ids from the index, content from memory.

use std::sync::Arc;

use ordermill_core::id::ProductId;
use ordermill_core::product::Product;
use ordermill_core::stock::StockLevel;
use ordermill_ports::queries::{Deleted, Page};
use rusqlite::Connection;

use super::super::codec::product_id_of;
use super::super::error::StoreError;
use super::super::shared::Shared;

/// Products by id.
pub(super) fn products(
    conn: &Connection,
    shared: &Shared,
    after: Option<&ProductId>,
    deleted: Deleted,
    limit: usize,
) -> Result<Page<Arc<Product>, ProductId>, StoreError> {
    let sql = match deleted {
        Deleted::Hidden => "SELECT id FROM products WHERE id > ?1 AND deleted = 0 ORDER BY id LIMIT ?2",
        Deleted::Shown => "SELECT id FROM products WHERE id > ?1 ORDER BY id LIMIT ?2",
    };
    let (ids, more) = ids(conn, sql, after, limit)?;
    let catalogue = shared.catalogue.read();
    let entries = ids.iter().filter_map(|id| catalogue.get(id)?.product.clone()).collect();
    Ok(Page { entries, next: ids.last().filter(|_| more).cloned() })
}

/// Stock by product id.
pub(super) fn stock(
    conn: &Connection,
    shared: &Shared,
    after: Option<&ProductId>,
    limit: usize,
) -> Result<Page<StockLevel, ProductId>, StoreError> {
    let sql = "SELECT product_id FROM stock WHERE product_id > ?1 ORDER BY product_id LIMIT ?2";
    let (ids, more) = ids(conn, sql, after, limit)?;
    let catalogue = shared.catalogue.read();
    let entries = ids.iter().filter_map(|id| catalogue.get(id)?.stock.clone()).collect();
    Ok(Page { entries, next: ids.last().filter(|_| more).cloned() })
}

/// A page of ids, and whether there are more behind it.
fn ids(
    conn: &Connection,
    sql: &str,
    after: Option<&ProductId>,
    limit: usize,
) -> Result<(Vec<ProductId>, bool), StoreError> {
    let mut statement = conn.prepare_cached(sql)?;
    let after = after.map_or("", ProductId::as_str);
    let mut rows = statement.query((after, i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)))?;
    let mut ids = Vec::new();
    while let Some(row) = rows.next()? {
        ids.push(product_id_of(row.get_ref(0)?.as_bytes().map_err(rusqlite::Error::from)?)?);
    }
    let more = ids.len() > limit;
    ids.truncate(limit);
    Ok((ids, more))
}
