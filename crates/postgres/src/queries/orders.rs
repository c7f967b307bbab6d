//! Orders: by reference, in lists, by deadline, counted.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::SignedDuration;
use ordermill_core::Timestamp;
use ordermill_core::id::{OrderId, OrderRef};
use ordermill_core::order::{Order, Status};
use ordermill_ports::queries::{Counts, OrderFilter, Page};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{page, take};
use crate::codec::{self, EVENT_COLUMNS, get, natural};
use crate::connect::Session;
use crate::error::StoreError;
use crate::read::{Param, fold_orders, rows};

/// An id of an order or a record is made when the request comes in, its time of creation when it is committed; so much may lie between.
pub(super) const QUEUE_MAX: SignedDuration = SignedDuration::from_mins(5);

/// The orders of these references, in their order.
pub(super) async fn by_refs(client: &Session, order_refs: &[OrderRef]) -> Result<Vec<Option<OrderId>>, StoreError> {
    let texts: Vec<&str> = order_refs.iter().map(OrderRef::as_str).collect();
    let found = rows(client, "SELECT ref, order_id FROM order_refs WHERE ref = ANY($1)", &[&texts]).await?;
    let mut ids: HashMap<&str, OrderId> = HashMap::new();
    for row in &found {
        ids.insert(get(row, 0)?, OrderId::from_uuid(get(row, 1)?));
    }
    Ok(texts.iter().map(|text| ids.get(text).copied()).collect())
}

/// The conditions of a statement, with its parameters. What a caller gives is always a parameter: the connections keep a statement for
/// each text of one.
#[derive(Default)]
pub(super) struct Conditions {
    sql: String,
    params: Vec<Box<dyn ToSql + Sync + Send>>,
}

impl Conditions {
    /// Takes a parameter, and gives what stands for it in the statement.
    pub(super) fn param(&mut self, param: impl ToSql + Sync + Send + 'static) -> String {
        self.params.push(Box::new(param));
        format!("${}", self.params.len())
    }

    /// Adds a condition.
    pub(super) fn add(&mut self, condition: &str) {
        self.sql.push_str(if self.sql.is_empty() { "WHERE " } else { " AND " });
        self.sql.push_str(condition);
    }

    /// Adds a condition that compares with a parameter, which comes behind it.
    pub(super) fn compare(&mut self, condition: &str, param: impl ToSql + Sync + Send + 'static) {
        let param = self.param(param);
        self.add(&format!("{condition} {param}"));
    }

    pub(super) fn sql(&self) -> &str {
        &self.sql
    }

    pub(super) fn params(&self) -> Vec<Param<'_>> {
        self.params.iter().map(|param| &**param as Param<'_>).collect()
    }
}

/// One page of orders, newest first, rows and events of one moment.
pub(super) async fn list(
    client: &Session,
    filter: &OrderFilter,
    before: Option<OrderId>,
    limit: usize,
) -> Result<Page<Arc<Order>, OrderId>, StoreError> {
    let mut conditions = conditions(filter, before);
    let rows_max = conditions.param(codec::limit(limit).saturating_add(1));
    let sql = format!(
        "WITH page AS MATERIALIZED (SELECT id FROM orders {} ORDER BY id DESC LIMIT {rows_max})
         SELECT e.* FROM page CROSS JOIN LATERAL (SELECT {EVENT_COLUMNS} FROM events
             WHERE subject_kind = 1 AND subject = uuid_send(page.id) ORDER BY version OFFSET 0) AS e
         ORDER BY page.id DESC, e.version",
        conditions.sql(),
    );
    let found = fold_orders(&rows(client, &sql, &conditions.params()).await?)?;
    let mut ids: Vec<OrderId> = found.keys().copied().collect();
    ids.sort_unstable_by(|a, b| b.cmp(a));
    Ok(page(take(ids, found)?, limit, |order: &Arc<Order>| order.id))
}

fn conditions(filter: &OrderFilter, before: Option<OrderId>) -> Conditions {
    let mut conditions = Conditions::default();
    if let Some(before) = before {
        conditions.compare("id <", before.uuid());
    }
    if let Some(customer) = &filter.customer_id {
        conditions.compare("customer_id =", customer.as_str().to_owned());
    }
    if !filter.statuses.is_empty() {
        let statuses = conditions.param(filter.statuses.iter().map(|status| status.as_str()).collect::<Vec<_>>());
        let stages = conditions.param(filter.statuses.iter().map(|status| stage(*status)).collect::<Vec<_>>());
        conditions.add(&format!("stage = ANY({stages}) AND status = ANY({statuses})"));
    }
    match filter.attention {
        Some(true) => conditions.add("attention"),
        Some(false) => conditions.add("NOT attention"),
        None => {}
    }
    if let Some(from) = filter.from {
        conditions.compare("created_at >=", from);
        if let Ok(made) = from.checked_sub(QUEUE_MAX) {
            conditions.compare("id >=", OrderId::first_at(made).uuid());
        }
    }
    if let Some(to) = filter.to {
        conditions.compare("created_at <", to);
        conditions.compare("id <", OrderId::first_at(to).uuid());
    }
    if let Some(text) = &filter.text {
        let id: Option<Uuid> = text.parse().ok().map(OrderId::uuid);
        // PostgreSQL's texts hold no NUL, so nothing there is called so.
        let text = conditions.param(text.replace('\0', "\u{fffd}"));
        let id = conditions.param(id);
        conditions.add(&format!(
            "id = ANY(ARRAY(SELECT order_id FROM order_refs WHERE ref = {text}
                 UNION ALL SELECT o.id FROM orders AS o WHERE o.customer_id = {text} UNION ALL SELECT {id}::uuid))"
        ));
    }
    conditions
}

/// What the column `stage` is for an order of this status: it has an index, and is one for all that are undecided.
const fn stage(status: Status) -> i16 {
    match status {
        Status::Placed | Status::Authorized | Status::Reserved => 0,
        Status::Confirmed => 1,
        Status::Shipped => 2,
        Status::Delivered => 3,
        Status::Rejected => 4,
        Status::Cancelled => 5,
        Status::Returned => 6,
    }
}

/// Orders whose deadline is over, the oldest deadline first.
pub(super) async fn overdue(client: &Session, now: Timestamp, limit: usize) -> Result<Vec<OrderId>, StoreError> {
    let sql = "SELECT id FROM orders WHERE look_at <= $1 AND deadline <= $1 ORDER BY deadline, id LIMIT $2";
    let found = rows(client, sql, &[&now, &codec::limit(limit)]).await?;
    found.iter().map(|row| Ok(OrderId::from_uuid(get(row, 0)?))).collect()
}

/// Orders by status, and those that wait for a person.
pub(super) async fn counts(client: &Session) -> Result<Counts, StoreError> {
    let columns: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
    let sql = format!("SELECT attention, {} FROM feed_head", columns.join(", "));
    let found = rows(client, &sql, &[]).await?;
    let row = found.first().ok_or_else(|| StoreError::Unreadable("the feed has no head".to_owned()))?;
    let mut counts = Counts { attention: natural(get(row, 0)?), ..Counts::default() };
    for (status, index) in Status::ALL.into_iter().zip(1..) {
        let count = natural(get(row, index)?);
        if count > 0 {
            counts.by_status.push((status, count));
        }
    }
    Ok(counts)
}
