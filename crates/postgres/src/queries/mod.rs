//! Reads: orders from the cache where nothing came after, all else from the database, each answer from one moment.

mod events;
mod lists;
mod mailbox;
mod orders;
mod parcels;
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

use crate::PgLedger;
use crate::codec::{get, natural};
use crate::connect::Client;
use crate::error::StoreError;
use crate::read;

impl PgLedger {
    /// A connection to read on, of those that are there for whom this handle is.
    async fn reader(&self) -> Result<Client, StoreError> {
        let pool = &self.shared.pool;
        if self.is_for_callers { pool.caller().await } else { pool.client().await }
    }
}

#[async_trait]
impl Queries for PgLedger {
    async fn order(&self, id: OrderId) -> Result<Option<Arc<Order>>, QueryError> {
        let client = self.reader().await?;
        Ok(read::order(&client, &self.shared.orders, id).await?)
    }

    async fn orders(&self, ids: &[OrderId]) -> Result<Vec<Option<Arc<Order>>>, QueryError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let client = self.reader().await?;
        let found = read::orders(&client, &self.shared.orders, ids).await?;
        let order = |id: &OrderId| found.get(id).cloned().transpose().map_err(QueryError::Unreadable);
        ids.iter().map(order).collect()
    }

    async fn order_by_ref(&self, order_ref: &OrderRef) -> Result<Option<OrderId>, QueryError> {
        let found = self.orders_by_ref(std::slice::from_ref(order_ref)).await?;
        Ok(found.into_iter().next().flatten())
    }

    async fn orders_by_ref(&self, order_refs: &[OrderRef]) -> Result<Vec<Option<OrderId>>, QueryError> {
        if order_refs.is_empty() {
            return Ok(Vec::new());
        }
        let client = self.reader().await?;
        Ok(orders::by_refs(&client, order_refs).await?)
    }

    async fn list_orders(
        &self,
        filter: &OrderFilter,
        before: Option<OrderId>,
        limit: usize,
    ) -> Result<Page<Arc<Order>, OrderId>, QueryError> {
        let client = self.reader().await?;
        Ok(orders::list(&client, filter, before, limit).await?)
    }

    async fn order_events(&self, id: OrderId, after: u32) -> Result<Vec<Committed>, QueryError> {
        let client = self.reader().await?;
        Ok(events::of(&client, &Subject::Order(id), after).await?)
    }

    async fn feed(&self, after: Position, limit: usize) -> Result<Vec<Committed>, QueryError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let client = self.reader().await?;
        Ok(events::feed(&client, after, limit).await?)
    }

    async fn events_at(&self, positions: &[Position]) -> Result<Vec<Committed>, QueryError> {
        if positions.is_empty() {
            return Ok(Vec::new());
        }
        let client = self.reader().await?;
        Ok(events::at(&client, positions).await?)
    }

    async fn order_changed(&self, id: OrderId, after: u32) -> Result<Arc<Order>, QueryError> {
        let mut watcher = self.shared.notify.watch(Subject::Order(id));
        loop {
            if let Some(order) = self.order(id).await?.filter(|order| order.version > after) {
                return Ok(order);
            }
            watcher.changed().await;
        }
    }

    async fn product(&self, id: &ProductId) -> Result<Option<Arc<Product>>, QueryError> {
        let client = self.reader().await?;
        Ok(lists::product(&client, id).await?)
    }

    async fn products(&self, ids: &[ProductId]) -> Result<Vec<Arc<Product>>, QueryError> {
        let client = self.reader().await?;
        Ok(lists::products_of(&client, ids).await?)
    }

    async fn list_products(
        &self,
        after: Option<&ProductId>,
        deleted: Deleted,
        limit: usize,
    ) -> Result<Page<Arc<Product>, ProductId>, QueryError> {
        let client = self.reader().await?;
        Ok(lists::products(&client, after, deleted, limit).await?)
    }

    async fn stock(&self, id: &ProductId) -> Result<Option<StockLevel>, QueryError> {
        let client = self.reader().await?;
        Ok(lists::stock(&client, id).await?)
    }

    async fn list_stock(
        &self,
        after: Option<&ProductId>,
        limit: usize,
    ) -> Result<Page<StockLevel, ProductId>, QueryError> {
        let client = self.reader().await?;
        Ok(lists::stock_levels(&client, after, limit).await?)
    }

    async fn customer(&self, id: &CustomerId) -> Result<Option<Arc<Customer>>, QueryError> {
        let client = self.reader().await?;
        Ok(lists::customer(&client, id).await?)
    }

    async fn list_customers(
        &self,
        after: Option<&CustomerId>,
        deleted: Deleted,
        limit: usize,
    ) -> Result<Page<Arc<Customer>, CustomerId>, QueryError> {
        let client = self.reader().await?;
        Ok(lists::customers(&client, after, deleted, limit).await?)
    }

    async fn parcel(&self, id: &ParcelId) -> Result<Option<Arc<Parcel>>, QueryError> {
        let client = self.reader().await?;
        let parcel = read::parcels(&client, std::slice::from_ref(id)).await?.remove(id);
        parcel.transpose().map_err(QueryError::Unreadable)
    }

    async fn list_parcels(
        &self,
        statuses: &[ParcelStatus],
        before: Option<Position>,
        limit: usize,
    ) -> Result<Page<Arc<Parcel>, Position>, QueryError> {
        let client = self.reader().await?;
        Ok(parcels::list(&client, statuses, before, limit).await?)
    }

    async fn parcel_events(&self, id: &ParcelId, after: u32) -> Result<Vec<Committed>, QueryError> {
        let client = self.reader().await?;
        Ok(events::of(&client, &Subject::Parcel(id.clone()), after).await?)
    }

    async fn parcel_changed(&self, id: &ParcelId, after: u32) -> Result<Arc<Parcel>, QueryError> {
        let mut watcher = self.shared.notify.watch(Subject::Parcel(id.clone()));
        loop {
            if let Some(parcel) = self.parcel(id).await?.filter(|parcel| parcel.version > after) {
                return Ok(parcel);
            }
            watcher.changed().await;
        }
    }

    async fn record(&self, id: RecordId) -> Result<Option<Arc<Record>>, QueryError> {
        let client = self.reader().await?;
        let record = read::records(&client, &[id]).await?.remove(&id);
        record.transpose().map_err(QueryError::Unreadable)
    }

    async fn list_records(
        &self,
        filter: RecordFilter,
        before: Option<RecordId>,
        limit: usize,
    ) -> Result<Page<Arc<Record>, RecordId>, QueryError> {
        let client = self.reader().await?;
        Ok(records::list(&client, filter, before, limit).await?)
    }

    async fn head(&self) -> Result<Position, QueryError> {
        let client = self.reader().await?;
        let found = read::rows(&client, "SELECT position FROM feed_head", &[]).await?;
        let row = found.first().ok_or_else(|| QueryError::Unreadable("the feed has no head".to_owned()))?;
        Ok(Position(natural(get(row, 0)?)))
    }

    async fn feed_grown(&self, after: Position) -> Result<(), QueryError> {
        let mut watcher = self.shared.notify.watch_feed();
        loop {
            if self.head().await? > after {
                return Ok(());
            }
            watcher.changed().await;
        }
    }

    async fn overdue(&self, now: Timestamp, limit: usize) -> Result<Vec<OrderId>, QueryError> {
        let client = self.reader().await?;
        Ok(orders::overdue(&client, now, limit).await?)
    }

    async fn mailbox_end(&self) -> Result<Option<u64>, QueryError> {
        let client = self.reader().await?;
        Ok(mailbox::end(&client).await?)
    }

    async fn counts(&self) -> Result<Counts, QueryError> {
        let client = self.reader().await?;
        Ok(orders::counts(&client).await?)
    }
}

/// One page of what was read with one row more than the page takes.
fn page<T, C>(mut entries: Vec<T>, limit: usize, cursor: impl Fn(&T) -> C) -> Page<T, C> {
    let more = entries.len() > limit;
    entries.truncate(limit);
    let next = entries.last().filter(|_| more).map(cursor);
    Page { entries, next }
}

/// Takes what was folded, in the order of the page.
fn take<I: Eq + std::hash::Hash, T>(
    ids: impl IntoIterator<Item = I>,
    mut found: std::collections::HashMap<I, Result<Arc<T>, String>>,
) -> Result<Vec<Arc<T>>, StoreError> {
    let folded = ids.into_iter().filter_map(|id| found.remove(&id));
    folded.collect::<Result<_, _>>().map_err(StoreError::Unreadable)
}
