//! One moment of the ledger, for the auditor: the stored records as they are, read by statements of their own.

mod histories;
pub(crate) mod link;
mod problems;
mod unread;

use ordermill_core::event::{Event, Recorded, Subject, SubjectKind};
use ordermill_core::id::{OrderId, OrderRef, RecordId};
use ordermill_core::idempotency::Record;
use ordermill_core::product::Product;
use ordermill_core::record::Stored;
use ordermill_core::stock::StockLevel;
use ordermill_ports::audit::{
    AuditError, CustomerHistory, LedgerSnapshot, OrderHistory, OrderRow, ParcelHistory, ParcelRow, ProductHistory,
    RecordHistory, RecordRow,
};
use tokio_postgres::Row;

use crate::codec::{get, key_record, natural, parcel_status_of, parse_id, small, status_of, storable};
use crate::error::{OpenError, StoreError};
use crate::options::Options;
use crate::read::{CUSTOMER_COLUMNS, customer_of, product_at, stock_at};
use histories::{Walk, each};
use link::Link;
use unread::Unread;

/// Orders asked for at a time by their ids.
const IDS_AT_ONCE: usize = 500;

/// One moment of a ledger. Processes may go on writing it meanwhile.
pub struct Snapshot {
    link: Link,
    unread: Unread,
}

impl Snapshot {
    /// Takes the moment. Blocks until it is taken.
    ///
    /// # Errors
    /// [`OpenError`] when the server cannot be reached, or the schema is another than this program knows.
    pub fn open(options: &Options) -> Result<Self, OpenError> {
        Ok(Self { link: Link::open(options, false)?, unread: Unread::default() })
    }

    /// The same for whoever fills the ledger.
    pub(crate) fn open_filled(options: &Options) -> Result<Self, OpenError> {
        Ok(Self { link: Link::open(options, true)?, unread: Unread::default() })
    }

    /// The rows of a statement, however many there are. What cannot be read is noted under this name and passed over.
    fn each_row<T>(
        &mut self,
        (sql, name): (&str, &str),
        read: impl Fn(&Row) -> Result<T, StoreError>,
        mut visit: impl FnMut(&Row, T) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        let mut cursor = self.link.begin(sql)?;
        while let Some(row) = cursor.next(&self.link)? {
            if let Some(found) = self.unread.sift(read(&row), || name.to_owned())? {
                visit(&row, found)?;
            }
        }
        cursor.end(&self.link)
    }

    fn orders(
        &mut self,
        walk: &Walk<'_>,
        visit: &mut dyn FnMut(OrderHistory) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        let of = |subject: &Subject| if let Subject::Order(id) = subject { Some(*id) } else { None };
        let row = |row: &Row| order_row(row).map(|row| (row.id, row));
        each((&mut self.link, &mut self.unread), walk, of, row, |id, row, events| {
            visit(OrderHistory { row, id, events })
        })
    }
}

fn order_row(row: &Row) -> Result<OrderRow, StoreError> {
    Ok(OrderRow {
        id: OrderId::from_uuid(get(row, 0)?),
        customer_id: parse_id(get(row, 1)?)?,
        status: status_of(get(row, 2)?)?,
        attention: get(row, 3)?,
        open: get(row, 4)?,
        version: small(get(row, 5)?),
    })
}

fn record_row(row: &Row) -> Result<(RecordId, RecordRow), StoreError> {
    let key: Option<&str> = get(row, 1)?;
    let attempts: Option<i32> = get(row, 2)?;
    let stored = key.map(|key| Stored { key: key.into(), attempts: attempts.map_or(0, small) });
    Ok((RecordId::from_uuid(get(row, 0)?), RecordRow { stored, version: small(get(row, 3)?) }))
}

/// Gives a row the description that its events have, where it holds what PostgreSQL can keep of that: then the row is what it has to be.
fn restore_description(product: &mut Product, events: &[Recorded]) {
    let described = |recorded: &Recorded| match &recorded.event {
        Event::ProductPut(put) => Some(put.description.clone()),
        _ => None,
    };
    if let Some(Some(description)) = events.iter().rev().find_map(described)
        && description.contains('\0')
        && product.description.as_deref() == Some(&*storable(&description))
    {
        product.description = Some(description);
    }
}

/// A product's rows: of the catalogue, and of the stock.
type Item = (Option<Product>, Option<StockLevel>);

const ORDER_ROWS: &str = "SELECT id, customer_id, status, attention, open, version FROM orders ORDER BY id";

impl LedgerSnapshot for Snapshot {
    fn each_order(&mut self, visit: &mut dyn FnMut(OrderHistory) -> Result<(), AuditError>) -> Result<(), AuditError> {
        self.orders(&Walk { kind: SubjectKind::Order, rows: ORDER_ROWS, events: "" }, visit)
    }

    fn each_order_of(
        &mut self,
        ids: &[OrderId],
        visit: &mut dyn FnMut(OrderHistory) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        for some in ids.chunks(IDS_AT_ONCE) {
            let uuids: Vec<String> = some.iter().map(|id| format!("'{}'", id.uuid())).collect();
            let bytes: Vec<String> = some.iter().map(|id| format!("'\\x{}'", id.uuid().simple())).collect();
            let rows = format!(
                "SELECT id, customer_id, status, attention, open, version FROM orders WHERE id IN ({}) ORDER BY id",
                uuids.join(", ")
            );
            let events = format!("AND subject IN ({})", bytes.join(", "));
            self.orders(&Walk { kind: SubjectKind::Order, rows: &rows, events: &events }, visit)?;
        }
        Ok(())
    }

