//! A ledger's records, copied, so that a test can damage them.

use ordermill_core::event::{Event, Recorded};
use ordermill_core::id::{OrderId, OrderRef, ProductId, RecordId};
use ordermill_core::idempotency::Record;
use ordermill_ports::audit::{
    AuditError, CustomerHistory, LedgerSnapshot, OrderHistory, OrderRow, ParcelHistory, ProductHistory, RecordHistory,
};

/// Everything a snapshot gives.
#[derive(Clone, Default)]
pub struct Records {
    pub orders: Vec<OrderHistory>,
    pub products: Vec<ProductHistory>,
    pub customers: Vec<CustomerHistory>,
    pub parcels: Vec<ParcelHistory>,
    pub records: Vec<RecordHistory>,
    pub refs: Vec<(OrderRef, OrderId)>,
    pub keys: Vec<(String, Record)>,
    pub mailbox_end: Option<u64>,
    pub problems: Vec<String>,
}

impl Records {
    pub fn of(snapshot: &mut dyn LedgerSnapshot) -> Self {
        let mut records = Self { mailbox_end: snapshot.mailbox_end().unwrap(), ..Self::default() };
        let Self { orders, products, customers, parcels, records: of_queue, refs, keys, .. } = &mut records;
        snapshot.each_order(&mut |order| keep(orders, order)).unwrap();
        snapshot.each_product(&mut |product| keep(products, product)).unwrap();
        snapshot.each_customer(&mut |customer| keep(customers, customer)).unwrap();
        snapshot.each_parcel(&mut |parcel| keep(parcels, parcel)).unwrap();
        snapshot.each_record(&mut |record| keep(of_queue, record)).unwrap();
        snapshot.each_order_ref(&mut |order_ref, id| keep(refs, (order_ref, id))).unwrap();
        snapshot.each_key(&mut |key, record| keep(keys, (key.to_owned(), record))).unwrap();
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

    pub fn customer(&mut self, id: &str) -> &mut CustomerHistory {
        self.customers.iter_mut().find(|customer| customer.id.as_str() == id).expect("the customer is in the ledger")
    }

    pub fn parcel(&mut self, id: &str) -> &mut ParcelHistory {
        self.parcels.iter_mut().find(|parcel| parcel.id.as_str() == id).expect("the parcel is in the ledger")
    }

    pub fn record(&mut self, id: RecordId) -> &mut RecordHistory {
        self.records.iter_mut().find(|record| record.id == id).expect("the record is in the ledger")
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

fn keep<T>(list: &mut Vec<T>, entry: T) -> Result<(), AuditError> {
    list.push(entry);
    Ok(())
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

    fn each_customer(
        &mut self,
        visit: &mut dyn FnMut(CustomerHistory) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        self.customers.iter().cloned().try_for_each(visit)
    }

    fn each_parcel(
        &mut self,
        visit: &mut dyn FnMut(ParcelHistory) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        self.parcels.iter().cloned().try_for_each(visit)
    }

    fn each_record(
        &mut self,
        visit: &mut dyn FnMut(RecordHistory) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        self.records.iter().cloned().try_for_each(visit)
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
