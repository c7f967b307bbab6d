//! One moment of the ledger, for the auditor.

use ordermill_core::customer::Customer;
use ordermill_core::event::Recorded;
use ordermill_core::id::{OrderId, OrderRef};
use ordermill_core::idempotency::Record;
use ordermill_core::product::Product;
use ordermill_ports::audit::{
    AuditError, CustomerHistory, LedgerSnapshot, OrderHistory, OrderRow, ParcelHistory, ParcelRow, ProductHistory,
    RecordHistory, RecordRow,
};

use super::state::State;

/// A copy of the ledger; orders and events are shared with it, not copied.
pub struct Snapshot(State);

impl Snapshot {
    pub(super) fn of(state: &State) -> Self {
        Self(state.clone())
    }

    fn events(&self, positions: &[u64]) -> Vec<Recorded> {
        positions.iter().filter_map(|position| self.0.log.get(*position)).map(|event| Recorded::clone(event)).collect()
    }
}

impl LedgerSnapshot for Snapshot {
    fn each_order(&mut self, visit: &mut dyn FnMut(OrderHistory) -> Result<(), AuditError>) -> Result<(), AuditError> {
        self.0.orders.iter().try_for_each(|(id, entry)| {
            let order = &entry.order;
            let row = OrderRow {
                id: *id,
                status: order.status,
                attention: order.attention.is_some(),
                customer_id: order.placement.customer_id.clone(),
                open: order.is_open(),
                version: order.version,
            };
            visit(OrderHistory { row: Some(row), id: *id, events: self.events(&entry.events) })
        })
    }

    fn each_product(
        &mut self,
        visit: &mut dyn FnMut(ProductHistory) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        self.0.products.iter().try_for_each(|(id, entry)| {
            visit(ProductHistory {
                id: id.clone(),
                product: entry.product.as_ref().map(|product| Product::clone(product)),
                stock: entry.stock.clone(),
                events: self.events(&entry.events),
            })
        })
    }

    fn each_customer(
        &mut self,
        visit: &mut dyn FnMut(CustomerHistory) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        self.0.shelves.customers.iter().try_for_each(|(id, kept)| {
            let row = Some(Customer::clone(&kept.now));
            visit(CustomerHistory { id: id.clone(), row, events: self.events(&kept.events) })
        })
    }

    fn each_parcel(
        &mut self,
        visit: &mut dyn FnMut(ParcelHistory) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        self.0.shelves.parcels.iter().try_for_each(|(id, kept)| {
            let row = Some(ParcelRow { status: kept.now.status, version: kept.now.version });
            visit(ParcelHistory { id: id.clone(), row, events: self.events(&kept.events) })
        })
    }

    fn each_record(
        &mut self,
        visit: &mut dyn FnMut(RecordHistory) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        self.0.shelves.records.iter().try_for_each(|(id, kept)| {
            let row = Some(RecordRow { stored: kept.now.stored.clone(), version: kept.now.version });
            visit(RecordHistory { id: *id, row, events: self.events(&kept.events) })
        })
    }

    fn each_order_ref(
        &mut self,
        visit: &mut dyn FnMut(OrderRef, OrderId) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        self.0.order_refs.iter().try_for_each(|(order_ref, id)| visit(order_ref.clone(), *id))
    }

    fn each_key(&mut self, visit: &mut dyn FnMut(&str, Record) -> Result<(), AuditError>) -> Result<(), AuditError> {
        self.0.keys.iter().try_for_each(|(key, record)| visit(key.as_str(), record.clone()))
    }

    fn mailbox_end(&mut self) -> Result<Option<u64>, AuditError> {
        Ok(self.0.mailbox_end)
    }

    fn order_count(&mut self) -> Result<u64, AuditError> {
        Ok(self.0.orders.len() as u64)
    }

    fn storage_problems(&mut self) -> Result<Vec<String>, AuditError> {
        Ok(Vec::new())
    }
}
