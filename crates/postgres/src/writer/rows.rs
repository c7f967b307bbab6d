//! Writes what the overlay holds into rows: each once, however often it changed in this transaction.
//!
//! Every statement takes arrays, one per column, so a transaction has as many statements whatever it holds; all are sent at once.

use ordermill_core::Timestamp;
use ordermill_core::policy::Policy;
use uuid::Uuid;

use super::overlay::{Overlay, StagedOrder};
use crate::codec::{answer_text, int, version_int};
use crate::connect::Tx;
use crate::error::StoreError;
use crate::read::{Param, execute};

/// Writes the rows of everything but events and parcels, which need their positions.
pub(crate) async fn write(tx: &Tx, overlay: &Overlay, policy: &Policy, now: Timestamp) -> Result<(), StoreError> {
    tokio::try_join!(
        biased;
        write_keys(tx, overlay, now),
        write_refs(tx, overlay),
        insert_orders(tx, overlay, policy),
        update_orders(tx, overlay, policy, now),
        write_products(tx, overlay),
        write_customers(tx, overlay),
        write_records(tx, overlay),
        insert_stock(tx, overlay),
        update_stock(tx, overlay),
        update_parcels(tx, overlay),
    )?;
    Ok(())
}

/// A statement has to change as many rows as it was given: another number means that a row is not what was locked.
fn all_rows(changed: u64, given: usize) -> Result<(), StoreError> {
    if changed == given as u64 { Ok(()) } else { Err(StoreError::Raced) }
}

async fn write_keys(tx: &Tx, overlay: &Overlay, now: Timestamp) -> Result<(), StoreError> {
    if overlay.new_keys.is_empty() {
        return Ok(());
    }
    let mut new: Vec<_> = overlay.new_keys.iter().collect();
    new.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let keys: Vec<&str> = new.iter().map(|(key, _)| key.as_str()).collect();
    let fingerprints: Vec<&[u8]> = new.iter().map(|(_, record)| &record.fingerprint.0[..]).collect();
    let answers: Vec<String> = new.iter().map(|(_, record)| answer_text(&record.answer)).collect();
    let orders: Vec<Option<Uuid>> = new.iter().map(|(_, record)| order_of(&record.answer)).collect();
    let times: Vec<Timestamp> = new.iter().map(|(_, record)| record.expires_at).collect();
    let expired: Vec<&str> = overlay.expired_keys.iter().map(|key| key.as_str()).collect();
    let delete = async {
        if expired.is_empty() {
            return Ok(0);
        }
        execute(tx, DELETE_KEYS, &[&expired, &now]).await
    };
    let params: [Param<'_>; 5] = [&keys, &fingerprints, &answers, &orders, &times];
    tokio::try_join!(biased; delete, execute(tx, INSERT_KEYS, &params))?;
    Ok(())
}

/// Statements whose order counts: they keep it only when the connection knows them.
pub(super) const STATEMENTS: [&str; 2] = [DELETE_KEYS, INSERT_KEYS];

/// Where somebody else has used such a key meanwhile, theirs stays, and ours comes up as a conflict.
const DELETE_KEYS: &str = "DELETE FROM idempotency WHERE key = ANY($1) AND expires_at <= $2";
const INSERT_KEYS: &str = "INSERT INTO idempotency (key, fingerprint, answer, order_id, expires_at)
    SELECT * FROM unnest($1::text[], $2::bytea[], $3::text[], $4::uuid[], $5::timestamptz[])";

const fn order_of(answer: &ordermill_core::idempotency::Answer) -> Option<Uuid> {
    match answer {
        ordermill_core::idempotency::Answer::Order(id) => Some(id.uuid()),
        _ => None,
    }
}

async fn write_refs(tx: &Tx, overlay: &Overlay) -> Result<(), StoreError> {
    if overlay.new_refs.is_empty() {
        return Ok(());
    }
    let mut new: Vec<_> = overlay.new_refs.iter().collect();
    new.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let refs: Vec<&str> = new.iter().map(|(order_ref, _)| order_ref.as_str()).collect();
    let orders: Vec<Uuid> = new.iter().map(|(_, record)| record.order_id.uuid()).collect();
    let fingerprints: Vec<&[u8]> = new.iter().map(|(_, record)| &record.fingerprint.0[..]).collect();
    let sql =
        "INSERT INTO order_refs (ref, order_id, fingerprint) SELECT * FROM unnest($1::text[], $2::uuid[], $3::bytea[])";
    execute(tx, sql, &[&refs, &orders, &fingerprints]).await?;
    Ok(())
}

/// The changed orders, by id; those of the statement that inserts, or those of the one that updates.
fn changed(overlay: &Overlay, is_new: bool) -> Vec<&std::sync::Arc<ordermill_core::order::Order>> {
    let wanted = |staged: &&StagedOrder| staged.order.changed && staged.order.has_row != is_new;
    let mut orders: Vec<_> =
        overlay.orders.values().filter(wanted).filter_map(|staged| staged.order.now.as_ref()).collect();
    orders.sort_unstable_by_key(|order| order.id);
    orders
}

async fn insert_orders(tx: &Tx, overlay: &Overlay, policy: &Policy) -> Result<(), StoreError> {
    let orders = changed(overlay, true);
    if orders.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = orders.iter().map(|order| order.id.uuid()).collect();
    let customers: Vec<&str> = orders.iter().map(|order| order.placement.customer_id.as_str()).collect();
    let refs: Vec<Option<&str>> =
        orders.iter().map(|order| order.placement.order_ref.as_ref().map(|order_ref| order_ref.as_str())).collect();
    let statuses: Vec<&str> = orders.iter().map(|order| order.status.as_str()).collect();
    let attention: Vec<bool> = orders.iter().map(|order| order.attention.is_some()).collect();
    let open: Vec<bool> = orders.iter().map(|order| order.is_open()).collect();
    let versions: Vec<i32> = orders.iter().map(|order| version_int(order.version)).collect();
    let times: Vec<Timestamp> = orders.iter().map(|order| order.created_at).collect();
    let deadlines: Vec<Option<Timestamp>> = orders.iter().map(|order| order.deadline(policy)).collect();
    // What is reserved may expire before what is undecided is overdue. Looked at as early as that, its row need not say so when it comes.
    let looks: Vec<Option<Timestamp>> = orders
        .iter()
        .map(|order| {
            let expiry = order.created_at.saturating_add(policy.reservation_ttl).unwrap_or(Timestamp::MAX);
            order
                .deadline(policy)
                .map(|deadline| if order.status.is_undecided() { deadline.min(expiry) } else { deadline })
        })
        .collect();
    execute(
        tx,
        "INSERT INTO orders (id, customer_id, order_ref, status, attention, open, version, created_at, deadline, look_at)
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bool[], $6::bool[], $7::int[],
                              $8::timestamptz[], $9::timestamptz[], $10::timestamptz[])",
        &[&ids, &customers, &refs, &statuses, &attention, &open, &versions, &times, &deadlines, &looks],
    )
    .await?;
    Ok(())
}

