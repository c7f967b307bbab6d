//! Lists of orders, newest first: open ones by a scan of their small table, the others by the index that fits.

use std::ops::Range;
use std::sync::Arc;

use jiff::SignedDuration;
use ordermill_core::Timestamp;
use ordermill_core::id::{OrderId, OrderRef};
use ordermill_core::order::{Order, Status};
use ordermill_ports::queries::{OrderFilter, Page};
use rusqlite::types::Value;
use rusqlite::{Connection, ToSql, params_from_iter};

use super::super::codec::{order_id_of, status_code};
use super::super::error::StoreError;
use super::super::read;
use super::super::shared::Shared;

/// An id of an order or a record is made when the request comes in, its time of creation when it is committed; so much may lie between.
pub(super) const QUEUE_MAX: SignedDuration = SignedDuration::from_mins(5);

/// Ids fetched beyond the page, for orders that turn out not to fit.
const SPARE: usize = 8;

const LOWEST: OrderId = OrderId::from_bytes([0; 16]);
const HIGHEST: OrderId = OrderId::from_bytes([0xff; 16]);

/// One page of orders, newest first.
pub(super) fn orders(
    conn: &Connection,
    shared: &Shared,
    filter: &OrderFilter,
    before: Option<OrderId>,
    limit: usize,
) -> Result<Page<Arc<Order>, OrderId>, StoreError> {
    // One moment for all statements: an order that moves between the tables is seen once.
    let _moment = conn.unchecked_transaction()?;
    let from = filter.from.and_then(|from| from.checked_sub(QUEUE_MAX).ok());
    let to = filter.to.map_or(HIGHEST, OrderId::first_at);
    let mut range = from.map_or(LOWEST, OrderId::first_at)..before.map_or(to, |before| before.min(to));
    let mut entries: Vec<Arc<Order>> = Vec::new();
    let wanted = limit.saturating_add(1);
    loop {
        let count = wanted - entries.len() + SPARE;
        let ids = candidates(conn, filter, &range, count)?;
        for id in &ids {
            let order = match shared.orders.order(*id) {
                Some(order) => Some(order),
                None => read::order(conn, &shared.types, *id)?.map(|held| held.order),
            };
            entries.extend(order.filter(|order| fits(filter, order)));
            if entries.len() == wanted {
                break;
            }
        }
        match ids.last() {
            Some(last) if ids.len() == count && entries.len() < wanted => range.end = *last,
            _ => break,
        }
    }
    let more = entries.len() > limit;
    entries.truncate(limit);
    let next = entries.last().filter(|_| more).map(|order| order.id);
    Ok(Page { entries, next })
}

/// Whether an order, as it is now, meets every condition.
fn fits(filter: &OrderFilter, order: &Order) -> bool {
    let customer = order.placement.customer_id.as_str();
    let is_named = |text: &str| {
        let order_ref = order.placement.order_ref.as_ref().map(OrderRef::as_str);
        customer == text || order_ref == Some(text) || text.parse() == Ok(order.id)
    };
    filter.customer_id.as_ref().is_none_or(|wanted| wanted.as_str() == customer)
        && (filter.statuses.is_empty() || filter.statuses.contains(&order.status))
        && filter.attention.is_none_or(|wanted| wanted == order.attention.is_some())
        && filter.from.is_none_or(|from: Timestamp| from <= order.created_at)
        && filter.to.is_none_or(|to| order.created_at < to)
        && filter.text.as_deref().is_none_or(is_named)
}

/// The next ids, newest first, of orders whose rows fit: a superset of those that do.
fn candidates(
    conn: &Connection,
    filter: &OrderFilter,
    range: &Range<OrderId>,
    count: usize,
) -> Result<Vec<OrderId>, StoreError> {
    if range.is_empty() {
        return Ok(Vec::new());
    }
    let customer = filter.customer_id.as_ref().map(|id| id.as_str());
    let mut ids = match (&filter.text, customer) {
        (Some(text), None) => {
            let mut ids = by_rows(conn, filter, Some(text), range, count)?;
            ids.extend(by_name(conn, text, range)?);
            ids
        }
        (Some(text), Some(customer)) if text != customer => by_name(conn, text, range)?,
        (_, customer) => by_rows(conn, filter, customer, range, count)?,
    };
    ids.sort_unstable_by(|a, b| b.cmp(a));
    ids.dedup();
    ids.truncate(count);
    Ok(ids)
}

