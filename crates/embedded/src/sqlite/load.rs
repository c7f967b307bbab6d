//! What is read when a ledger is opened. It grows with open orders, products, live keys and parcels, not with the orders stored.

mod index;
mod parcels;

use std::collections::HashMap;
use std::sync::Arc;

use ordermill_core::Timestamp;
use ordermill_core::id::OrderId;
use ordermill_core::order::Status;
use ordermill_core::process::Role;
use ordermill_core::product::Product;
use ordermill_core::stock::StockLevel;
use parking_lot::{Mutex, RwLock};
use rusqlite::{Connection, OptionalExtension};

use super::Options;
use super::admission::Admission;
use super::catalogue::Catalogue;
use super::codec::{Types, blob, instant, int, natural, order_id_of, product_id_of};
use super::deadlines::Deadlines;
use super::error::StoreError;
use super::feed::Feed;
use super::health::Health;
use super::keys::KeyIndex;
use super::memory::{KnownIds, Orders};
use super::meters::Meters;
use super::parcels::Parcels;
use super::roles::Roles;
use super::shared::Shared;
use super::totals::{self, Totals};
use super::trail::Trail;
use super::watch::Watchers;
use super::writer::customers::Customers;
use super::writer::lanes::Lanes;
use super::writer::memory::{KeySweep, Memory};
use super::{bus, read};

pub(super) use parcels::{Behind, behind};

/// Reads everything a ledger holds in memory.
pub(super) fn load(conn: &Connection, options: &Options) -> Result<(Shared, Memory), StoreError> {
    // Keys and parcels are what may be millions; they are read beside everything else.
    std::thread::scope(|scope| {
        let keys = scope.spawn(|| index::load(&options.path, &index::KEYS));
        let parcels = scope.spawn(|| index::load(&options.path, &index::PARCELS));
        let shared = load_shared(conn, options)?;
        let keys = keys.join().map_err(|_| index::broken_off())?;
        let (rows, _) = parcels.join().map_err(|_| index::broken_off())??;
        shared.parcels.begin(rows);
        let memory = load_memory(conn, &shared, keys?)?;
        Ok((shared, memory))
    })
}

fn load_shared(conn: &Connection, options: &Options) -> Result<Shared, StoreError> {
    let last: Option<i64> = conn.query_row("SELECT max(position) FROM events", [], |row| row.get(0))?;
    let cursors = load_cursors(conn)?;
    let totals = load_totals(conn)?;
    let undecided = usize::try_from(totals.undecided()).unwrap_or(0);
    let shared = Shared {
        policy: options.policy.clone(),
        clock: Arc::clone(&options.clock),
        types: Types::load(conn)?,
        lanes: Lanes::default(),
        admission: Admission::new(options.undecided_max, undecided),
        orders: Orders::default(),
        catalogue: RwLock::new(load_catalogue(conn)?),
        parcels: Parcels::default(),
        feed: Feed::new(last.map_or(0, natural)),
        roles: Roles::new(|role| cursors.get(&role).copied().unwrap_or(0)),
        deadlines: Mutex::new(Deadlines::default()),
        watchers: Watchers::default(),
        parcel_watchers: Watchers::default(),
        totals: Mutex::new(totals),
        mailbox_end: Mutex::new(read::counter(conn, "mailbox_end")?),
        health: Health::default(),
        meters: Meters::new(),
        died: false.into(),
        ended: false.into(),
        end: tokio::sync::Notify::new(),
    };
    shared.meters.undecided.set(undecided as f64);
    load_open_orders(conn, &shared)?;
    bus::load_parked(conn, &shared)?;
    Ok(shared)
}

fn load_open_orders(conn: &Connection, shared: &Shared) -> Result<(), StoreError> {
    let mut statement = conn.prepare("SELECT id, trail FROM open_orders")?;
    let mut rows = statement.query([])?;
    let mut deadlines = shared.deadlines.lock();
    while let Some(row) = rows.next()? {
        let id = order_id_of(blob(row, 0)?)?;
        let trail = Trail::from_bytes(blob(row, 1)?)?;
        let held = read::fold(conn, &shared.types, id, trail)?;
        deadlines.committed(&held.order, held.order.deadline(&shared.policy));
        shared.orders.put(held);
    }
    Ok(())
}