async fn update_orders(tx: &Tx, overlay: &Overlay, policy: &Policy, now: Timestamp) -> Result<(), StoreError> {
    let orders = changed(overlay, false);
    if orders.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = orders.iter().map(|order| order.id.uuid()).collect();
    let statuses: Vec<&str> = orders.iter().map(|order| order.status.as_str()).collect();
    let attention: Vec<bool> = orders.iter().map(|order| order.attention.is_some()).collect();
    let open: Vec<bool> = orders.iter().map(|order| order.is_open()).collect();
    let versions: Vec<i32> = orders.iter().map(|order| version_int(order.version)).collect();
    let deadlines: Vec<Option<Timestamp>> = orders.iter().map(|order| order.deadline(policy)).collect();
    let undecided: Vec<bool> = orders.iter().map(|order| order.status.is_undecided()).collect();
    let updated = execute(
        tx,
        // Looked at before its deadline, an undecided order is found not to be overdue. That comes seldom, and spares the index much.
        "UPDATE orders AS o SET status = n.status, attention = n.attention, open = n.open, version = n.version, deadline = n.deadline,
             look_at = CASE WHEN n.is_undecided AND o.look_at > $8 AND o.look_at < n.deadline THEN o.look_at ELSE n.deadline END
         FROM unnest($1::uuid[], $2::text[], $3::bool[], $4::bool[], $5::int[], $6::timestamptz[], $7::bool[])
              AS n (id, status, attention, open, version, deadline, is_undecided)
         WHERE o.id = n.id",
        &[&ids, &statuses, &attention, &open, &versions, &deadlines, &undecided, &now],
    )
    .await?;
    all_rows(updated, orders.len())
}

