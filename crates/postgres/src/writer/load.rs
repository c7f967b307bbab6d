//! Locks and loads what the inputs of one transaction may look at, in the order of locks that everybody keeps.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use ordermill_core::event::Subject;
use ordermill_core::id::{IdempotencyKey, OrderId, ProductId, RecordId};
use ordermill_core::idempotency::{Answer, Record, RefRecord};
use ordermill_core::order::Order;
use ordermill_ports::ledger::Submission;
use tokio_postgres::Row;
use uuid::Uuid;

use super::overlay::{Overlay, Staged, StagedOrder, StagedProduct};
use super::wants::Wants;
use crate::cache::Orders;
use crate::codec::{fingerprint, get, key_record, parse_id, small};
use crate::connect::Tx;
use crate::error::StoreError;
use crate::read::{self, rows};
use crate::shared::Shared;

/// Begins the transaction, locks and loads. Gives the overlay that the decisions look at.
pub(crate) async fn load(
    shared: &Shared,
    tx: &Tx,
    inputs: &[Submission],
    mut wants: Wants,
) -> Result<Overlay, StoreError> {
    let mut overlay = Overlay::default();
    let known = known_orders(&shared.orders, &wants);
    let told: Vec<_> = inputs.iter().filter_map(|submission| submission.input.body.order_id()).collect();
    let all_known = told.iter().all(|id| known.contains_key(id));
    if all_known {
        // Nothing has to be read to know whose stock is looked at, so it comes along at once.
        for Submission { input, .. } in inputs {
            if let Some(Ok(order)) = input.body.order_id().and_then(|id| known.get(&id)) {
                wants.stock_of_order(order, &input.body);
            }
        }
    }
    let first_stock = if all_known { std::mem::take(&mut wants.stock) } else { BTreeSet::new() };
    let order_ids: Vec<OrderId> = wants.orders.iter().copied().collect();
    // An order that is to be placed has no events yet, and the row of one that is known says whether it has newer ones.
    let unknown: BTreeSet<OrderId> = told.into_iter().filter(|id| !known.contains_key(id)).collect();
    let unknown: Vec<OrderId> = unknown.into_iter().collect();
    let parcel_ids: Vec<_> = wants.parcels.iter().cloned().collect();
    let record_ids: Vec<_> = wants.records.iter().copied().collect();
    let prices = &wants.prices - &wants.products;
    // All of this is sent at once; the server works it off in this order.
    let (_, keys, refs, orders, found, products, prices, customers, _, parcels, _, records, stock, ()) = tokio::try_join!(
        biased;
        tx.begin(),
        keys(shared, tx, &wants),
        refs(tx, &wants),
        lock_ids(tx, LOCK_ORDERS, wants.orders.iter().map(|id| id.uuid()).collect()),
        read::orders(tx, &shared.orders, &unknown),
        products(tx, LOCK_PRODUCTS, &wants.products),
        products(tx, SELECT_PRODUCTS, &prices),
        customers(tx, &wants),
        lock_texts(tx, LOCK_PARCELS, wants.parcels.iter().map(|id| id.as_str()).collect()),
        read::parcels(tx, &parcel_ids),
        lock_ids(tx, LOCK_RECORDS, wants.records.iter().map(|id| id.uuid()).collect()),
        read::records(tx, &record_ids),
        lock_texts(tx, LOCK_STOCK, first_stock.iter().map(ProductId::as_str).collect()),
        // Behind the locks, so that what is decided is no older than what it is decided on, though the machine may have stood still.
        shared.clock.read(tx),
    )?;
    let found = current_orders(shared, tx, &orders, known, found).await?;
    add_orders(&mut overlay, &order_ids, &shared.orders, &orders, found)?;
    add_products(&mut overlay, &wants.products, &products)?;
    add_products(&mut overlay, &wants.prices, &prices)?;
    add_customers(&mut overlay, &wants, &customers)?;
    put(&mut overlay.parcels, parcel_ids, parcels, &mut overlay.broken, |id| Subject::Parcel(id.clone()));
    put(&mut overlay.records, record_ids, records, &mut overlay.broken, |id| Subject::Record(*id));
    add_stock(&mut overlay, &first_stock, &stock)?;
    add_refs(&mut overlay, &refs)?;
    let keys = keys.iter().map(found_key).collect::<Result<Vec<_>, _>>()?;
    load_rest(shared, tx, inputs, wants, &keys, &mut overlay).await?;
    add_keys(&mut overlay, keys);
    Ok(overlay)
}

