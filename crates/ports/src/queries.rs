//! Reads, apart from the commit path. They see every commit that was answered before they began.

use std::sync::Arc;

use async_trait::async_trait;
use ordermill_core::Timestamp;
use ordermill_core::customer::Customer;
use ordermill_core::event::Recorded;
use ordermill_core::id::{CustomerId, OrderId, OrderRef, ParcelId, ProductId, RecordId};
use ordermill_core::order::{Order, Status};
use ordermill_core::parcel::{Parcel, ParcelStatus};
use ordermill_core::product::Product;
use ordermill_core::record::Record;
use ordermill_core::stock::StockLevel;
use thiserror::Error;

/// A place in the feed of all events. Later commits have greater positions; there are gaps, and nothing ever appears in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);

/// An event with its place in the feed.
#[derive(Debug, Clone)]
pub struct Committed {
    /// Its place.
    pub position: Position,
    /// The event.
    pub recorded: Recorded,
}

/// Which orders to list; every condition given must hold.
#[derive(Debug, Clone, Default)]
pub struct OrderFilter {
    /// Of this customer.
    pub customer_id: Option<CustomerId>,
    /// In one of these states; empty = any.
    pub statuses: Vec<Status>,
    /// Waiting for a person, or not.
    pub attention: Option<bool>,
    /// Taken at this time or later.
    pub from: Option<Timestamp>,
    /// Taken before this time.
    pub to: Option<Timestamp>,
    /// With exactly this order id, order reference or customer id.
    pub text: Option<String>,
}

/// Whether a list shows what was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Deleted {
    /// What is there.
    #[default]
    Hidden,
    /// What was deleted, too.
    Shown,
}

/// Which records to list; every condition given must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecordFilter {
    /// Whose object is written, or is not.
    pub stored: Option<bool>,
    /// Taken at this time or later.
    pub from: Option<Timestamp>,
    /// Taken before this time.
    pub to: Option<Timestamp>,
}

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Page<T, C> {
    /// The entries.
    pub entries: Vec<T>,
    /// Where the next page begins; `None` = there is no more.
    pub next: Option<C>,
}

/// How many orders are in each state now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// Orders by status; states without orders are left out.
    pub by_status: Vec<(Status, u64)>,
    /// Orders that wait for a person.
    pub attention: u64,
}

/// Why a read has no answer.
#[derive(Debug, Clone, Error)]
pub enum QueryError {
    /// The backend failed.
    #[error("the ledger could not be read: {0}")]
    Backend(String),
    /// What is stored cannot be read by this program.
    #[error("a stored record cannot be read: {0}")]
    Unreadable(String),
}

/// Reads.
#[async_trait]
pub trait Queries: Send + Sync {
    /// One order.
    async fn order(&self, id: OrderId) -> Result<Option<Arc<Order>>, QueryError>;

    /// Many orders, in the order of the ids; `None` where there is none.
    async fn orders(&self, ids: &[OrderId]) -> Result<Vec<Option<Arc<Order>>>, QueryError>;

    /// The order this reference stands for.
    async fn order_by_ref(&self, order_ref: &OrderRef) -> Result<Option<OrderId>, QueryError>;

    /// The orders of many references, in the order of the references; `None` where there is none. Left as it is, it asks for one
    /// after the other.
    async fn orders_by_ref(&self, order_refs: &[OrderRef]) -> Result<Vec<Option<OrderId>>, QueryError> {
        let mut found = Vec::with_capacity(order_refs.len());
        for order_ref in order_refs {
            found.push(self.order_by_ref(order_ref).await?);
        }
        Ok(found)
    }

    /// Orders newest first, beginning below the order `before`.
    async fn list_orders(
        &self,
        filter: &OrderFilter,
        before: Option<OrderId>,
        limit: usize,
    ) -> Result<Page<Arc<Order>, OrderId>, QueryError>;

    /// The events of one order behind this version, oldest first.
    async fn order_events(&self, id: OrderId, after: u32) -> Result<Vec<Committed>, QueryError>;

    /// All events behind a position, oldest first; empty when there are none yet.
    async fn feed(&self, after: Position, limit: usize) -> Result<Vec<Committed>, QueryError>;

