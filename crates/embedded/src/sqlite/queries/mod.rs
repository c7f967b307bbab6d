//! Reads: from memory where it is there, else on a read-only connection.

mod list;
mod overdue;
mod products;

use std::sync::Arc;

use async_trait::async_trait;
use ordermill_core::Timestamp;
use ordermill_core::id::{OrderId, OrderRef, ProductId};
use ordermill_core::order::Order;
use ordermill_core::product::Product;
use ordermill_core::stock::StockLevel;
use ordermill_ports::queries::{Committed, Counts, OrderFilter, Page, Position, Queries, QueryError};

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
            trail.map_or(Ok(Vec::new()), |trail| read::events(conn, &shared.types, id, &trail, after))
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
        limit: usize,
    ) -> Result<Page<Arc<Product>, ProductId>, QueryError> {
        let (shared, after) = (Arc::clone(&self.shared), after.cloned());
        self.readers.read(move |conn| products::products(conn, &shared, after.as_ref(), limit)).await
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