/// A key that somebody has used.
struct FoundKey {
    key: IdempotencyKey,
    record: Record,
    /// Whether its time is not over.
    is_in_time: bool,
}

fn found_key(row: &Row) -> Result<FoundKey, StoreError> {
    Ok(FoundKey { key: parse_id(get(row, 0)?)?, record: key_record(row, 1)?, is_in_time: get(row, 4)? })
}

/// The orders that the cache knows, of those that are looked at.
fn known_orders(cache: &Orders, wants: &Wants) -> Found<OrderId, Order> {
    wants.orders.iter().filter_map(|id| Some((*id, Ok(cache.get(*id)?)))).collect()
}

/// The orders as their locked rows have them: what is known of them, what was read, and, where a row is newer, what it takes to follow.
async fn current_orders(
    shared: &Shared,
    tx: &Tx,
    locked: &[Row],
    known: Found<OrderId, Order>,
    read: Found<OrderId, Order>,
) -> Result<Found<OrderId, Order>, StoreError> {
    let mut found = known;
    found.extend(read);
    let mut behind = Vec::new();
    for row in locked {
        let (id, version) = (OrderId::from_uuid(get(row, 0)?), small(get(row, 1)?));
        let is_behind = match found.get(&id) {
            Some(Ok(order)) => order.version < version,
            Some(Err(_)) => false,
            None => true,
        };
        if is_behind {
            behind.push(id);
        }
    }
    found.extend(read::orders(tx, &shared.orders, &behind).await?);
    Ok(found)
}

/// What could only be told from what was loaded: answers to keys and references, and the stock of orders that were not known.
async fn load_rest(
    shared: &Shared,
    tx: &Tx,
    inputs: &[Submission],
    mut wants: Wants,
    keys: &[FoundKey],
    overlay: &mut Overlay,
) -> Result<(), StoreError> {
    let mut answered: BTreeSet<OrderId> = overlay.refs.values().map(|record| record.order_id).collect();
    let mut records: BTreeSet<RecordId> = BTreeSet::new();
    for FoundKey { record, .. } in keys {
        match &record.answer {
            Answer::Order(id) => _ = answered.insert(*id),
            Answer::Record(id) => _ = records.insert(*id),
            Answer::Stock(_) => {}
        }
    }
    answered.retain(|id| !overlay.orders.contains_key(id));
    records.retain(|id| !overlay.records.contains_key(id));
    for Submission { input, .. } in inputs {
        if let Some(order) = input.body.order_id().and_then(|id| overlay.staged_order(id)) {
            wants.stock_of_order(order, &input.body);
        }
    }
    wants.stock.retain(|id| !overlay.stock.contains_key(id));
    let order_ids: Vec<OrderId> = answered.into_iter().collect();
    let record_ids: Vec<RecordId> = records.into_iter().collect();
    // What an earlier input was answered with is looked at, and not changed, so it is not locked.
    let (found, records, stock) = tokio::try_join!(
        biased;
        read::orders(tx, &shared.orders, &order_ids),
        read::records(tx, &record_ids),
        lock_texts(tx, LOCK_STOCK, wants.stock.iter().map(ProductId::as_str).collect()),
    )?;
    for id in order_ids {
        add_order(overlay, id, found.get(&id).cloned());
    }
    put(&mut overlay.records, record_ids, records, &mut overlay.broken, |id| Subject::Record(*id));
    add_stock(overlay, &wants.stock, &stock)
}