    /// The events at these positions, oldest first; a position without one is passed over, and so is an event that only a newer program
    /// can read. [`QueryError::Unreadable`] stands for an event that nobody can. Left as it is, it asks for one after the other, and knows
    /// of no newer programs.
    async fn events_at(&self, positions: &[Position]) -> Result<Vec<Committed>, QueryError> {
        let mut sorted = positions.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let mut found = Vec::with_capacity(sorted.len());
        for position in sorted.into_iter().filter(|position| position.0 > 0) {
            let next = self.feed(Position(position.0 - 1), 1).await?;
            found.extend(next.into_iter().filter(|event| event.position == position));
        }
        Ok(found)
    }

    /// Waits until the order has an event behind this version, and gives the order as it is then. Safe to cancel.
    async fn order_changed(&self, id: OrderId, after: u32) -> Result<Arc<Order>, QueryError>;

    /// One product.
    async fn product(&self, id: &ProductId) -> Result<Option<Arc<Product>>, QueryError>;

    /// Those of these products that are there, in no promised order. Left as it is, it asks for one after the other.
    async fn products(&self, ids: &[ProductId]) -> Result<Vec<Arc<Product>>, QueryError> {
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            found.extend(self.product(id).await?);
        }
        Ok(found)
    }

    /// Products by id, beginning behind `after`.
    async fn list_products(
        &self,
        after: Option<&ProductId>,
        deleted: Deleted,
        limit: usize,
    ) -> Result<Page<Arc<Product>, ProductId>, QueryError>;

    /// The stock of one product; `None` until it was set.
    async fn stock(&self, id: &ProductId) -> Result<Option<StockLevel>, QueryError>;

    /// Stock by product id, beginning behind `after`.
    async fn list_stock(
        &self,
        after: Option<&ProductId>,
        limit: usize,
    ) -> Result<Page<StockLevel, ProductId>, QueryError>;

    /// One customer.
    async fn customer(&self, id: &CustomerId) -> Result<Option<Arc<Customer>>, QueryError>;

    /// Customers by id, beginning behind `after`.
    async fn list_customers(
        &self,
        after: Option<&CustomerId>,
        deleted: Deleted,
        limit: usize,
    ) -> Result<Page<Arc<Customer>, CustomerId>, QueryError>;

    /// One parcel.
    async fn parcel(&self, id: &ParcelId) -> Result<Option<Arc<Parcel>>, QueryError>;

    /// Parcels, those first reported last first; in one of these states, or in any where none is named. Begins below the parcel
    /// whose first event is at `before`.
    async fn list_parcels(
        &self,
        statuses: &[ParcelStatus],
        before: Option<Position>,
        limit: usize,
    ) -> Result<Page<Arc<Parcel>, Position>, QueryError>;

    /// The events of one parcel behind this version, oldest first.
    async fn parcel_events(&self, id: &ParcelId, after: u32) -> Result<Vec<Committed>, QueryError>;

    /// Waits until the parcel has an event behind this version, and gives the parcel as it is then; for a parcel that was never
    /// seen, its first. Safe to cancel.
    async fn parcel_changed(&self, id: &ParcelId, after: u32) -> Result<Arc<Parcel>, QueryError>;

    /// One record.
    async fn record(&self, id: RecordId) -> Result<Option<Arc<Record>>, QueryError>;

    /// Records newest first, beginning below the record `before`.
    async fn list_records(
        &self,
        filter: RecordFilter,
        before: Option<RecordId>,
        limit: usize,
    ) -> Result<Page<Arc<Record>, RecordId>, QueryError>;

    /// The newest position of the feed; 0 when there is none yet.
    async fn head(&self) -> Result<Position, QueryError>;

    /// Waits until the feed has an event behind a position. Safe to cancel.
    async fn feed_grown(&self, after: Position) -> Result<(), QueryError>;

    /// Orders whose [`Order::deadline`] is over at `now`, the oldest deadline first.
    async fn overdue(&self, now: Timestamp, limit: usize) -> Result<Vec<OrderId>, QueryError>;

    /// Where the last committed mail ends in the local mail file, in bytes; `None` when no such mail was committed.
    async fn mailbox_end(&self) -> Result<Option<u64>, QueryError>;

    /// How many orders there are in each state.
    async fn counts(&self) -> Result<Counts, QueryError>;
}
