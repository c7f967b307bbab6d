//! One moment of a ledger, as stored, for the auditor.

mod histories;
mod trails;

use std::path::Path;

use ordermill_core::event::{Recorded, Subject, SubjectKind};
use ordermill_core::id::{OrderId, OrderRef, ParcelId, RecordId};
use ordermill_core::idempotency::Record;
use ordermill_core::parcel::Parcel;
use ordermill_core::record::Stored;
use ordermill_ports::audit::{
    AuditError, CustomerHistory, LedgerSnapshot, OrderHistory, OrderRow, ParcelHistory, ParcelRow, ProductHistory,
    RecordHistory, RecordRow,
};
use rusqlite::{Connection, Row};

use super::codec::{
    self, Types, blob, natural, order_id_of, parcel_status_of, product_id_of, record_id_of, status_of, text, text_id,
};
use super::error::{OpenError, StoreError};
use super::schema::State;
use super::trail::Trail;
use super::{connection, load, read, schema};
use histories::Histories;

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
        Self::open_as(path, false)
    }

    /// The same for whoever fills the ledger.
    pub(super) fn open_filled(path: &Path) -> Result<Self, AuditError> {
        Self::open_as(path, true)
    }

    fn open_as(path: &Path, is_filled: bool) -> Result<Self, AuditError> {
        if !path.exists() {
            return Err(AuditError(format!("there is no ledger at {}", path.display())));
        }
        let open = |error: OpenError| AuditError(error.to_string());
        let conn =
            connection::reader(path).map_err(|source| open(OpenError::Sqlite { path: path.to_owned(), source }))?;
        let found = match schema::state(&conn, path).map_err(open)? {
            State::Importing(_) if !is_filled => return Err(open(OpenError::Importing { path: path.to_owned() })),
            State::Ledger(found) | State::Importing(found) => found,
        };
        if found != schema::NEWEST {
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
}

impl Snapshot {
    /// Visits what there is of one kind, by id: the rows that `sql` gives, with the events that say they belong to them. `of` picks
    /// the id of a subject of this kind; `row` reads a row.
    fn each<I: Ord, R>(
        &self,
        kind: SubjectKind,
        sql: &str,
        of: impl Fn(&Subject) -> Option<I>,
        row: impl Fn(&Row<'_>) -> Result<(I, R), StoreError>,
        visit: impl FnMut(I, Option<R>, Vec<Recorded>) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        let mut statement = self.conn.prepare(sql).map_err(StoreError::from)?;
        let mut rows = statement.query([]).map_err(StoreError::from)?;
        let next_row = || rows.next()?.map(&row).transpose();
        let mut positions = self.conn.prepare(&histories::positions(&self.types, kind)).map_err(StoreError::from)?;
        let positions = positions.query([]).map_err(StoreError::from)?;
        let histories = Histories::begin(positions, &self.conn, &self.types)?;
        histories::merge(histories, of, next_row, visit)
    }

    /// One order, by the places that its row names; `None` without a row.
    fn history_by_trail(&self, id: OrderId) -> Result<Option<OrderHistory>, StoreError> {
        let mut statement = self.conn.prepare_cached(ORDER_ROW)?;
        let mut rows = statement.query([id.as_bytes()])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let trail = Trail::from_bytes(blob(row, 6)?)?;
        let row = order_row(row)?;
        let events = read::events(&self.conn, &self.types, &Subject::Order(id), &trail, 0)?;
        let events = events.into_iter().map(|committed| committed.recorded).collect();
        Ok(Some(OrderHistory { row: Some(row), id, events }))
    }
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

fn parcel_row(row: &Row<'_>) -> Result<(ParcelId, ParcelRow), StoreError> {
    let id = text_id(SubjectKind::Parcel, text(row, 0)?.as_bytes())?;
    Ok((id, ParcelRow { status: parcel_status_of(row.get(1)?)?, version: row.get(2)? }))
}

/// The row as it will be, where it is behind the parcel's events only by what it may be behind.
fn as_written_back(
    behind: &load::Behind,
    id: &ParcelId,
    row: Option<ParcelRow>,
    events: &[Recorded],
) -> Option<ParcelRow> {
    let version = row.as_ref().map_or(0, |row| row.version);
    let may_lack = |(_, of_event): &&(u64, u32)| *of_event == version + 1;
    let Some(_) = behind.get(id).and_then(|events| events.iter().find(may_lack)) else { return row };
    let parcel = Parcel::fold(id.clone(), events.iter().map(|event| (&event.event, event.at)));
    parcel.map(|parcel| ParcelRow { status: parcel.status, version: parcel.version }).or(row)
}

fn record_row(row: &Row<'_>) -> Result<(RecordId, RecordRow), StoreError> {
    let id = record_id_of(blob(row, 0)?)?;
    let key: Option<Box<str>> = row.get(1)?;
    let stored = match key {
        Some(key) => Some(Stored { key, attempts: row.get(2)? }),
        None => None,
    };
    Ok((id, RecordRow { stored, version: row.get(3)? }))
}

/// Products with a row of either kind.
const PRODUCT_ROWS: &str = "SELECT id FROM products UNION SELECT product_id FROM stock ORDER BY 1";

const ORDER_ROWS: &str = "SELECT id, customer_id, status, attention, version, 1 FROM open_orders
    UNION ALL SELECT id, customer_id, status, attention, version, 0 FROM closed_orders ORDER BY 1";

const ORDER_ROW: &str = "SELECT id, customer_id, status, attention, version, 1, trail FROM open_orders WHERE id = ?1
    UNION ALL SELECT id, customer_id, status, attention, version, 0, trail FROM closed_orders WHERE id = ?1";

impl LedgerSnapshot for Snapshot {
    fn each_order(&mut self, visit: &mut dyn FnMut(OrderHistory) -> Result<(), AuditError>) -> Result<(), AuditError> {
        let of = |subject: &Subject| if let Subject::Order(id) = subject { Some(*id) } else { None };
        let row = |row: &Row<'_>| order_row(row).map(|row| (row.id, row));
        self.each(SubjectKind::Order, ORDER_ROWS, of, row, |id, row, events| visit(OrderHistory { row, id, events }))
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
        let of = |subject: &Subject| if let Subject::Product(id) = subject { Some(id.clone()) } else { None };
        let row = |row: &Row<'_>| Ok((product_id_of(text(row, 0)?.as_bytes())?, ()));
        self.each(SubjectKind::Product, PRODUCT_ROWS, of, row, |id, _, events| {
            let item = catalogue.remove(&id).unwrap_or_default();
            let product = item.product.map(|product| (*product).clone());
            visit(ProductHistory { id, product, stock: item.stock, events })
        })
    }

    fn each_customer(
        &mut self,
        visit: &mut dyn FnMut(CustomerHistory) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        let of = |subject: &Subject| if let Subject::Customer(id) = subject { Some(id.clone()) } else { None };
        let row = |row: &Row<'_>| read::customer_of(row).map(|customer| (customer.id.clone(), customer));
        let sql = format!("SELECT {} FROM customers ORDER BY id", read::CUSTOMER_COLUMNS);
        self.each(SubjectKind::Customer, &sql, of, row, |id, row, events| visit(CustomerHistory { id, row, events }))
    }

    fn each_parcel(
        &mut self,
        visit: &mut dyn FnMut(ParcelHistory) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        let of = |subject: &Subject| if let Subject::Parcel(id) = subject { Some(id.clone()) } else { None };
        let sql = "SELECT id, status, version FROM parcels ORDER BY id";
        let behind = load::behind(&self.conn, &self.types)?;
        self.each(SubjectKind::Parcel, sql, of, parcel_row, |id, row, events| {
            let row = as_written_back(&behind, &id, row, &events);
            visit(ParcelHistory { id, row, events })
        })
    }

    fn each_record(
        &mut self,
        visit: &mut dyn FnMut(RecordHistory) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        let of = |subject: &Subject| if let Subject::Record(id) = subject { Some(*id) } else { None };
        let sql = "SELECT id, stored_key, attempts, version FROM records ORDER BY id";
        self.each(SubjectKind::Record, sql, of, record_row, |id, row, events| visit(RecordHistory { id, row, events }))
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
        problems.extend(trails::wrong(&self.conn, &self.types)?);
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
mod tests;