/// Every statement that this file sends: they keep their order only when the connection knows them all.
pub(super) const STATEMENTS: [&str; 10] = [
    SELECT_KEYS,
    SELECT_REFS,
    LOCK_ORDERS,
    LOCK_RECORDS,
    LOCK_PARCELS,
    LOCK_PRODUCTS,
    SELECT_PRODUCTS,
    LOCK_CUSTOMERS,
    LOCK_STOCK,
    crate::clock::READ,
];

const SELECT_KEYS: &str =
    "SELECT key, fingerprint, answer, expires_at, expires_at > $2 FROM idempotency WHERE key = ANY($1)";
const SELECT_REFS: &str = "SELECT ref, order_id, fingerprint FROM order_refs WHERE ref = ANY($1)";
const LOCK_ORDERS: &str = "SELECT id, version FROM orders WHERE id = ANY($1) ORDER BY id FOR UPDATE";
const LOCK_RECORDS: &str = "SELECT id FROM records WHERE id = ANY($1) ORDER BY id FOR UPDATE";
const LOCK_PARCELS: &str = "SELECT id FROM parcels WHERE id = ANY($1) ORDER BY id FOR UPDATE";
const LOCK_PRODUCTS: &str =
    "SELECT id, name, amount_minor, currency, description, active, deleted, version, events FROM products
    WHERE id = ANY($1) ORDER BY id FOR UPDATE";
const SELECT_PRODUCTS: &str = "SELECT id, name, amount_minor, currency, description, active, deleted, version, events FROM products WHERE id = ANY($1)";
const LOCK_CUSTOMERS: &str = "SELECT id, name, email, address, metadata, deleted, version FROM customers WHERE id = ANY($1) ORDER BY id FOR UPDATE";
const LOCK_STOCK: &str = "SELECT product_id, available, reserved, sold, version FROM stock
    WHERE product_id = ANY($1) ORDER BY product_id FOR UPDATE";

async fn lock_ids(tx: &Tx, sql: &str, ids: Vec<Uuid>) -> Result<Vec<Row>, StoreError> {
    if ids.is_empty() { Ok(Vec::new()) } else { rows(tx, sql, &[&ids]).await }
}

async fn lock_texts(tx: &Tx, sql: &str, ids: Vec<&str>) -> Result<Vec<Row>, StoreError> {
    if ids.is_empty() { Ok(Vec::new()) } else { rows(tx, sql, &[&ids]).await }
}

async fn keys(shared: &Shared, tx: &Tx, wants: &Wants) -> Result<Vec<Row>, StoreError> {
    let keys: Vec<&str> = wants.keys.iter().map(|key| key.as_str()).collect();
    if keys.is_empty() { Ok(Vec::new()) } else { rows(tx, SELECT_KEYS, &[&keys, &shared.now()]).await }
}

async fn refs(tx: &Tx, wants: &Wants) -> Result<Vec<Row>, StoreError> {
    let refs: Vec<&str> = wants.refs.iter().map(|order_ref| order_ref.as_str()).collect();
    lock_texts(tx, SELECT_REFS, refs).await
}

async fn products(tx: &Tx, sql: &str, ids: &BTreeSet<ProductId>) -> Result<Vec<Row>, StoreError> {
    lock_texts(tx, sql, ids.iter().map(ProductId::as_str).collect()).await
}

async fn customers(tx: &Tx, wants: &Wants) -> Result<Vec<Row>, StoreError> {
    lock_texts(tx, LOCK_CUSTOMERS, wants.customers.iter().map(|id| id.as_str()).collect()).await
}

type Found<I, T> = HashMap<I, Result<Arc<T>, String>>;

fn add_order(overlay: &mut Overlay, id: OrderId, found: Option<Result<Arc<Order>, String>>) {
    let order = match found {
        Some(Err(reason)) => {
            overlay.broken.insert(Subject::Order(id), reason);
            None
        }
        found => found.and_then(Result::ok),
    };
    overlay.orders.insert(id, StagedOrder::found(order));
}

