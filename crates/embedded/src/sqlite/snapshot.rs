//! One moment of a ledger, as stored, for the auditor.

use std::path::Path;

use ordermill_core::event::{Recorded, Subject};
use ordermill_core::id::{OrderId, OrderRef, ProductId};
use ordermill_core::idempotency::Record;
use ordermill_ports::audit::{AuditError, LedgerSnapshot, OrderHistory, OrderRow, ProductHistory};
use rusqlite::{Connection, Row, Rows};

use super::codec::{self, EVENT_COLUMNS, Types, natural, order_id_of, status_of};
use super::error::{OpenError, StoreError};
use super::trail::Trail;
use super::{connection, load, read, schema};

/// One moment of a ledger: a read-only connection in one read transaction. The ledger may be in use meanwhile, by this process or
/// another.
///
/// Events are found here by what they say they belong to, not by the places that an order's row names: the auditor would not see
/// a wrong place otherwise.
pub struct Snapshot {
    conn: Connection,
    types: Types,
}

impl Snapshot {
    /// Opens a ledger's database at this moment.
    ///
    /// # Errors
    /// When there is none, when it is not a ledger or one of a newer program, or cannot be read.
    pub fn open(path: &Path) -> Result<Self, AuditError> {
        if !path.exists() {
            return Err(AuditError(format!("there is no ledger at {}", path.display())));
        }
        let open = |error: OpenError| AuditError(error.to_string());
        let conn =
            connection::reader(path).map_err(|source| open(OpenError::Sqlite { path: path.to_owned(), source }))?;
        if schema::check(&conn, path).map_err(open)? != schema::NEWEST {
            let path = path.display();
            return Err(AuditError(format!(
                "the ledger {path} is of an older schema; serving it once brings it up to date"
            )));
        }
        // The transaction takes its moment with its first read, and ends with the connection.
        conn.execute_batch("BEGIN").map_err(StoreError::from)?;
        let types = Types::load(&conn)?;
        Ok(Self { conn, types })
    }

    /// The trails in the rows of orders that are not where the order's events are.
    fn wrong_trails(&self) -> Result<Vec<String>, StoreError> {
        let mut statement =
            self.conn.prepare("SELECT id, trail FROM open_orders UNION ALL SELECT id, trail FROM closed_orders")?;
        let mut rows = statement.query([])?;
        let mut wrong = Vec::new();
        while let Some(row) = rows.next()? {
            let id = order_id_of(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?)?;
            let trail = Trail::from_bytes(row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?);
            if let Err(StoreError::Unreadable(what)) =
                trail.and_then(|trail| read::fold(&self.conn, &self.types, id, trail))
            {
                wrong.push(format!("the row of order {id} does not lead to its events: {what}"));
            }
        }
        Ok(wrong)
    }
}

impl Snapshot {
    /// One order, by the places that its row names; `None` without a row.
    fn history_by_trail(&self, id: OrderId) -> Result<Option<OrderHistory>, StoreError> {
        let mut statement = self.conn.prepare_cached(ORDER_ROW)?;
        let mut rows = statement.query([id.as_bytes()])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let trail = Trail::from_bytes(blob(row, 6)?)?;
        let row = order_row(row)?;
        let events = read::events(&self.conn, &self.types, id, &trail, 0)?;
        let events = events.into_iter().map(|committed| committed.recorded).collect();
        Ok(Some(OrderHistory { row: Some(row), id, events }))
    }
}

fn blob<'a>(row: &'a Row<'_>, index: usize) -> Result<&'a [u8], StoreError> {
    Ok(row.get_ref(index)?.as_blob().map_err(rusqlite::Error::from)?)
}

fn order_row(row: &Row<'_>) -> Result<OrderRow, StoreError> {
    let customer: String = row.get(1)?;
    let id = order_id_of(blob(row, 0)?)?;
    Ok(OrderRow {
        id,
        customer_id: customer
            .parse()
            .map_err(|error| StoreError::Unreadable(format!("the customer of order {id}: {error}")))?,
        status: status_of(row.get(2)?)?,
        attention: row.get(3)?,
        version: row.get(4)?,
        open: row.get(5)?,
    })
}

