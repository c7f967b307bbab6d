//! Products and their stock, as people set them.

use crate::decide::Decision;
use crate::event::{Empty, Event, StockAdjustedBy, StockSetTo, Subject};
use crate::facts::Facts;
use crate::id::{ProductId, clip_text};
use crate::input::PutProduct;
use crate::limits::{STOCK_UNITS_MAX, TEXT_CHARS_MAX};
use crate::product::Product;
use crate::refusal::Refusal;
use crate::stock::StockChange;

/// Adds or changes a product. The same content again changes nothing. An opening stock counts only where none was ever set.
pub(super) fn put_product(facts: &impl Facts, put: &PutProduct) -> Result<Decision, Refusal> {
    let present = facts.product(&put.product_id);
    expect_version(put.expected_version, present.map_or(0, |product| product.version.into()))?;
    let product = Product {
        id: put.product_id.clone(),
        name: put.name.clone(),
        price: put.price,
        description: put.description.clone(),
        active: put.active,
        deleted: false,
        version: present.map_or(1, |product| product.version.saturating_add(1)),
    };
    let same = present.is_some_and(|present| Product { version: present.version, ..product.clone() } == *present);
    let mut decision = about(&put.product_id);
    if !same {
        decision.events.push(Event::ProductPut(product));
    }
    if let Some(to) = put.opening_stock
        && facts.stock(&put.product_id).is_none()
    {
        check_range(0, to)?;
        decision.events.push(Event::StockSet(StockSetTo { from: 0, to }));
        decision.stock.push(available(&put.product_id, to));
    }
    Ok(decision)
}

/// Takes a product out of the catalogue. Its stock stays; deleting it again changes nothing.
pub(super) fn delete_product(
    facts: &impl Facts,
    product_id: &ProductId,
    expected_version: Option<u64>,
) -> Result<Decision, Refusal> {
    let Some(product) = facts.product(product_id) else {
        return Err(Refusal::ProductNotFound { product_id: product_id.clone() });
    };
    expect_version(expected_version, product.version.into())?;
    let mut decision = about(product_id);
    if !product.deleted {
        decision.events.push(Event::ProductDeleted(Empty {}));
    }
    Ok(decision)
}

/// Sets what is available. What is reserved or sold stays as it is.
pub(super) fn set_stock(
    facts: &impl Facts,
    product_id: &ProductId,
    to: i64,
    expected_version: Option<u64>,
) -> Result<Decision, Refusal> {
    let from = stock_of(facts, product_id, expected_version)?;
    check_range(from, to.saturating_sub(from))?;
    let mut decision = about(product_id);
    decision.events.push(Event::StockSet(StockSetTo { from, to }));
    decision.stock.push(available(product_id, to - from));
    Ok(decision)
}

/// Changes what is available by a difference.
pub(super) fn adjust_stock(
    facts: &impl Facts,
    product_id: &ProductId,
    delta: i64,
    reason: &str,
    expected_version: Option<u64>,
) -> Result<Decision, Refusal> {
    let from = stock_of(facts, product_id, expected_version)?;
    check_range(from, delta)?;
    let mut decision = about(product_id);
    decision.events.push(Event::StockAdjusted(StockAdjustedBy { delta, reason: clip_text(reason, TEXT_CHARS_MAX) }));
    decision.stock.push(available(product_id, delta));
    Ok(decision)
}

fn stock_of(facts: &impl Facts, product_id: &ProductId, expected_version: Option<u64>) -> Result<i64, Refusal> {
    if facts.product(product_id).is_none() {
        return Err(Refusal::ProductNotFound { product_id: product_id.clone() });
    }
    let level = facts.stock(product_id);
    expect_version(expected_version, level.map_or(0, |level| level.version))?;
    Ok(level.map_or(0, |level| level.available))
}

pub(super) fn expect_version(expected: Option<u64>, actual: u64) -> Result<(), Refusal> {
    match expected {
        Some(expected) if expected != actual => Err(Refusal::VersionConflict { expected, actual }),
        _ => Ok(()),
    }
}

fn check_range(available: i64, delta: i64) -> Result<(), Refusal> {
    match available.checked_add(delta) {
        Some(after) if (0..=STOCK_UNITS_MAX).contains(&after) => Ok(()),
        _ => Err(Refusal::StockOutOfRange { available, delta }),
    }
}

fn about(product_id: &ProductId) -> Decision {
    Decision::about(Subject::Product(product_id.clone()), Vec::new())
}

fn available(product_id: &ProductId, delta: i64) -> StockChange {
    StockChange { product_id: product_id.clone(), available: delta, reserved: 0, sold: 0 }
}