    fn each_product(
        &mut self,
        visit: &mut dyn FnMut(ProductHistory) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        let of = |subject: &Subject| if let Subject::Product(id) = subject { Some(id.clone()) } else { None };
        let sql = "SELECT coalesce(p.id, s.product_id) AS key, p.id IS NOT NULL, s.product_id IS NOT NULL, p.name, p.amount_minor,
                          p.currency, p.description, p.active, p.deleted, p.version, s.available, s.reserved, s.sold, s.version
                   FROM products AS p FULL JOIN stock AS s ON s.product_id = p.id ORDER BY 1";
        let row = |row: &Row| -> Result<_, StoreError> {
            let product = if get(row, 1)? { Some(product_at(row, 0, 3)?) } else { None };
            let stock = if get(row, 2)? { Some(stock_at(row, 0, 10)?) } else { None };
            Ok((parse_id(get(row, 0)?)?, (product, stock)))
        };
        let walk = Walk { kind: SubjectKind::Product, rows: sql, events: "" };
        each((&mut self.link, &mut self.unread), &walk, of, row, |id, row: Option<Item>, events| {
            let (mut product, stock) = row.unwrap_or_default();
            product.iter_mut().for_each(|product| restore_description(product, &events));
            visit(ProductHistory { id, product, stock, events })
        })
    }

    fn each_customer(
        &mut self,
        visit: &mut dyn FnMut(CustomerHistory) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        let of = |subject: &Subject| if let Subject::Customer(id) = subject { Some(id.clone()) } else { None };
        let row = |row: &Row| customer_of(row).map(|customer| (customer.id.clone(), customer));
        let sql = format!("SELECT {CUSTOMER_COLUMNS} FROM customers ORDER BY id");
        let walk = Walk { kind: SubjectKind::Customer, rows: &sql, events: "" };
        each((&mut self.link, &mut self.unread), &walk, of, row, |id, row, events| {
            visit(CustomerHistory { id, row, events })
        })
    }

    fn each_parcel(
        &mut self,
        visit: &mut dyn FnMut(ParcelHistory) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        let of = |subject: &Subject| if let Subject::Parcel(id) = subject { Some(id.clone()) } else { None };
        let row = |row: &Row| -> Result<_, StoreError> {
            let status = parcel_status_of(get(row, 1)?)?;
            Ok((parse_id(get(row, 0)?)?, ParcelRow { status, version: small(get(row, 2)?) }))
        };
        let sql = "SELECT id, status, version FROM parcels ORDER BY id";
        let walk = Walk { kind: SubjectKind::Parcel, rows: sql, events: "" };
        each((&mut self.link, &mut self.unread), &walk, of, row, |id, row, events| {
            visit(ParcelHistory { id, row, events })
        })
    }

    fn each_record(
        &mut self,
        visit: &mut dyn FnMut(RecordHistory) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        let of = |subject: &Subject| if let Subject::Record(id) = subject { Some(*id) } else { None };
        let sql = "SELECT id, stored_key, attempts, version FROM records ORDER BY id";
        let walk = Walk { kind: SubjectKind::Record, rows: sql, events: "" };
        each((&mut self.link, &mut self.unread), &walk, of, record_row, |id, row, events| {
            visit(RecordHistory { id, row, events })
        })
    }

    fn each_order_ref(
        &mut self,
        visit: &mut dyn FnMut(OrderRef, OrderId) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        let sql = ("SELECT ref, order_id FROM order_refs ORDER BY ref", "a row of an order's reference");
        let read = |row: &Row| Ok((parse_id(get(row, 0)?)?, OrderId::from_uuid(get(row, 1)?)));
        self.each_row(sql, read, |_, (order_ref, id)| visit(order_ref, id))
    }

    fn each_key(&mut self, visit: &mut dyn FnMut(&str, Record) -> Result<(), AuditError>) -> Result<(), AuditError> {
        let sql = ("SELECT key, fingerprint, answer, expires_at FROM idempotency ORDER BY key", "an idempotency key");
        self.each_row(sql, |row| key_record(row, 1), |row, record| visit(get(row, 0)?, record))
    }

    fn mailbox_end(&mut self) -> Result<Option<u64>, AuditError> {
        let found = self.link.query("SELECT mailbox_end FROM feed_head".to_owned())?;
        let end: Option<i64> = found.first().map(|row| get(row, 0)).transpose()?.flatten();
        Ok(end.map(natural))
    }

    fn order_count(&mut self) -> Result<u64, AuditError> {
        let found = self.link.query("SELECT count(*) FROM orders".to_owned())?;
        let count: Option<i64> = found.first().map(|row| get(row, 0)).transpose()?;
        Ok(count.map_or(0, natural))
    }

    fn passed_over(&mut self) -> Vec<String> {
        self.unread.take()
    }

    fn storage_problems(&mut self) -> Result<Vec<String>, AuditError> {
        problems::find(&self.link)
    }
}