/// Orders with this id or this reference.
fn by_name(conn: &Connection, text: &str, range: &Range<OrderId>) -> Result<Vec<OrderId>, StoreError> {
    let mut ids: Vec<OrderId> = text.parse().into_iter().collect();
    if let Ok(order_ref) = OrderRef::new(text) {
        ids.extend(read::order_ref(conn, &order_ref)?.map(|record| record.order_id));
    }
    ids.retain(|id| range.contains(id));
    Ok(ids)
}

fn by_rows(
    conn: &Connection,
    filter: &OrderFilter,
    customer: Option<&str>,
    range: &Range<OrderId>,
    count: usize,
) -> Result<Vec<OrderId>, StoreError> {
    let mut ids = open(conn, filter, customer, range, count)?;
    if let Some(customer) = customer {
        ids.extend(closed_of_customer(conn, customer, range, count)?);
    } else if filter.attention == Some(true) {
        let sql = "SELECT id FROM closed_orders INDEXED BY closed_with_attention
                   WHERE attention = 1 AND id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";
        ids.extend(select(conn, sql, range, count, &[])?);
    } else if filter.statuses.is_empty() {
        let sql = "SELECT id FROM closed_orders WHERE id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";
        ids.extend(select(conn, sql, range, count, &[])?);
    } else {
        let sql = "SELECT id FROM closed_orders INDEXED BY closed_by_status
                   WHERE id >= ?1 AND id < ?2 AND status = ?4 ORDER BY id DESC LIMIT ?3";
        for status in &filter.statuses {
            ids.extend(select(conn, sql, range, count, &[&status_code(*status)])?);
        }
    }
    Ok(ids)
}

/// Open orders: few, so the conditions are checked row by row.
fn open(
    conn: &Connection,
    filter: &OrderFilter,
    customer: Option<&str>,
    range: &Range<OrderId>,
    count: usize,
) -> Result<Vec<OrderId>, StoreError> {
    // A set of codes as bits: one statement for every filter.
    let set = |statuses: &[Status]| statuses.iter().fold(0_i64, |set, status| set | 1 << status_code(*status));
    let statuses = set(if filter.statuses.is_empty() { &Status::ALL } else { &filter.statuses });
    let sql = "SELECT id FROM open_orders WHERE id >= ?1 AND id < ?2 AND (?4 IS NULL OR customer_id = ?4)
               AND (?5 >> status) & 1 AND (?6 IS NULL OR attention = ?6) ORDER BY id DESC LIMIT ?3";
    select(conn, sql, range, count, &[&customer, &statuses, &filter.attention])
}

/// Orders of one customer that came to rest once: in each span, newest first, by the index; then those not indexed yet.
fn closed_of_customer(
    conn: &Connection,
    customer: &str,
    range: &Range<OrderId>,
    count: usize,
) -> Result<Vec<OrderId>, StoreError> {
    let mut spans = conn.prepare_cached(
        "SELECT number FROM spans WHERE first_id < ?2
         AND number >= (SELECT max(number) FROM spans WHERE first_id <= ?1) ORDER BY number DESC",
    )?;
    let mut numbers = spans.query((range.start.as_bytes(), range.end.as_bytes()))?;
    let sql = "SELECT id FROM customer_orders
               WHERE span = ?4 AND customer_id = ?5 AND id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";
    let mut ids = Vec::new();
    while ids.len() < count
        && let Some(row) = numbers.next()?
    {
        let span: i64 = row.get(0)?;
        ids.extend(select(conn, sql, range, count - ids.len(), &[&span, &customer])?);
    }
    let sql = "SELECT id FROM customer_recent
               WHERE customer_id = ?4 AND id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";
    ids.extend(select(conn, sql, range, count, &[&customer])?);
    Ok(ids)
}

/// Ids in a range; the statement has the range's ends as `?1` and `?2`, the limit as `?3`, and `more` behind.
fn select(
    conn: &Connection,
    sql: &str,
    range: &Range<OrderId>,
    count: usize,
    more: &[&dyn ToSql],
) -> Result<Vec<OrderId>, StoreError> {
    let blob = |id: OrderId| Value::Blob(id.as_bytes().to_vec());
    let (start, end) = (blob(range.start), blob(range.end));
    let limit = i64::try_from(count).unwrap_or(i64::MAX);
    let first: [&dyn ToSql; 3] = [&start, &end, &limit];
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params_from_iter(first.iter().chain(more)))?;
    let mut ids = Vec::new();
    while let Some(row) = rows.next()? {
        ids.push(order_id_of(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?)?);
    }
    Ok(ids)
}
