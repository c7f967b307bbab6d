//! Reads that the writer and the queries share. Each is one statement: one moment.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use ordermill_core::customer::Customer;
use ordermill_core::event::{Recorded, Subject, SubjectKind};
use ordermill_core::id::{CustomerId, OrderId, ParcelId, RecordId};
use ordermill_core::mail::Email;
use ordermill_core::money::Money;
use ordermill_core::order::Order;
use ordermill_core::parcel::Parcel;
use ordermill_core::product::Product;
use ordermill_core::record::Record;
use ordermill_core::stock::StockLevel;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::cache::Orders;
use crate::codec::{EVENT_COLUMNS, get, kind_code, natural, parse_id, recorded, small, subject_of, version_int};
use crate::connect::Session;
use crate::error::StoreError;

/// A parameter of a statement.
pub(crate) type Param<'a> = &'a (dyn ToSql + Sync);

/// Runs a statement that gives rows. Sent at the first poll, once the connection knows the statement. One that is stale is prepared anew and
/// sent again, though never for a transaction: its next try finds it prepared.
pub(crate) async fn rows(client: &Session, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, StoreError> {
    let query = || async {
        let statement = client.prepare_cached(sql).await?;
        Ok(client.query(&statement, params).await?)
    };
    match client.answered(query()).await {
        Err(error) if error.is_stale_statement() => {
            client.statement_cache.clear();
            if !client.may_send_again() {
                return Err(error);
            }
            client.answered(query()).await.or(Err(error))
        }
        answer => answer,
    }
}

/// Runs a statement that gives a count. Sent at the first poll, once the connection knows the statement.
pub(crate) async fn execute(client: &Session, sql: &str, params: &[Param<'_>]) -> Result<u64, StoreError> {
    let execute = async {
        let statement = client.prepare_cached(sql).await?;
        Ok(client.execute(&statement, params).await?)
    };
    client.answered(execute).await.inspect_err(|error| {
        if error.is_stale_statement() {
            client.statement_cache.clear();
        }
    })
}

/// One subject with its events, or why one of them cannot be read.
type History = (Subject, Result<Vec<Recorded>, String>);

/// Events of one subject after the other, each subject's oldest first.
fn by_subject(rows: &[Row]) -> Result<Vec<History>, StoreError> {
    let mut subjects: Vec<History> = Vec::new();
    for row in rows {
        let subject = subject_of(get(row, 0)?, get(row, 1)?)?;
        if subjects.last().is_none_or(|(last, _)| *last != subject) {
            subjects.push((subject, Ok(Vec::new())));
        }
        let (_, events) = subjects.last_mut().expect("one was just put there");
        if let Ok(so_far) = events {
            match recorded(row, 0) {
                Ok(event) => so_far.push(event),
                Err(error) => *events = Err(error.to_string()),
            }
        }
    }
    Ok(subjects)
}

/// The statement for the events of some subjects of one kind, each behind a version. Goes by the index for each subject, whatever the
/// planner thinks of the table's size.
static EVENTS_SQL: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT e.* FROM unnest($2::bytea[], $3::int[]) WITH ORDINALITY AS k (subject, version, number)
         CROSS JOIN LATERAL (SELECT {EVENT_COLUMNS} FROM events
             WHERE subject_kind = $1 AND subject = k.subject AND version > k.version ORDER BY version OFFSET 0) AS e
         ORDER BY k.number, e.version"
    )
});

/// The statement that [`orders`], [`parcels`] and [`records`] send.
pub(crate) fn events_sql() -> &'static str {
    &EVENTS_SQL
}