const ORDER_ROWS: &str = "SELECT id, customer_id, status, attention, version, 1 FROM open_orders
    UNION ALL SELECT id, customer_id, status, attention, version, 0 FROM closed_orders ORDER BY 1";

const ORDER_ROW: &str = "SELECT id, customer_id, status, attention, version, 1, trail FROM open_orders WHERE id = ?1
    UNION ALL SELECT id, customer_id, status, attention, version, 0, trail FROM closed_orders WHERE id = ?1";

/// Positions of one kind of subject's events, sorted by subject and version. Only the small columns are sorted; the events
/// themselves are read one by one, mostly near each other.
fn sorted_positions(subject_type: &str) -> String {
    format!(
        "SELECT subject, position FROM events WHERE typeof(subject) = '{subject_type}' ORDER BY subject, version, position"
    )
}

/// Gives the events of one subject after the other.
struct Histories<'s> {
    rows: Rows<'s>,
    conn: &'s Connection,
    types: &'s Types,
    /// The first event of the next subject.
    next: Option<Recorded>,
}

impl<'s> Histories<'s> {
    fn begin(rows: Rows<'s>, conn: &'s Connection, types: &'s Types) -> Result<Self, StoreError> {
        let mut histories = Self { rows, conn, types, next: None };
        histories.next = histories.step()?;
        Ok(histories)
    }

    fn step(&mut self) -> Result<Option<Recorded>, StoreError> {
        let Some(row) = self.rows.next()? else { return Ok(None) };
        let mut statement =
            self.conn.prepare_cached(&format!("SELECT {EVENT_COLUMNS} FROM events WHERE position = ?1"))?;
        let mut found = statement.query([row.get::<_, i64>(1)?])?;
        found.next()?.map(|row| codec::recorded(row, 0, self.types)).transpose()
    }

    /// The subject whose events come next.
    fn subject(&self) -> Option<&Subject> {
        self.next.as_ref().map(|event| &event.subject)
    }

    /// All events of that subject.
    fn take(&mut self) -> Result<Vec<Recorded>, StoreError> {
        let mut events: Vec<Recorded> = self.next.take().into_iter().collect();
        while let Some(event) = self.step()? {
            if event.subject != events[0].subject {
                self.next = Some(event);
                break;
            }
            events.push(event);
        }
        Ok(events)
    }
}

impl LedgerSnapshot for Snapshot {
    fn each_order(&mut self, visit: &mut dyn FnMut(OrderHistory) -> Result<(), AuditError>) -> Result<(), AuditError> {
        let mut rows = self.conn.prepare(ORDER_ROWS).map_err(StoreError::from)?;
        let mut rows = rows.query([]).map_err(StoreError::from)?;
        let mut positions = self.conn.prepare(&sorted_positions("blob")).map_err(StoreError::from)?;
        let positions = positions.query([]).map_err(StoreError::from)?;
        let mut histories = Histories::begin(positions, &self.conn, &self.types)?;
        let next_row =
            |rows: &mut Rows<'_>| -> Result<Option<OrderRow>, StoreError> { rows.next()?.map(order_row).transpose() };
        let mut row = next_row(&mut rows)?;
        // Two lists in the order of ids, walked together: either may lack what the other has.
        loop {
            let of_events = match histories.subject() {
                Some(Subject::Order(id)) => Some(*id),
                _ => None,
            };
            let of_row = row.as_ref().map(|row| row.id);
            let Some(id) = of_events.into_iter().chain(of_row).min() else { return Ok(()) };
            let events = if of_events == Some(id) { histories.take()? } else { Vec::new() };
            let mut history = OrderHistory { row: None, id, events };
            if of_row == Some(id) {
                history.row = row.take();
                row = next_row(&mut rows)?;
            }
            visit(history)?;
        }
    }

