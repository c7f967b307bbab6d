//! Reads: from memory where it is there, else on a read-only connection.

mod customers;
mod list;
mod overdue;
mod parcels;
mod products;
mod records;

use std::sync::Arc;

use async_trait::async_trait;
use ordermill_core::Timestamp;
use ordermill_core::customer::Customer;
use ordermill_core::event::Subject;
use ordermill_core::id::{CustomerId, OrderId, OrderRef, ParcelId, ProductId, RecordId};
use ordermill_core::order::Order;
use ordermill_core::parcel::{Parcel, ParcelStatus};
use ordermill_core::product::Product;
use ordermill_core::record::Record;
use ordermill_core::stock::StockLevel;
use ordermill_ports::queries::{
    Committed, Counts, Deleted, OrderFilter, Page, Position, Queries, QueryError, RecordFilter,
};

use super::SqliteLedger;
use super::codec::{EVENT_COLUMNS, int, natural, recorded};
use super::read;

#[async_trait]
impl Queries for SqliteLedger {
    async fn order(&self, id: OrderId) -> Result<Option<Arc<Order>>, QueryError> {
        if let Some(order) = self.shared.orders.order(id) {
            return Ok(Some(order));
        }
        let shared = Arc::clone(&self.shared);
        self.readers.read(move |conn| Ok(read::order(conn, &shared.types, id)?.map(|held| held.order))).await
    }

    async fn orders(&self, ids: &[OrderId]) -> Result<Vec<Option<Arc<Order>>>, QueryError> {
        let mut orders: Vec<Option<Arc<Order>>> = ids.iter().map(|id| self.shared.orders.order(*id)).collect();
        let is_missing = |(_, order): &(&OrderId, &Option<Arc<Order>>)| order.is_none();
        let missing: Vec<OrderId> = ids.iter().zip(&orders).filter(is_missing).map(|(id, _)| *id).collect();
        if !missing.is_empty() {
            let shared = Arc::clone(&self.shared);
            let load = move |conn: &_| missing.iter().map(|id| read::order(conn, &shared.types, *id)).collect();
            let found: Vec<Option<super::memory::Held>> = self.readers.read(load).await?;
            for (slot, held) in orders.iter_mut().filter(|order| order.is_none()).zip(found) {
                *slot = held.map(|held| held.order);
            }
        }
        Ok(orders)
    }

    async fn order_by_ref(&self, order_ref: &OrderRef) -> Result<Option<OrderId>, QueryError> {
        let order_ref = order_ref.clone();
        self.readers.read(move |conn| Ok(read::order_ref(conn, &order_ref)?.map(|record| record.order_id))).await
    }

    async fn orders_by_ref(&self, order_refs: &[OrderRef]) -> Result<Vec<Option<OrderId>>, QueryError> {
        if order_refs.is_empty() {
            return Ok(Vec::new());
        }
        let order_refs = order_refs.to_vec();
        let find = |conn: &_, order_ref: &_| Ok(read::order_ref(conn, order_ref)?.map(|record| record.order_id));
        self.readers.read(move |conn| order_refs.iter().map(|order_ref| find(conn, order_ref)).collect()).await
    }

    async fn list_orders(
        &self,
        filter: &OrderFilter,
        before: Option<OrderId>,
        limit: usize,
    ) -> Result<Page<Arc<Order>, OrderId>, QueryError> {
        let (shared, filter) = (Arc::clone(&self.shared), filter.clone());
        self.readers.read(move |conn| list::orders(conn, &shared, &filter, before, limit)).await
    }

    async fn order_events(&self, id: OrderId, after: u32) -> Result<Vec<Committed>, QueryError> {
        let shared = Arc::clone(&self.shared);
        let trail = self.shared.orders.get(id).map(|held| held.trail);
        let load = move |conn: &_| {
            let trail = match trail {
                Some(trail) => Some(trail),
                None => read::trail(conn, id)?,
            };
            trail.map_or(Ok(Vec::new()), |trail| read::events(conn, &shared.types, &Subject::Order(id), &trail, after))
        };
        self.readers.read(load).await
    }

    async fn feed(&self, after: Position, limit: usize) -> Result<Vec<Committed>, QueryError> {
        if after.0 >= self.shared.feed.last() || limit == 0 {
            return Ok(Vec::new());
        }
        let shared = Arc::clone(&self.shared);
        let load = move |conn: &rusqlite::Connection| {
            let sql =
                format!("SELECT position, {EVENT_COLUMNS} FROM events WHERE position > ?1 ORDER BY position LIMIT ?2");
            let mut statement = conn.prepare_cached(&sql)?;
            let mut rows = statement.query((int(after.0), i64::try_from(limit).unwrap_or(i64::MAX)))?;
            let mut events = Vec::new();
            while let Some(row) = rows.next()? {
                let position = Position(natural(row.get(0)?));
                events.push(Committed { position, recorded: recorded(row, 1, &shared.types)? });
            }
            Ok(events)
        };
        self.readers.read(load).await
    }

