//! What is kept as a row: products, stock, customers.

use std::sync::Arc;

use ordermill_core::customer::Customer;
use ordermill_core::id::{CustomerId, ProductId};
use ordermill_core::product::Product;
use ordermill_core::stock::StockLevel;
use ordermill_ports::queries::{Deleted, Page};

use super::page;
use crate::codec;
use crate::connect::Session;
use crate::error::StoreError;
use crate::read::{CUSTOMER_COLUMNS, PRODUCT_COLUMNS, STOCK_COLUMNS, customer_of, product_of, rows, stock_of};

/// One product.
pub(super) async fn product(client: &Session, id: &ProductId) -> Result<Option<Arc<Product>>, StoreError> {
    let sql = format!("SELECT {PRODUCT_COLUMNS} FROM products WHERE id = $1");
    let found = rows(client, &sql, &[&id.as_str()]).await?;
    Ok(found.first().map(product_of).transpose()?.map(Arc::new))
}

/// Those of these products that are there.
pub(super) async fn products_of(client: &Session, ids: &[ProductId]) -> Result<Vec<Arc<Product>>, StoreError> {
    let sql = format!("SELECT {PRODUCT_COLUMNS} FROM products WHERE id = ANY($1)");
    let ids: Vec<&str> = ids.iter().map(ProductId::as_str).collect();
    let found = rows(client, &sql, &[&ids]).await?;
    found.iter().map(|row| product_of(row).map(Arc::new)).collect()
}

/// Products by id.
pub(super) async fn products(
    client: &Session,
    after: Option<&ProductId>,
    deleted: Deleted,
    limit: usize,
) -> Result<Page<Arc<Product>, ProductId>, StoreError> {
    let sql =
        format!("SELECT {PRODUCT_COLUMNS} FROM products WHERE id > $1 AND (NOT deleted OR $2) ORDER BY id LIMIT $3");
    let after = after.map_or("", ProductId::as_str);
    let found = rows(client, &sql, &[&after, &(deleted == Deleted::Shown), &one_more(limit)]).await?;
    let products = found.iter().map(|row| product_of(row).map(Arc::new)).collect::<Result<_, _>>()?;
    Ok(page(products, limit, |product: &Arc<Product>| product.id.clone()))
}

/// The stock of one product.
pub(super) async fn stock(client: &Session, id: &ProductId) -> Result<Option<StockLevel>, StoreError> {
    let sql = format!("SELECT {STOCK_COLUMNS} FROM stock WHERE product_id = $1");
    let found = rows(client, &sql, &[&id.as_str()]).await?;
    found.first().map(stock_of).transpose()
}

/// Stock by product id.
pub(super) async fn stock_levels(
    client: &Session,
    after: Option<&ProductId>,
    limit: usize,
) -> Result<Page<StockLevel, ProductId>, StoreError> {
    let sql = format!("SELECT {STOCK_COLUMNS} FROM stock WHERE product_id > $1 ORDER BY product_id LIMIT $2");
    let found = rows(client, &sql, &[&after.map_or("", ProductId::as_str), &one_more(limit)]).await?;
    let levels = found.iter().map(stock_of).collect::<Result<_, _>>()?;
    Ok(page(levels, limit, |level: &StockLevel| level.product_id.clone()))
}

/// One customer.
pub(super) async fn customer(client: &Session, id: &CustomerId) -> Result<Option<Arc<Customer>>, StoreError> {
    let sql = format!("SELECT {CUSTOMER_COLUMNS} FROM customers WHERE id = $1");
    let found = rows(client, &sql, &[&id.as_str()]).await?;
    Ok(found.first().map(customer_of).transpose()?.map(Arc::new))
}

/// Customers by id.
pub(super) async fn customers(
    client: &Session,
    after: Option<&CustomerId>,
    deleted: Deleted,
    limit: usize,
) -> Result<Page<Arc<Customer>, CustomerId>, StoreError> {
    let sql =
        format!("SELECT {CUSTOMER_COLUMNS} FROM customers WHERE id > $1 AND (NOT deleted OR $2) ORDER BY id LIMIT $3");
    let after = after.map_or("", CustomerId::as_str);
    let found = rows(client, &sql, &[&after, &(deleted == Deleted::Shown), &one_more(limit)]).await?;
    let customers = found.iter().map(|row| customer_of(row).map(Arc::new)).collect::<Result<_, _>>()?;
    Ok(page(customers, limit, |customer: &Arc<Customer>| customer.id.clone()))
}

/// One row more than the page takes tells whether there is another page.
fn one_more(limit: usize) -> i64 {
    codec::limit(limit).saturating_add(1)
}