    /// Goes by the rows' trails, so that a few orders among millions are found at once. An order whose trail is wrong is found as
    /// [`Self::each_order`] finds it.
    fn each_order_of(
        &mut self,
        ids: &[OrderId],
        visit: &mut dyn FnMut(OrderHistory) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        let mut astray = Vec::new();
        for id in ids {
            match self.history_by_trail(*id) {
                Ok(Some(history)) => visit(history)?,
                Ok(None) => {}
                Err(StoreError::Unreadable(_)) => astray.push(*id),
                Err(error) => return Err(error.into()),
            }
        }
        if astray.is_empty() {
            return Ok(());
        }
        self.each_order(&mut |history| if astray.binary_search(&history.id).is_ok() { visit(history) } else { Ok(()) })
    }

    fn each_product(
        &mut self,
        visit: &mut dyn FnMut(ProductHistory) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        let mut catalogue = load::load_catalogue(&self.conn)?;
        let mut ids: Vec<ProductId> = catalogue.keys().cloned().collect();
        ids.sort_unstable();
        let mut ids = ids.into_iter().peekable();
        let mut positions = self.conn.prepare(&sorted_positions("text")).map_err(StoreError::from)?;
        let positions = positions.query([]).map_err(StoreError::from)?;
        let mut histories = Histories::begin(positions, &self.conn, &self.types)?;
        loop {
            let of_events = match histories.subject() {
                Some(Subject::Product(id)) => Some(id.clone()),
                _ => None,
            };
            let of_row = ids.peek().cloned();
            let Some(id) = of_events.iter().chain(&of_row).min().cloned() else { return Ok(()) };
            let events = if of_events.as_ref() == Some(&id) { histories.take()? } else { Vec::new() };
            if of_row.as_ref() == Some(&id) {
                ids.next();
            }
            let item = catalogue.remove(&id).unwrap_or_default();
            let product = item.product.map(|product| (*product).clone());
            visit(ProductHistory { id, product, stock: item.stock, events })?;
        }
    }

    fn each_order_ref(
        &mut self,
        visit: &mut dyn FnMut(OrderRef, OrderId) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        let mut statement =
            self.conn.prepare("SELECT ref, order_id FROM order_refs ORDER BY ref").map_err(StoreError::from)?;
        let mut rows = statement.query([]).map_err(StoreError::from)?;
        while let Some(row) = rows.next().map_err(StoreError::from)? {
            let text: String = row.get(0).map_err(StoreError::from)?;
            let order_ref =
                text.parse().map_err(|error| AuditError(format!("the order reference {text:?}: {error}")))?;
            visit(order_ref, order_id_of(blob(row, 1)?)?)?;
        }
        Ok(())
    }

    fn each_key(&mut self, visit: &mut dyn FnMut(&str, Record) -> Result<(), AuditError>) -> Result<(), AuditError> {
        let mut statement = self
            .conn
            .prepare("SELECT key, fingerprint, answer, expires_at FROM idempotency ORDER BY seq")
            .map_err(StoreError::from)?;
        let mut rows = statement.query([]).map_err(StoreError::from)?;
        while let Some(row) = rows.next().map_err(StoreError::from)? {
            let key: String = row.get(0).map_err(StoreError::from)?;
            visit(&key, codec::key_record(row, 1)?)?;
        }
        Ok(())
    }

    fn mailbox_end(&mut self) -> Result<Option<u64>, AuditError> {
        Ok(read::counter(&self.conn, "mailbox_end")?)
    }

    fn order_count(&mut self) -> Result<u64, AuditError> {
        let sql = "SELECT (SELECT count(*) FROM open_orders) + (SELECT count(*) FROM closed_orders)";
        Ok(self.conn.query_row(sql, [], |row| row.get(0)).map(natural).map_err(StoreError::from)?)
    }

