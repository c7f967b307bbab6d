//! Reads.

use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use ordermill_core::Timestamp;
use ordermill_core::event::Recorded;
use ordermill_core::id::{OrderId, OrderRef, ProductId};
use ordermill_core::order::Order;
use ordermill_core::product::Product;
use ordermill_core::stock::StockLevel;
use ordermill_ports::queries::{Committed, Counts, OrderFilter, Page, Position, Queries, QueryError};

use super::MemoryLedger;
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
        let skip = usize::try_from(after).unwrap_or(usize::MAX);
        let positions = state.orders.get(&id).map_or(&[][..], |entry| &entry.events);
        Ok(positions.iter().skip(skip).filter_map(|position| committed(&state, *position)).collect())
    }

    async fn feed(&self, after: Position, limit: usize) -> Result<Vec<Committed>, QueryError> {
        Ok(self.state.lock().log.behind(after.0, limit))
    }

    async fn order_changed(&self, id: OrderId, after: u32) -> Result<Arc<Order>, QueryError> {
        let watcher = self.watchers.watch(id);
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
        limit: usize,
    ) -> Result<Page<Arc<Product>, ProductId>, QueryError> {
        let state = self.state.lock();
        let products = products_behind(&state, after).filter_map(|entry| entry.product.clone());
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
