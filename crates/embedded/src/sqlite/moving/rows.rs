//! Rows of subjects as their events leave them: what the writer of a running ledger has there as well.

use ordermill_core::customer::Customer;
use ordermill_core::order::Order;
use ordermill_core::parcel::Parcel;
use ordermill_core::product::Product;
use ordermill_core::record::Record;
use ordermill_ports::moving::Folded;
use rusqlite::{Connection, OptionalExtension};

use super::super::codec::{int, micros, parcel_status_code, status_code};
use super::super::trail::Trail;
use super::super::writer::customers::SPAN_ORDERS;
use super::super::writer::rows::watched;

/// Makes rows. Orders come by id.
pub(super) struct Rows<'c> {
    conn: &'c Connection,
    /// The last span of the index by customer, and how many orders are in it.
    span: (i64, usize),
}

impl<'c> Rows<'c> {
    /// Begins to make rows in a transaction.
    pub(super) fn begin(conn: &'c Connection) -> rusqlite::Result<Self> {
        let last: Option<i64> =
            conn.query_row("SELECT number FROM spans ORDER BY number DESC LIMIT 1", [], |row| row.get(0)).optional()?;
        let last = last.unwrap_or(0);
        let count = "SELECT count(*) FROM customer_orders WHERE span = ?1";
        let count: i64 = conn.query_row(count, [last], |row| row.get(0))?;
        Ok(Self { conn, span: (last, usize::try_from(count).unwrap_or(usize::MAX)) })
    }

    /// Makes the rows of one subject, whose events are at these places.
    pub(super) fn put(&mut self, folded: &Folded, trail: &Trail) -> rusqlite::Result<()> {
        match folded {
            Folded::Order(order) => self.put_order(order, trail),
            Folded::Product(Some(product), events) => self.put_product(product, *events),
            Folded::Product(None, _) => Ok(()),
            Folded::Customer(customer) => self.put_customer(customer),
            Folded::Parcel(parcel) => self.put_parcel(parcel, trail),
            Folded::Record(record) => self.put_record(record, trail),
        }
    }

    fn put_order(&mut self, order: &Order, trail: &Trail) -> rusqlite::Result<()> {
        let (id, customer) = (order.id.as_bytes(), order.placement.customer_id.as_str());
        let (status, attention, version) = (status_code(order.status), order.attention.is_some(), order.version);
        let (placed, trail) = (int(trail.placed()), trail.as_bytes());
        if order.is_open() {
            self.conn
                .prepare_cached("INSERT INTO open_orders VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
                .execute((placed, id, customer, status, attention, version, trail))?;
        } else {
            self.conn.prepare_cached("INSERT INTO closed_orders VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute((
                id,
                customer,
                status,
                attention,
                version,
                trail,
                watched(order).map(micros),
            ))?;
            self.index(id, customer)?;
        }
        if let Some(order_ref) = &order.placement.order_ref {
            self.conn.prepare_cached("INSERT INTO order_refs VALUES (?1, ?2, ?3)")?.execute((
                order_ref.as_str(),
                id,
                order.placement.fingerprint.0,
            ))?;
        }
        Ok(())
    }

    /// An order at rest is found by its customer.
    fn index(&mut self, id: &[u8; 16], customer: &str) -> rusqlite::Result<()> {
        if self.span.1 >= SPAN_ORDERS {
            self.span = (self.span.0 + 1, 0);
            self.conn.execute("INSERT INTO spans VALUES (?1, ?2)", (self.span.0, id))?;
        }
        self.span.1 += 1;
        self.conn
            .prepare_cached("INSERT INTO customer_orders VALUES (?1, ?2, ?3)")?
            .execute((self.span.0, customer, id))
            .map(drop)
    }

    fn put_product(&self, product: &Product, events: u32) -> rusqlite::Result<()> {
        let (amount, currency) = (product.price.amount_minor, product.price.currency.code());
        self.conn
            .prepare_cached("INSERT INTO products VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?
            .execute((
                product.id.as_str(),
                &product.name,
                amount,
                currency,
                &product.description,
                product.active,
                product.version,
                events,
                product.deleted,
            ))
            .map(drop)
    }

    fn put_customer(&self, customer: &Customer) -> rusqlite::Result<()> {
        let json = |value: &Option<serde_json::Value>| value.as_ref().map(ToString::to_string);
        self.conn
            .prepare_cached("INSERT INTO customers VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
            .execute((
                customer.id.as_str(),
                &customer.name,
                customer.email.as_ref().map(|email| email.as_str()),
                json(&customer.address),
                json(&customer.metadata),
                customer.deleted,
                customer.version,
            ))
            .map(drop)
    }

    fn put_parcel(&self, parcel: &Parcel, trail: &Trail) -> rusqlite::Result<()> {
        let (first, status) = (int(trail.first()), parcel_status_code(parcel.status));
        self.conn
            .prepare_cached("INSERT INTO parcels VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute((first, parcel.id.as_str(), status, parcel.version, trail.as_bytes()))
            .map(drop)
    }

    fn put_record(&self, record: &Record, trail: &Trail) -> rusqlite::Result<()> {
        let (key, attempts) = match &record.stored {
            Some(stored) => (Some(&stored.key), Some(stored.attempts)),
            None => (None, None),
        };
        self.conn
            .prepare_cached("INSERT INTO records VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute((record.id.as_bytes(), key, attempts, record.version, trail.as_bytes()))
            .map(drop)
    }
}