/// The orders' rows are locked; their versions say whether the events are all there.
fn add_orders(
    overlay: &mut Overlay,
    ids: &[OrderId],
    cache: &Orders,
    locked: &[Row],
    mut found: Found<OrderId, Order>,
) -> Result<(), StoreError> {
    let mut versions: HashMap<OrderId, u32> = HashMap::new();
    for row in locked {
        versions.insert(OrderId::from_uuid(get(row, 0)?), small(get(row, 1)?));
    }
    for id in ids {
        let order = match (found.remove(id), versions.get(id)) {
            (Some(Ok(order)), Some(version)) if order.version == *version => Some(Ok(order)),
            (None, None) => None,
            (Some(Err(reason)), _) => Some(Err(reason)),
            // Placed by somebody between the two statements; or the cache knows commits that this server has lost.
            (Some(Ok(_)), None) => {
                cache.clear();
                return Err(StoreError::Raced);
            }
            (Some(Ok(order)), Some(version)) if order.version > *version => {
                cache.clear();
                return Err(StoreError::Raced);
            }
            (_, version) => Some(Err(format!("order {id} has a row of version {version:?} and other events"))),
        };
        add_order(overlay, *id, order);
    }
    Ok(())
}

fn put<I: Clone + Eq + Hash, T>(
    staged: &mut HashMap<I, Staged<Arc<T>>>,
    ids: Vec<I>,
    mut found: Found<I, T>,
    broken: &mut HashMap<Subject, String>,
    subject: impl Fn(&I) -> Subject,
) {
    for id in ids {
        let now = match found.remove(&id) {
            Some(Ok(now)) => Some(now),
            Some(Err(reason)) => {
                broken.insert(subject(&id), reason);
                None
            }
            None => None,
        };
        staged.insert(id, Staged::found(now));
    }
}

fn add_refs(overlay: &mut Overlay, rows: &[Row]) -> Result<(), StoreError> {
    for row in rows {
        let record = RefRecord { order_id: OrderId::from_uuid(get(row, 1)?), fingerprint: fingerprint(get(row, 2)?)? };
        overlay.refs.insert(parse_id(get(row, 0)?)?, record);
    }
    Ok(())
}

/// Needs the orders that the keys have made.
fn add_keys(overlay: &mut Overlay, keys: Vec<FoundKey>) {
    for FoundKey { key, record, is_in_time } in keys {
        // A key counts until it expires, and as long as the order it made is undecided.
        let is_undecided = match &record.answer {
            Answer::Order(id) => overlay.staged_order(*id).is_some_and(|order| order.status.is_undecided()),
            Answer::Stock(_) | Answer::Record(_) => false,
        };
        if is_in_time || is_undecided {
            overlay.keys.insert(key, record);
        } else {
            overlay.expired_keys.push(key);
        }
    }
}

fn add_products(overlay: &mut Overlay, ids: &BTreeSet<ProductId>, rows: &[Row]) -> Result<(), StoreError> {
    for row in rows {
        let product = read::product_of(row)?;
        let (id, events) = (product.id.clone(), small(get(row, 8)?));
        let product = Staged::found(Some(Arc::new(product)));
        overlay.products.insert(id, StagedProduct { product, events });
    }
    for id in ids {
        let none = || StagedProduct { product: Staged::found(None), events: 0 };
        overlay.products.entry(id.clone()).or_insert_with(none);
    }
    Ok(())
}

fn add_customers(overlay: &mut Overlay, wants: &Wants, rows: &[Row]) -> Result<(), StoreError> {
    for row in rows {
        let customer = read::customer_of(row)?;
        overlay.customers.insert(customer.id.clone(), Staged::found(Some(Arc::new(customer))));
    }
    for id in &wants.customers {
        overlay.customers.entry(id.clone()).or_insert_with(|| Staged::found(None));
    }
    Ok(())
}

fn add_stock(overlay: &mut Overlay, ids: &BTreeSet<ProductId>, rows: &[Row]) -> Result<(), StoreError> {
    for row in rows {
        let level = read::stock_of(row)?;
        overlay.stock.insert(level.product_id.clone(), Staged::found(Some(level)));
    }
    for id in ids {
        overlay.stock.entry(id.clone()).or_insert_with(|| Staged::found(None));
    }
    Ok(())
}
