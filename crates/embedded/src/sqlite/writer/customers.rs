//! The index of orders by customer: in spans, filled in bulk.

use ordermill_core::id::{CustomerId, OrderId};
use rusqlite::Connection;

use super::super::codec::{natural, order_id_of};
use super::super::error::StoreError;
use super::batch::Batch;
use super::rows::write_grouped;

/// Orders in a span before the next one begins. Their index has about four hundred pages, which stay in the cache.
pub(in super::super) const SPAN_ORDERS: usize = 32 * 1024;

/// Orders that wait to be indexed: each page of a span's index takes several of them at once, and that takes few milliseconds.
const RECENT_MAX: usize = 2 * 1024;

/// How the index is filled, as committed.
#[derive(Debug)]
pub(in super::super) struct Customers {
    /// Where each span begins.
    first_ids: Vec<OrderId>,
    /// Orders in the last span.
    in_last: usize,
    /// Orders that wait to be indexed.
    recent: usize,
}

/// What one commit changes of it.
#[derive(Debug, Default)]
pub(super) struct CustomersChange {
    in_last: usize,
    recent: usize,
    indexed: bool,
    next_span: Option<OrderId>,
}

impl Customers {
    /// Reads how it was left.
    pub(in super::super) fn load(conn: &Connection) -> Result<Self, StoreError> {
        let mut statement = conn.prepare("SELECT first_id FROM spans ORDER BY number")?;
        let first_ids = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<[u8; 16]>, _>>()?;
        let count = |sql: &str| -> Result<usize, StoreError> {
            Ok(usize::try_from(natural(conn.query_row(sql, [], |row| row.get(0))?)).unwrap_or(usize::MAX))
        };
        let recent = count("SELECT count(*) FROM customer_recent")?;
        let indexed = count("SELECT count(*) FROM customer_orders WHERE span = (SELECT max(number) FROM spans)")?;
        let first_ids = first_ids.into_iter().map(OrderId::from_bytes).collect();
        Ok(Self { first_ids, in_last: indexed + recent, recent })
    }

    /// The span of an order.
    fn span(&self, id: OrderId) -> usize {
        self.first_ids.partition_point(|first| *first <= id).saturating_sub(1)
    }

    fn last(&self) -> usize {
        self.first_ids.len().saturating_sub(1)
    }

    /// Where the next span begins, if this change fills the last one.
    fn next_span(&self, change: &CustomersChange, newest: OrderId) -> Option<OrderId> {
        let behind = newest.uuid().as_u128().checked_add(1)?;
        let full = self.in_last + change.in_last >= SPAN_ORDERS && self.first_ids.last() <= Some(&newest);
        full.then(|| OrderId::from_bytes(behind.to_be_bytes()))
    }

    /// A commit has changed it.
    pub(super) fn committed(&mut self, change: &CustomersChange) {
        self.in_last += change.in_last;
        self.recent = if change.indexed { 0 } else { self.recent + change.recent };
        if let Some(first) = change.next_span {
            self.first_ids.push(first);
            self.in_last = 0;
        }
    }
}

impl Batch<'_, '_> {
    /// Orders have come to rest: they are found by their customers from now on. `newest` is the greatest id there is.
    pub(super) fn index_customers(
        &mut self,
        closed: &[(OrderId, CustomerId)],
        newest: OrderId,
    ) -> Result<CustomersChange, StoreError> {
        let customers = &self.memory.customers;
        let mut change = CustomersChange::default();
        let (one, many) = (&mut self.sql.insert_recent, &mut self.sql.insert_recents);
        change.recent = write_grouped(one, many, closed, |(id, customer), row| {
            row.bind(id.as_bytes())?;
            row.bind(customer.as_str())
        })?;
        change.in_last = closed.iter().filter(|(id, _)| customers.span(*id) == customers.last()).count();
        if customers.recent + change.recent >= RECENT_MAX {
            self.index_recent()?;
            change.indexed = true;
        }
        change.next_span = customers.next_span(&change, newest);
        if let Some(first) = change.next_span {
            self.sql.insert_span.execute((customers.last() as i64 + 1, first.as_bytes()))?;
        }
        Ok(change)
    }

    fn index_recent(&mut self) -> Result<(), StoreError> {
        let mut entries = Vec::with_capacity(RECENT_MAX);
        {
            let mut rows = self.sql.select_recent.query([])?;
            while let Some(row) = rows.next()? {
                let id = order_id_of(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?)?;
                entries.push((self.memory.customers.span(id) as i64, row.get::<_, Box<str>>(1)?, id));
            }
        }
        // In the order of the index: neighbours go to the same page.
        entries.sort_unstable();
        for (span, customer, id) in entries {
            self.sql.insert_customer.execute((span, customer, id.as_bytes()))?;
        }
        self.sql.delete_recent.execute([])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_cut_the_ids_without_gap_or_overlap() {
        let id = |number: u128| OrderId::from_bytes(number.to_be_bytes());
        let closed = |in_last| CustomersChange { in_last, recent: in_last, ..CustomersChange::default() };
        let mut customers = Customers { first_ids: vec![id(0)], in_last: 0, recent: 0 };
        let most = closed(SPAN_ORDERS - 1);
        assert_eq!(customers.next_span(&most, id(100)), None);
        customers.committed(&most);
        let last = CustomersChange { next_span: customers.next_span(&closed(1), id(100)), ..closed(1) };
        assert_eq!(last.next_span, Some(id(101)));
        customers.committed(&last);
        assert_eq!([0, 100, 101, 500].map(|number| customers.span(id(number))), [0, 0, 1, 1]);
        assert_eq!(customers.next_span(&closed(SPAN_ORDERS), id(100)), None, "a span has at least one id of its own");
        assert_eq!((customers.last(), customers.recent), (1, SPAN_ORDERS));
    }
}
