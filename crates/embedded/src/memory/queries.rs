//! Reads.

use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use ordermill_core::Timestamp;
use ordermill_core::customer::Customer;
use ordermill_core::event::Recorded;
use ordermill_core::id::{CustomerId, OrderId, OrderRef, ParcelId, ProductId, RecordId};
use ordermill_core::order::Order;
use ordermill_core::parcel::{Parcel, ParcelStatus};
use ordermill_core::product::Product;
use ordermill_core::record::Record;
use ordermill_core::stock::StockLevel;
use ordermill_ports::queries::{
    Committed, Counts, Deleted, OrderFilter, Page, Position, Queries, QueryError, RecordFilter,
};

use super::MemoryLedger;
use super::kept::Kept;
use super::state::{OrderEntry, ProductEntry, State};

#[async_trait]
impl Queries for MemoryLedger {
    async fn order(&self, id: OrderId) -> Result<Option<Arc<Order>>, QueryError> {
        Ok(self.state.lock().orders.get(&id).map(shared))
    }

    async fn orders(&self, ids: &[OrderId]) -> Result<Vec<Option<Arc<Order>>>, QueryError> {
        let state = self.state.lock();
        Ok(ids.iter().map(|id| state.orders.get(id).map(shared)).collect())
    }

    async fn order_by_ref(&self, order_ref: &OrderRef) -> Result<Option<OrderId>, QueryError> {
        Ok(self.state.lock().order_refs.get(order_ref).copied())
    }

    async fn list_orders(
        &self,
        filter: &OrderFilter,
        before: Option<OrderId>,
        limit: usize,
    ) -> Result<Page<Arc<Order>, OrderId>, QueryError> {
        let state = self.state.lock();
        let end = before.map_or(Bound::Unbounded, Bound::Excluded);
        let newest_first = state.orders.range((Bound::Unbounded, end)).rev();
        let wanted = newest_first.map(|(_, entry)| &entry.order).filter(|order| matches(filter, order)).cloned();
        Ok(page(wanted, limit, |order| order.id))
    }

    async fn order_events(&self, id: OrderId, after: u32) -> Result<Vec<Committed>, QueryError> {
        let state = self.state.lock();
        Ok(state.orders.get(&id).map_or_else(Vec::new, |entry| committed_behind(&state, &entry.events, after)))
    }

    async fn feed(&self, after: Position, limit: usize) -> Result<Vec<Committed>, QueryError> {
        Ok(self.state.lock().log.behind(after.0, limit))
    }

    async fn order_changed(&self, id: OrderId, after: u32) -> Result<Arc<Order>, QueryError> {
        let watcher = self.order_watchers.watch(id);
        loop {
            let mut changed = std::pin::pin!(watcher.bell.notified());
            // Listen first, look then: a change between the two is heard.
            changed.as_mut().enable();
            if let Some(order) = self.state.lock().orders.get(&id).map(shared)
                && order.version > after
            {
                return Ok(order);
            }
            changed.await;
        }
    }

    async fn product(&self, id: &ProductId) -> Result<Option<Arc<Product>>, QueryError> {
        Ok(self.state.lock().products.get(id).and_then(|entry| entry.product.clone()))
    }

    async fn list_products(
        &self,
        after: Option<&ProductId>,
        deleted: Deleted,
        limit: usize,
    ) -> Result<Page<Arc<Product>, ProductId>, QueryError> {
        let state = self.state.lock();
        let products = products_behind(&state, after).filter_map(|entry| entry.product.clone());
        let products = products.filter(|product| deleted == Deleted::Shown || !product.deleted);
        Ok(page(products, limit, |product| product.id.clone()))
    }

    async fn stock(&self, id: &ProductId) -> Result<Option<StockLevel>, QueryError> {
        Ok(self.state.lock().products.get(id).and_then(|entry| entry.stock.clone()))
    }

    async fn list_stock(
        &self,
        after: Option<&ProductId>,
        limit: usize,
    ) -> Result<Page<StockLevel, ProductId>, QueryError> {
        let state = self.state.lock();
        let levels = products_behind(&state, after).filter_map(|entry| entry.stock.clone());
        Ok(page(levels, limit, |level| level.product_id.clone()))
    }

    async fn customer(&self, id: &CustomerId) -> Result<Option<Arc<Customer>>, QueryError> {
        Ok(self.state.lock().shelves.customers.get(id).map(kept))
    }

    async fn list_customers(
        &self,
        after: Option<&CustomerId>,
        deleted: Deleted,
        limit: usize,
    ) -> Result<Page<Arc<Customer>, CustomerId>, QueryError> {
        let state = self.state.lock();
        let first = after.cloned().map_or(Bound::Unbounded, Bound::Excluded);
        let customers = state.shelves.customers.range((first, Bound::Unbounded)).map(|(_, entry)| kept(entry));
        let customers = customers.filter(|customer| deleted == Deleted::Shown || !customer.deleted);
        Ok(page(customers, limit, |customer| customer.id.clone()))
    }

    async fn parcel(&self, id: &ParcelId) -> Result<Option<Arc<Parcel>>, QueryError> {
        Ok(self.state.lock().shelves.parcels.get(id).map(kept))
    }