/// Orders by id, those that there are. What the cache knows is not read again.
pub(crate) async fn orders(
    client: &Session,
    cache: &Orders,
    ids: &[OrderId],
) -> Result<HashMap<OrderId, Result<Arc<Order>, String>>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    let known: Vec<Option<Arc<Order>>> = ids.iter().map(|id| cache.get(*id)).collect();
    let subjects: Vec<&[u8]> = ids.iter().map(|id| &id.as_bytes()[..]).collect();
    let versions: Vec<i32> =
        known.iter().map(|order| order.as_ref().map_or(0, |order| version_int(order.version))).collect();
    let found = rows(client, &EVENTS_SQL, &[&kind_code(SubjectKind::Order), &subjects, &versions]).await?;
    let mut orders: HashMap<OrderId, Result<Arc<Order>, String>> =
        known.into_iter().flatten().map(|order| (order.id, Ok(order))).collect();
    for (subject, events) in by_subject(&found)? {
        let Subject::Order(id) = subject else { continue };
        let present = orders.remove(&id).and_then(Result::ok);
        let order = events.and_then(|events| go_on(id, present, &events));
        orders.insert(id, order);
    }
    cache.put(orders.values().flatten().cloned());
    Ok(orders)
}

/// The order after these events of it.
fn go_on(id: OrderId, present: Option<Arc<Order>>, events: &[Recorded]) -> Result<Arc<Order>, String> {
    let begins_behind = present.as_ref().map_or(0, |order| order.version);
    let is_next = |(event, version): (&Recorded, u32)| event.version == version;
    if !events.iter().zip(begins_behind + 1..).all(is_next) {
        return Err(format!("the events of order {id} have a gap"));
    }
    match present {
        Some(mut order) => {
            let changed = Arc::make_mut(&mut order);
            events.iter().for_each(|event| changed.evolve(&event.event, event.at));
            Ok(order)
        }
        None => {
            let order = Order::fold(id, events.iter().map(|event| (&event.event, event.at)));
            order.map(Arc::new).ok_or_else(|| format!("the events of order {id} do not begin with its placement"))
        }
    }
}

/// One order.
pub(crate) async fn order(client: &Session, cache: &Orders, id: OrderId) -> Result<Option<Arc<Order>>, StoreError> {
    orders(client, cache, &[id]).await?.remove(&id).transpose().map_err(StoreError::Unreadable)
}

/// Parcels by id, those that there are.
pub(crate) async fn parcels(
    client: &Session,
    ids: &[ParcelId],
) -> Result<HashMap<ParcelId, Result<Arc<Parcel>, String>>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let subjects: Vec<&[u8]> = ids.iter().map(|id| id.as_str().as_bytes()).collect();
    let none = vec![0_i32; ids.len()];
    let found = rows(client, &EVENTS_SQL, &[&kind_code(SubjectKind::Parcel), &subjects, &none]).await?;
    fold_parcels(&found)
}

/// Parcels from rows of their events, each parcel's together.
pub(crate) fn fold_parcels(rows: &[Row]) -> Result<HashMap<ParcelId, Result<Arc<Parcel>, String>>, StoreError> {
    let mut parcels = HashMap::new();
    for (subject, events) in by_subject(rows)? {
        let Subject::Parcel(id) = subject else { continue };
        let parcel = events.and_then(|events| {
            let parcel = Parcel::fold(id.clone(), events.iter().map(|event| (&event.event, event.at)));
            parcel.map(Arc::new).ok_or_else(|| format!("the events of parcel {id} do not begin with a move"))
        });
        parcels.insert(id, parcel);
    }
    Ok(parcels)
}

/// Records by id, those that there are.
pub(crate) async fn records(
    client: &Session,
    ids: &[RecordId],
) -> Result<HashMap<RecordId, Result<Arc<Record>, String>>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let subjects: Vec<&[u8]> = ids.iter().map(|id| &id.as_bytes()[..]).collect();
    let none = vec![0_i32; ids.len()];
    let found = rows(client, &EVENTS_SQL, &[&kind_code(SubjectKind::Record), &subjects, &none]).await?;
    fold_records(&found)
}

/// Records from rows of their events, each record's together.
pub(crate) fn fold_records(rows: &[Row]) -> Result<HashMap<RecordId, Result<Arc<Record>, String>>, StoreError> {
    let mut records = HashMap::new();
    for (subject, events) in by_subject(rows)? {
        let Subject::Record(id) = subject else { continue };
        let record = events.and_then(|events| {
            let record = Record::fold(id, events.iter().map(|event| (&event.event, event.at)));
            record.map(Arc::new).ok_or_else(|| format!("the events of record {id} do not begin with its receipt"))
        });
        records.insert(id, record);
    }
    Ok(records)
}