fn load_cursors(conn: &Connection) -> Result<HashMap<Role, u64>, StoreError> {
    let mut statement = conn.prepare("SELECT role, position FROM cursors")?;
    let mut rows = statement.query([])?;
    let mut cursors = HashMap::new();
    while let Some(row) = rows.next()? {
        if let Some(role) = row.get_ref(0)?.as_str().ok().and_then(Role::from_name) {
            cursors.insert(role, natural(row.get(1)?));
        }
    }
    Ok(cursors)
}

fn load_totals(conn: &Connection) -> Result<Totals, StoreError> {
    let mut totals = Totals::default();
    for status in Status::ALL {
        totals.add(status, int(read::counter(conn, totals::counter(status))?.unwrap_or(0)));
    }
    totals.attention = int(read::counter(conn, totals::ATTENTION)?.unwrap_or(0));
    Ok(totals)
}

/// Reads all products and their stock.
pub(super) fn load_catalogue(conn: &Connection) -> Result<Catalogue, StoreError> {
    let mut catalogue = Catalogue::default();
    let mut statement = conn.prepare(
        "SELECT id, name, amount_minor, currency, description, active, version, events, deleted FROM products",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (product, events) = product_of(row)?;
        let item = catalogue.entry(product.id.clone()).or_default();
        item.events = events;
        item.product = Some(Arc::new(product));
    }
    let mut statement = conn.prepare("SELECT product_id, available, reserved, sold, version, slot FROM stock")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let level = stock_of(row)?;
        let item = catalogue.entry(level.product_id.clone()).or_default();
        item.slot = row.get(5)?;
        item.stock = Some(level);
    }
    Ok(catalogue)
}

/// Reads a product from id, name, amount, currency, description, active, version, the number of its events, and whether it is deleted.
pub(super) fn product_of(row: &rusqlite::Row<'_>) -> Result<(Product, u32), StoreError> {
    let id = product_id_of(row.get_ref(0)?.as_bytes().map_err(rusqlite::Error::from)?)?;
    let currency: String = row.get(3)?;
    let currency = currency
        .parse()
        .map_err(|error: ordermill_core::money::UnknownCurrency| StoreError::Unreadable(error.to_string()))?;
    let product = Product {
        id,
        name: row.get(1)?,
        price: ordermill_core::money::Money { amount_minor: row.get(2)?, currency },
        description: row.get(4)?,
        active: row.get(5)?,
        deleted: row.get(8)?,
        version: row.get(6)?,
    };
    Ok((product, row.get(7)?))
}

/// Reads a stock level from product, available, reserved, sold and version.
pub(super) fn stock_of(row: &rusqlite::Row<'_>) -> Result<StockLevel, StoreError> {
    Ok(StockLevel {
        product_id: product_id_of(row.get_ref(0)?.as_bytes().map_err(rusqlite::Error::from)?)?,
        available: row.get(1)?,
        reserved: row.get(2)?,
        sold: row.get(3)?,
        version: natural(row.get(4)?),
    })
}

fn load_memory(conn: &Connection, shared: &Shared, keys: (KeyIndex, i64)) -> Result<Memory, StoreError> {
    let greatest = |table: &str| -> Result<OrderId, StoreError> {
        let sql = format!("SELECT id FROM {table} ORDER BY id DESC LIMIT 1");
        let id: Option<[u8; 16]> = conn.query_row(&sql, [], |row| row.get(0)).optional()?;
        Ok(OrderId::from_bytes(id.unwrap_or_default()))
    };
    let last_at: Option<i64> =
        conn.query_row("SELECT at FROM events ORDER BY position DESC LIMIT 1", [], |row| row.get(0)).optional()?;
    let (keys, key_row) = keys;
    Ok(Memory {
        position: shared.feed.last(),
        now: last_at.map_or(Ok(Timestamp::MIN), instant)?,
        known: KnownIds::new(greatest("open_orders")?.max(greatest("closed_orders")?)),
        keys,
        key_row,
        stock_slot: shared.catalogue.read().values().map(|item| item.slot).max().unwrap_or(0),
        sweep: KeySweep { row: 0, next: Timestamp::MIN },
        customers: Customers::load(conn)?,
        unwritten: parcels::load(conn, shared)?,
    })
}