async fn write_products(tx: &Tx, overlay: &Overlay) -> Result<(), StoreError> {
    let mut staged: Vec<_> = overlay
        .products
        .values()
        .filter(|staged| staged.product.changed)
        .filter_map(|staged| Some((staged.product.now.as_ref()?, staged)))
        .collect();
    if staged.is_empty() {
        return Ok(());
    }
    staged.sort_unstable_by(|(a, _), (b, _)| a.id.cmp(&b.id));
    let (known, new): (Vec<_>, Vec<_>) = staged.into_iter().partition(|(_, staged)| staged.product.has_row);
    for (group, sql) in [(new, INSERT_PRODUCTS), (known, UPDATE_PRODUCTS)] {
        if group.is_empty() {
            continue;
        }
        let products: Vec<_> = group.iter().map(|(product, _)| *product).collect();
        let ids: Vec<&str> = products.iter().map(|product| product.id.as_str()).collect();
        let names: Vec<&str> = products.iter().map(|product| &*product.name).collect();
        let amounts: Vec<i64> = products.iter().map(|product| product.price.amount_minor).collect();
        let currencies: Vec<&str> = products.iter().map(|product| product.price.currency.code()).collect();
        let descriptions: Vec<Option<&str>> = products.iter().map(|product| product.description.as_deref()).collect();
        let active: Vec<bool> = products.iter().map(|product| product.active).collect();
        let deleted: Vec<bool> = products.iter().map(|product| product.deleted).collect();
        let versions: Vec<i32> = products.iter().map(|product| version_int(product.version)).collect();
        let events: Vec<i32> = group.iter().map(|(_, staged)| version_int(staged.events)).collect();
        let given = group.len();
        let params: [Param<'_>; 9] =
            [&ids, &names, &amounts, &currencies, &descriptions, &active, &deleted, &versions, &events];
        all_rows(execute(tx, sql, &params).await?, given)?;
    }
    Ok(())
}

const INSERT_PRODUCTS: &str =
    "INSERT INTO products (id, name, amount_minor, currency, description, active, deleted, version, events)
     SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bool[], $7::bool[], $8::int[], $9::int[])";

const UPDATE_PRODUCTS: &str =
    "UPDATE products AS p SET name = n.name, amount_minor = n.amount_minor, currency = n.currency, description = n.description,
            active = n.active, deleted = n.deleted, version = n.version, events = n.events
     FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bool[], $7::bool[], $8::int[], $9::int[])
          AS n (id, name, amount_minor, currency, description, active, deleted, version, events)
     WHERE p.id = n.id";

async fn write_customers(tx: &Tx, overlay: &Overlay) -> Result<(), StoreError> {
    let mut customers: Vec<_> =
        overlay.customers.values().filter(|staged| staged.changed).filter_map(|staged| staged.now.as_ref()).collect();
    if customers.is_empty() {
        return Ok(());
    }
    customers.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    let json = |value: &Option<serde_json::Value>| value.as_ref().map(ToString::to_string);
    let ids: Vec<&str> = customers.iter().map(|customer| customer.id.as_str()).collect();
    let names: Vec<&str> = customers.iter().map(|customer| &*customer.name).collect();
    let emails: Vec<Option<&str>> =
        customers.iter().map(|customer| customer.email.as_ref().map(|email| email.as_str())).collect();
    let addresses: Vec<Option<String>> = customers.iter().map(|customer| json(&customer.address)).collect();
    let metadata: Vec<Option<String>> = customers.iter().map(|customer| json(&customer.metadata)).collect();
    let deleted: Vec<bool> = customers.iter().map(|customer| customer.deleted).collect();
    let versions: Vec<i32> = customers.iter().map(|customer| version_int(customer.version)).collect();
    // A customer whom somebody else put meanwhile meets the unique version of the event.
    execute(
        tx,
        "INSERT INTO customers (id, name, email, address, metadata, deleted, version)
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bool[], $7::int[])
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, email = excluded.email, address = excluded.address,
             metadata = excluded.metadata, deleted = excluded.deleted, version = excluded.version",
        &[&ids, &names, &emails, &addresses, &metadata, &deleted, &versions],
    )
    .await?;
    Ok(())
}