/// Orders from rows of all their events, each order's together.
pub(crate) fn fold_orders(rows: &[Row]) -> Result<HashMap<OrderId, Result<Arc<Order>, String>>, StoreError> {
    let mut orders = HashMap::new();
    for (subject, events) in by_subject(rows)? {
        if let Subject::Order(id) = subject {
            orders.insert(id, events.and_then(|events| go_on(id, None, &events)));
        }
    }
    Ok(orders)
}

/// The columns [`product_of`] reads.
pub(crate) const PRODUCT_COLUMNS: &str = "id, name, amount_minor, currency, description, active, deleted, version";

/// A product from a row: its id at one index, and the rest of [`PRODUCT_COLUMNS`] from another on.
pub(crate) fn product_at(row: &Row, id: usize, rest: usize) -> Result<Product, StoreError> {
    let currency: &str = get(row, rest + 2)?;
    let currency = currency.parse().map_err(|_| StoreError::Unreadable(format!("{currency:?} is no currency")))?;
    Ok(Product {
        id: parse_id(get(row, id)?)?,
        name: get::<&str>(row, rest)?.into(),
        price: Money { amount_minor: get(row, rest + 1)?, currency },
        description: get::<Option<&str>>(row, rest + 3)?.map(Into::into),
        active: get(row, rest + 4)?,
        deleted: get(row, rest + 5)?,
        version: small(get(row, rest + 6)?),
    })
}

/// A product from a row that begins with [`PRODUCT_COLUMNS`].
pub(crate) fn product_of(row: &Row) -> Result<Product, StoreError> {
    product_at(row, 0, 1)
}

/// The columns [`stock_of`] reads.
pub(crate) const STOCK_COLUMNS: &str = "product_id, available, reserved, sold, version";

/// Stock from a row: its product's id at one index, and the rest of [`STOCK_COLUMNS`] from another on.
pub(crate) fn stock_at(row: &Row, id: usize, rest: usize) -> Result<StockLevel, StoreError> {
    Ok(StockLevel {
        product_id: parse_id(get(row, id)?)?,
        available: get(row, rest)?,
        reserved: get(row, rest + 1)?,
        sold: get(row, rest + 2)?,
        version: natural(get(row, rest + 3)?),
    })
}

/// Stock from a row that begins with [`STOCK_COLUMNS`].
pub(crate) fn stock_of(row: &Row) -> Result<StockLevel, StoreError> {
    stock_at(row, 0, 1)
}

/// The columns [`customer_of`] reads.
pub(crate) const CUSTOMER_COLUMNS: &str = "id, name, email, address, metadata, deleted, version";

/// A customer from a row that begins with [`CUSTOMER_COLUMNS`].
pub(crate) fn customer_of(row: &Row) -> Result<Customer, StoreError> {
    let id: CustomerId = parse_id(get(row, 0)?)?;
    // Says where, and not what: an address has no place in a log.
    let unreadable = |column: &str| StoreError::Unreadable(format!("the {column} of customer {id} cannot be read"));
    let json = |index: usize, column: &str| -> Result<Option<serde_json::Value>, StoreError> {
        let text: Option<&str> = get(row, index)?;
        text.map(|text| serde_json::from_str(text).map_err(|_| unreadable(column))).transpose()
    };
    let email: Option<&str> = get(row, 2)?;
    Ok(Customer {
        name: get::<&str>(row, 1)?.into(),
        email: email.map(|email| Email::new(email).map_err(|_| unreadable("e-mail address"))).transpose()?,
        address: json(3, "address")?,
        metadata: json(4, "metadata")?,
        deleted: get(row, 5)?,
        version: small(get(row, 6)?),
        id,
    })
}

#[cfg(test)]
mod tests;
