//! A ledger's records, copied, so that a test can damage them.

use ordermill_core::event::{Event, Recorded};
use ordermill_core::id::{OrderId, OrderRef, ProductId};
use ordermill_core::idempotency::Record;
use ordermill_ports::audit::{AuditError, LedgerSnapshot, OrderHistory, OrderRow, ProductHistory};

/// Everything a snapshot gives.
#[derive(Clone, Default)]
pub struct Records {
    pub orders: Vec<OrderHistory>,
    pub products: Vec<ProductHistory>,
    pub refs: Vec<(OrderRef, OrderId)>,
    pub keys: Vec<(String, Record)>,
    pub mailbox_end: Option<u64>,
    pub problems: Vec<String>,
}

impl Records {
    pub fn of(snapshot: &mut dyn LedgerSnapshot) -> Self {
        let mut records = Self { mailbox_end: snapshot.mailbox_end().unwrap(), ..Self::default() };
        let Self { orders, products, refs, keys, .. } = &mut records;
        let read = snapshot.each_order(&mut |order| {
            orders.push(order);
            Ok(())
        });
        let read = read.and_then(|()| {
            snapshot.each_product(&mut |product| {
                products.push(product);
                Ok(())
            })
        });
        let read = read.and_then(|()| {
            snapshot.each_order_ref(&mut |order_ref, id| {
                refs.push((order_ref, id));
                Ok(())
            })
        });
        let read = read.and_then(|()| {
            snapshot.each_key(&mut |key, record| {
                keys.push((key.to_owned(), record));
                Ok(())
            })
        });
        read.unwrap();
        records
    }

    pub fn order(&mut self, id: OrderId) -> &mut OrderHistory {
        self.orders.iter_mut().find(|order| order.id == id).expect("the order is in the ledger")
    }

    pub fn row(&mut self, id: OrderId) -> &mut OrderRow {
        self.order(id).row.as_mut().expect("the order has a row")
    }

    pub fn product(&mut self, id: &str) -> &mut ProductHistory {
        let id = ProductId::new(id).unwrap();
        self.products.iter_mut().find(|product| product.id == id).expect("the product is in the ledger")
    }

    /// The order's event of this type, of which there is one.
    pub fn event(&mut self, id: OrderId, kind: &str) -> &mut Recorded {
        let mut found = self.order(id).events.iter_mut().filter(|recorded| recorded.event.kind().name() == kind);
        let event = found.next().unwrap_or_else(|| panic!("no {kind}"));
        assert!(found.next().is_none(), "more than one {kind}");
        event
    }

    /// Changes the data of an event as text would be changed in a table.
    pub fn rewrite(&mut self, id: OrderId, kind: &str, change: impl FnOnce(&mut serde_json::Value)) {
        let recorded = self.event(id, kind);
        let mut data: serde_json::Value = serde_json::from_str(&recorded.event.data()).unwrap();
        change(&mut data);
        let schema = recorded.event.kind().version();
        recorded.event = Event::from_parts(kind, schema, data.to_string().as_bytes()).unwrap();
    }
}

impl LedgerSnapshot for Records {
    fn each_order(&mut self, visit: &mut dyn FnMut(OrderHistory) -> Result<(), AuditError>) -> Result<(), AuditError> {
        self.orders.iter().cloned().try_for_each(visit)
    }

    fn each_product(
        &mut self,
        visit: &mut dyn FnMut(ProductHistory) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        self.products.iter().cloned().try_for_each(visit)
    }

    fn each_order_ref(
        &mut self,
        visit: &mut dyn FnMut(OrderRef, OrderId) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        self.refs.iter().cloned().try_for_each(|(order_ref, id)| visit(order_ref, id))
    }

    fn each_key(&mut self, visit: &mut dyn FnMut(&str, Record) -> Result<(), AuditError>) -> Result<(), AuditError> {
        self.keys.iter().try_for_each(|(key, record)| visit(key, record.clone()))
    }

    fn mailbox_end(&mut self) -> Result<Option<u64>, AuditError> {
        Ok(self.mailbox_end)
    }

    fn order_count(&mut self) -> Result<u64, AuditError> {
        Ok(self.orders.len() as u64)
    }

    fn storage_problems(&mut self) -> Result<Vec<String>, AuditError> {
        Ok(self.problems.clone())
    }
}