async fn write_records(tx: &Tx, overlay: &Overlay) -> Result<(), StoreError> {
    let mut records: Vec<_> =
        overlay.records.values().filter(|staged| staged.changed).filter_map(|staged| staged.now.as_ref()).collect();
    if records.is_empty() {
        return Ok(());
    }
    records.sort_unstable_by_key(|record| record.id);
    let ids: Vec<Uuid> = records.iter().map(|record| record.id.uuid()).collect();
    let times: Vec<Timestamp> = records.iter().map(|record| record.received_at).collect();
    let keys: Vec<Option<&str>> =
        records.iter().map(|record| record.stored.as_ref().map(|stored| &*stored.key)).collect();
    let attempts: Vec<Option<i32>> =
        records.iter().map(|record| record.stored.as_ref().map(|stored| version_int(stored.attempts))).collect();
    let versions: Vec<i32> = records.iter().map(|record| version_int(record.version)).collect();
    execute(
        tx,
        "INSERT INTO records (id, received_at, stored_key, attempts, version)
         SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::int[], $5::int[])
         ON CONFLICT (id) DO UPDATE SET stored_key = excluded.stored_key, attempts = excluded.attempts, version = excluded.version",
        &[&ids, &times, &keys, &attempts, &versions],
    )
    .await?;
    Ok(())
}

/// Stock rows as columns; those that have a row, or those that have none yet.
struct StockColumns<'a> {
    ids: Vec<&'a str>,
    available: Vec<i64>,
    reserved: Vec<i64>,
    sold: Vec<i64>,
    versions: Vec<i64>,
}

impl<'a> StockColumns<'a> {
    fn of(overlay: &'a Overlay, has_row: bool) -> Self {
        let wanted = overlay.stock.values().filter(|staged| staged.changed && staged.has_row == has_row);
        let mut levels: Vec<_> = wanted.filter_map(|staged| staged.now.as_ref()).collect();
        levels.sort_unstable_by(|a, b| a.product_id.cmp(&b.product_id));
        Self {
            ids: levels.iter().map(|level| level.product_id.as_str()).collect(),
            available: levels.iter().map(|level| level.available).collect(),
            reserved: levels.iter().map(|level| level.reserved).collect(),
            sold: levels.iter().map(|level| level.sold).collect(),
            versions: levels.iter().map(|level| int(level.version)).collect(),
        }
    }

    async fn write(&self, tx: &Tx, sql: &str) -> Result<(), StoreError> {
        if self.ids.is_empty() {
            return Ok(());
        }
        let written =
            execute(tx, sql, &[&self.ids, &self.available, &self.reserved, &self.sold, &self.versions]).await?;
        all_rows(written, self.ids.len())
    }
}

async fn insert_stock(tx: &Tx, overlay: &Overlay) -> Result<(), StoreError> {
    let sql = "INSERT INTO stock (product_id, available, reserved, sold, version)
               SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])";
    StockColumns::of(overlay, false).write(tx, sql).await
}

async fn update_stock(tx: &Tx, overlay: &Overlay) -> Result<(), StoreError> {
    let sql = "UPDATE stock AS s SET available = n.available, reserved = n.reserved, sold = n.sold, version = n.version
               FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
                    AS n (product_id, available, reserved, sold, version)
               WHERE s.product_id = n.product_id";
    StockColumns::of(overlay, true).write(tx, sql).await
}

/// Parcels that were reported before; new ones need the position of their first event.
async fn update_parcels(tx: &Tx, overlay: &Overlay) -> Result<(), StoreError> {
    let wanted = overlay.parcels.values().filter(|staged| staged.changed && staged.has_row);
    let mut parcels: Vec<_> = wanted.filter_map(|staged| staged.now.as_ref()).collect();
    if parcels.is_empty() {
        return Ok(());
    }
    parcels.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    let ids: Vec<&str> = parcels.iter().map(|parcel| parcel.id.as_str()).collect();
    let statuses: Vec<&str> = parcels.iter().map(|parcel| parcel.status.as_str()).collect();
    let versions: Vec<i32> = parcels.iter().map(|parcel| version_int(parcel.version)).collect();
    let sql = "UPDATE parcels AS p SET status = n.status, version = n.version
               FROM unnest($1::text[], $2::text[], $3::int[]) AS n (id, status, version) WHERE p.id = n.id";
    all_rows(execute(tx, sql, &[&ids, &statuses, &versions]).await?, parcels.len())
}