    fn storage_problems(&mut self) -> Result<Vec<String>, AuditError> {
        let mut statement = self.conn.prepare("PRAGMA integrity_check").map_err(StoreError::from)?;
        let found = statement.query_map([], |row| row.get::<_, String>(0)).map_err(StoreError::from)?;
        let mut problems = found.collect::<Result<Vec<_>, _>>().map_err(StoreError::from)?;
        problems.retain(|problem| problem != "ok");
        problems.extend(self.wrong_trails()?);
        let sql = "SELECT (SELECT count(*) FROM closed_orders)
                   - (SELECT count(*) FROM customer_orders) - (SELECT count(*) FROM customer_recent)";
        let lacking: i64 = self.conn.query_row(sql, [], |row| row.get(0)).map_err(StoreError::from)?;
        if lacking > 0 {
            problems.push(format!("{lacking} orders are not in the index by customer"));
        }
        Ok(problems)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ordermill_core::input::{Admission, Body, Input};
    use ordermill_core::intake::{OrderDraft, ProductDraft};
    use ordermill_ports::clock::SystemClock;
    use ordermill_ports::{Ledger, Source};
    use serde_json::json;

    use super::super::{Options, SqliteLedger};
    use super::*;

    async fn place(ledger: &SqliteLedger, number: u8) -> OrderId {
        let draft = json!({"customer_id": "c-1", "lines": [{"product_id": "kettle", "quantity": 1}]});
        let draft: OrderDraft = serde_json::from_value(draft).expect("a draft");
        let id = OrderId::from_bytes([number; 16]);
        let order = draft.check(id, Admission::Refuse).expect("a sound order");
        ledger.submit_one(Source::Live, Input::new(Body::Place(Box::new(order)))).await.expect("an order");
        let cancel = Body::Cancel { order_id: id, reason: "changed my mind".into() };
        ledger.submit_one(Source::Live, Input::new(cancel)).await.expect("a cancel");
        id
    }

    fn read(path: &Path, ids: &[OrderId]) -> Vec<OrderHistory> {
        let mut found = Vec::new();
        let mut snapshot = Snapshot::open(path).expect("a ledger");
        let read = snapshot.each_order_of(ids, &mut |history| {
            found.push(history);
            Ok(())
        });
        read.expect("readable orders");
        found
    }

    #[tokio::test]
    async fn a_few_orders_are_found_also_when_a_trail_is_wrong() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ordermill.db");
        let ledger = SqliteLedger::open(Options::new(path.clone(), Arc::new(SystemClock))).expect("a new ledger");
        let draft = json!({"name": "Kettle", "price": {"amount_minor": 100, "currency": "USD"}, "stock": 9});
        let draft: ProductDraft = serde_json::from_value(draft).expect("a draft");
        let product = draft.check(Some("kettle"), None).expect("a sound product");
        ledger.submit_one(Source::Live, Input::new(Body::PutProduct(product))).await.expect("a product");
        let mut ids = Vec::new();
        for number in 1..=3 {
            ids.push(place(&ledger, number).await);
        }
        ledger.close().await;
        drop(ledger);
        let wanted = [ids[0], ids[2], OrderId::from_bytes([9; 16])];
        let before = read(&path, &wanted);
        assert_eq!(before.iter().map(|history| history.id).collect::<Vec<_>>(), wanted[..2]);
        assert!(before.iter().all(|history| history.events.len() == 2 && history.row.is_some()));
        let conn = Connection::open(&path).expect("the database");
        for table in ["open_orders", "closed_orders"] {
            let sql = format!("UPDATE {table} SET trail = x'7f' WHERE id = ?1");
            conn.execute(&sql, [ids[2].as_bytes()]).expect("an update");
        }
        let after = read(&path, &wanted);
        assert_eq!(after.len(), 2);
        for (before, after) in before.iter().zip(&after) {
            assert_eq!((before.id, &before.row, &before.events), (after.id, &after.row, &after.events));
        }
    }
}