    async fn order_changed(&self, id: OrderId, after: u32) -> Result<Arc<Order>, QueryError> {
        let watcher = self.shared.watchers.watch(id);
        loop {
            let mut changed = std::pin::pin!(watcher.changed.notified());
            // Enabled before the look, so that no change in between is missed.
            changed.as_mut().enable();
            if let Some(order) = self.order(id).await?.filter(|order| order.version > after) {
                return Ok(order);
            }
            changed.await;
        }
    }

    async fn product(&self, id: &ProductId) -> Result<Option<Arc<Product>>, QueryError> {
        Ok(self.shared.catalogue.read().get(id).and_then(|item| item.product.clone()))
    }

    async fn list_products(
        &self,
        after: Option<&ProductId>,
        deleted: Deleted,
        limit: usize,
    ) -> Result<Page<Arc<Product>, ProductId>, QueryError> {
        let (shared, after) = (Arc::clone(&self.shared), after.cloned());
        self.readers.read(move |conn| products::products(conn, &shared, after.as_ref(), deleted, limit)).await
    }

    async fn stock(&self, id: &ProductId) -> Result<Option<StockLevel>, QueryError> {
        Ok(self.shared.catalogue.read().get(id).and_then(|item| item.stock.clone()))
    }

    async fn list_stock(
        &self,
        after: Option<&ProductId>,
        limit: usize,
    ) -> Result<Page<StockLevel, ProductId>, QueryError> {
        let (shared, after) = (Arc::clone(&self.shared), after.cloned());
        self.readers.read(move |conn| products::stock(conn, &shared, after.as_ref(), limit)).await
    }

    async fn customer(&self, id: &CustomerId) -> Result<Option<Arc<Customer>>, QueryError> {
        let id = id.clone();
        self.readers.read(move |conn| Ok(read::customer(conn, &id)?.map(Arc::new))).await
    }

    async fn list_customers(
        &self,
        after: Option<&CustomerId>,
        deleted: Deleted,
        limit: usize,
    ) -> Result<Page<Arc<Customer>, CustomerId>, QueryError> {
        let after = after.cloned();
        self.readers.read(move |conn| customers::customers(conn, after.as_ref(), deleted, limit)).await
    }

    async fn parcel(&self, id: &ParcelId) -> Result<Option<Arc<Parcel>>, QueryError> {
        if let Some(held) = self.shared.parcels.get(id) {
            return Ok(Some(held.parcel));
        }
        let (shared, id) = (Arc::clone(&self.shared), id.clone());
        self.readers.read(move |conn| parcels::parcel(conn, &shared, &id)).await
    }

    async fn list_parcels(
        &self,
        statuses: &[ParcelStatus],
        before: Option<Position>,
        limit: usize,
    ) -> Result<Page<Arc<Parcel>, Position>, QueryError> {
        let (shared, statuses) = (Arc::clone(&self.shared), statuses.to_vec());
        self.readers.read(move |conn| parcels::parcels(conn, &shared, &statuses, before, limit)).await
    }

    async fn parcel_events(&self, id: &ParcelId, after: u32) -> Result<Vec<Committed>, QueryError> {
        let (shared, id) = (Arc::clone(&self.shared), id.clone());
        self.readers.read(move |conn| parcels::events(conn, &shared, &id, after)).await
    }

    async fn parcel_changed(&self, id: &ParcelId, after: u32) -> Result<Arc<Parcel>, QueryError> {
        let watcher = self.shared.parcel_watchers.watch(id.clone());
        loop {
            let mut changed = std::pin::pin!(watcher.changed.notified());
            // Enabled before the look, so that no change in between is missed.
            changed.as_mut().enable();
            if let Some(parcel) = self.parcel(id).await?.filter(|parcel| parcel.version > after) {
                return Ok(parcel);
            }
            changed.await;
        }
    }

    async fn record(&self, id: RecordId) -> Result<Option<Arc<Record>>, QueryError> {
        let shared = Arc::clone(&self.shared);
        self.readers.read(move |conn| Ok(read::record(conn, &shared.types, id)?.map(|held| held.record))).await
    }

    async fn list_records(
        &self,
        filter: RecordFilter,
        before: Option<RecordId>,
        limit: usize,
    ) -> Result<Page<Arc<Record>, RecordId>, QueryError> {
        let shared = Arc::clone(&self.shared);
        self.readers.read(move |conn| records::records(conn, &shared, filter, before, limit)).await
    }

    async fn head(&self) -> Result<Position, QueryError> {
        Ok(Position(self.shared.feed.last()))
    }

    async fn feed_grown(&self, after: Position) -> Result<(), QueryError> {
        loop {
            let mut grown = std::pin::pin!(self.shared.feed.grown.notified());
            // Enabled before the look, so that no event in between is missed.
            grown.as_mut().enable();
            if self.shared.feed.last() > after.0 {
                return Ok(());
            }
            grown.await;
        }
    }

    async fn overdue(&self, now: Timestamp, limit: usize) -> Result<Vec<OrderId>, QueryError> {
        let shared = Arc::clone(&self.shared);
        self.readers.read(move |conn| overdue::overdue(conn, &shared, now, limit)).await
    }

    async fn mailbox_end(&self) -> Result<Option<u64>, QueryError> {
        Ok(*self.shared.mailbox_end.lock())
    }

    async fn counts(&self) -> Result<Counts, QueryError> {
        Ok(self.shared.totals.lock().counts())
    }
}