    async fn list_parcels(
        &self,
        statuses: &[ParcelStatus],
        before: Option<Position>,
        limit: usize,
    ) -> Result<Page<Arc<Parcel>, Position>, QueryError> {
        let state = self.state.lock();
        let shelves = &state.shelves;
        let end = before.map_or(Bound::Unbounded, |before| Bound::Excluded(before.0));
        let newest_first = shelves.parcels_by_age.range((Bound::Unbounded, end)).rev();
        let parcels = newest_first.filter_map(|(place, id)| Some((*place, kept(shelves.parcels.get(id)?))));
        let wanted = parcels.filter(|(_, parcel)| statuses.is_empty() || statuses.contains(&parcel.status));
        let Page { entries, next } = page(wanted, limit, |(place, _)| Position(*place));
        Ok(Page { entries: entries.into_iter().map(|(_, parcel)| parcel).collect(), next })
    }

    async fn parcel_events(&self, id: &ParcelId, after: u32) -> Result<Vec<Committed>, QueryError> {
        let state = self.state.lock();
        Ok(state.shelves.parcels.get(id).map_or_else(Vec::new, |entry| committed_behind(&state, &entry.events, after)))
    }

    async fn parcel_changed(&self, id: &ParcelId, after: u32) -> Result<Arc<Parcel>, QueryError> {
        let watcher = self.parcel_watchers.watch(id.clone());
        loop {
            let mut changed = std::pin::pin!(watcher.bell.notified());
            // Listen first, look then: a change between the two is heard.
            changed.as_mut().enable();
            if let Some(parcel) = self.state.lock().shelves.parcels.get(id).map(kept)
                && parcel.version > after
            {
                return Ok(parcel);
            }
            changed.await;
        }
    }

    async fn record(&self, id: RecordId) -> Result<Option<Arc<Record>>, QueryError> {
        Ok(self.state.lock().shelves.records.get(&id).map(kept))
    }

    async fn list_records(
        &self,
        filter: RecordFilter,
        before: Option<RecordId>,
        limit: usize,
    ) -> Result<Page<Arc<Record>, RecordId>, QueryError> {
        let state = self.state.lock();
        let end = before.map_or(Bound::Unbounded, Bound::Excluded);
        let newest_first = state.shelves.records.range((Bound::Unbounded, end)).rev().map(|(_, entry)| kept(entry));
        Ok(page(newest_first.filter(|record| is_wanted(filter, record)), limit, |record| record.id))
    }

    async fn head(&self) -> Result<Position, QueryError> {
        Ok(Position(self.state.lock().log.end()))
    }

    async fn feed_grown(&self, after: Position) -> Result<(), QueryError> {
        loop {
            let mut grown = std::pin::pin!(self.grown.notified());
            grown.as_mut().enable();
            if self.state.lock().log.end() > after.0 {
                return Ok(());
            }
            grown.await;
        }
    }

    async fn overdue(&self, now: Timestamp, limit: usize) -> Result<Vec<OrderId>, QueryError> {
        Ok(self.state.lock().tally.overdue(now).take(limit).collect())
    }

    async fn mailbox_end(&self) -> Result<Option<u64>, QueryError> {
        Ok(self.state.lock().mailbox_end)
    }

    async fn counts(&self) -> Result<Counts, QueryError> {
        Ok(self.state.lock().tally.counts())
    }
}

fn shared(entry: &OrderEntry) -> Arc<Order> {
    Arc::clone(&entry.order)
}

fn kept<T>(entry: &Kept<T>) -> Arc<T> {
    Arc::clone(&entry.now)
}

/// The events at these places whose version is behind `after`.
fn committed_behind(state: &State, places: &[u64], after: u32) -> Vec<Committed> {
    let skip = usize::try_from(after).unwrap_or(usize::MAX);
    places.iter().skip(skip).filter_map(|place| committed(state, *place)).collect()
}

fn committed(state: &State, position: u64) -> Option<Committed> {
    let recorded = Recorded::clone(state.log.get(position)?);
    Some(Committed { position: Position(position), recorded })
}

fn matches(filter: &OrderFilter, order: &Order) -> bool {
    let placement = &order.placement;
    let has_text = |text: &String| {
        placement.customer_id.as_str() == text
            || placement.order_ref.as_ref().is_some_and(|order_ref| order_ref.as_str() == text)
            || text.parse() == Ok(order.id)
    };
    filter.customer_id.as_ref().is_none_or(|id| *id == placement.customer_id)
        && (filter.statuses.is_empty() || filter.statuses.contains(&order.status))
        && filter.attention.is_none_or(|attention| attention == order.attention.is_some())
        && filter.from.is_none_or(|from| order.created_at >= from)
        && filter.to.is_none_or(|to| order.created_at < to)
        && filter.text.as_ref().is_none_or(has_text)
}

fn is_wanted(filter: RecordFilter, record: &Record) -> bool {
    filter.stored.is_none_or(|stored| stored == record.stored.is_some())
        && filter.from.is_none_or(|from| record.received_at >= from)
        && filter.to.is_none_or(|to| record.received_at < to)
}

fn products_behind<'a>(state: &'a State, after: Option<&ProductId>) -> impl Iterator<Item = &'a ProductEntry> {
    let first = after.cloned().map_or(Bound::Unbounded, Bound::Excluded);
    state.products.range((first, Bound::Unbounded)).map(|(_, entry)| entry)
}

/// Takes a page; there is a next one when anything is left behind it.
fn page<T, C>(mut entries: impl Iterator<Item = T>, limit: usize, cursor: impl Fn(&T) -> C) -> Page<T, C> {
    let taken: Vec<T> = entries.by_ref().take(limit).collect();
    let next = taken.last().map(cursor).filter(|_| entries.next().is_some());
    Page { entries: taken, next }
}
