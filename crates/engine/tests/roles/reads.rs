//! Reads that fail as a test tells them: of a ledger that is down, and of what is damaged in it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
use ordermill_embedded::memory::MemoryLedger;
use ordermill_ports::Queries;
use ordermill_ports::queries::{Committed, Counts, Deleted, OrderFilter, Page, Position, QueryError, RecordFilter};
use parking_lot::Mutex;

/// What is wrong with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// A newer program wrote it.
    Newer,
    /// Nobody can read it.
    Damaged,
    /// The ledger is down whenever it is asked for alone.
    Down,
}

/// The reads of a ledger.
pub struct Reads {
    pub inner: Arc<MemoryLedger>,
    /// Nothing can be read.
    pub down: AtomicBool,
    /// What cannot be read though the rest can.
    pub damaged: Mutex<HashSet<Subject>>,
    /// Events that cannot be read.
    pub flaws: Mutex<HashMap<Position, Flaw>>,
}

impl Reads {
    pub fn of(inner: Arc<MemoryLedger>) -> Self {
        Self { inner, down: AtomicBool::new(false), damaged: Mutex::default(), flaws: Mutex::default() }
    }

    fn look(&self, subject: Subject) -> Result<(), QueryError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(QueryError::Backend("it is down".to_owned()));
        }
        if self.damaged.lock().contains(&subject) {
            return Err(QueryError::Unreadable("it is damaged".to_owned()));
        }
        Ok(())
    }
}

/// What no role asks for.
fn not_asked() -> ! {
    unreachable!("no role asks for this")
}

#[async_trait]
impl Queries for Reads {
    async fn order(&self, id: OrderId) -> Result<Option<Arc<Order>>, QueryError> {
        self.look(Subject::Order(id))?;
        self.inner.order(id).await
    }

    async fn orders(&self, ids: &[OrderId]) -> Result<Vec<Option<Arc<Order>>>, QueryError> {
        ids.iter().try_for_each(|id| self.look(Subject::Order(*id)))?;
        self.inner.orders(ids).await
    }

    async fn order_by_ref(&self, order_ref: &OrderRef) -> Result<Option<OrderId>, QueryError> {
        let parcel = ParcelId::new(order_ref.as_str()).unwrap();
        self.look(Subject::Parcel(parcel))?;
        self.inner.order_by_ref(order_ref).await
    }

    async fn order_events(&self, id: OrderId, after: u32) -> Result<Vec<Committed>, QueryError> {
        self.look(Subject::Order(id))?;
        self.inner.order_events(id, after).await
    }

    async fn product(&self, id: &ProductId) -> Result<Option<Arc<Product>>, QueryError> {
        self.inner.product(id).await
    }

    async fn parcel(&self, id: &ParcelId) -> Result<Option<Arc<Parcel>>, QueryError> {
        self.look(Subject::Parcel(id.clone()))?;
        self.inner.parcel(id).await
    }

    async fn record(&self, id: RecordId) -> Result<Option<Arc<Record>>, QueryError> {
        self.look(Subject::Record(id))?;
        self.inner.record(id).await
    }

    async fn overdue(&self, now: Timestamp, limit: usize) -> Result<Vec<OrderId>, QueryError> {
        self.inner.overdue(now, limit).await
    }

    async fn mailbox_end(&self) -> Result<Option<u64>, QueryError> {
        self.inner.mailbox_end().await
    }

    async fn list_orders(
        &self,
        _: &OrderFilter,
        _: Option<OrderId>,
        _: usize,
    ) -> Result<Page<Arc<Order>, OrderId>, QueryError> {
        not_asked()
    }

    async fn feed(&self, _: Position, _: usize) -> Result<Vec<Committed>, QueryError> {
        not_asked()
    }

    async fn events_at(&self, positions: &[Position]) -> Result<Vec<Committed>, QueryError> {
        let flaws = self.flaws.lock().clone();
        let has = |flaw| positions.iter().any(|position| flaws.get(position) == Some(&flaw));
        if positions.len() == 1 && has(Flaw::Down) {
            return Err(QueryError::Backend("it is down".to_owned()));
        }
        if has(Flaw::Damaged) {
            return Err(QueryError::Unreadable("it is damaged".to_owned()));
        }
        let mut found = self.inner.events_at(positions).await?;
        found.retain(|event| !flaws.contains_key(&event.position));
        Ok(found)
    }

    async fn order_changed(&self, _: OrderId, _: u32) -> Result<Arc<Order>, QueryError> {
        not_asked()
    }

    async fn list_products(
        &self,
        _: Option<&ProductId>,
        _: Deleted,
        _: usize,
    ) -> Result<Page<Arc<Product>, ProductId>, QueryError> {
        not_asked()
    }

    async fn stock(&self, _: &ProductId) -> Result<Option<StockLevel>, QueryError> {
        not_asked()
    }

    async fn list_stock(&self, _: Option<&ProductId>, _: usize) -> Result<Page<StockLevel, ProductId>, QueryError> {
        not_asked()
    }

    async fn customer(&self, _: &CustomerId) -> Result<Option<Arc<Customer>>, QueryError> {
        not_asked()
    }

    async fn list_customers(
        &self,
        _: Option<&CustomerId>,
        _: Deleted,
        _: usize,
    ) -> Result<Page<Arc<Customer>, CustomerId>, QueryError> {
        not_asked()
    }

    async fn list_parcels(
        &self,
        _: &[ParcelStatus],
        _: Option<Position>,
        _: usize,
    ) -> Result<Page<Arc<Parcel>, Position>, QueryError> {
        not_asked()
    }

    async fn parcel_events(&self, _: &ParcelId, _: u32) -> Result<Vec<Committed>, QueryError> {
        not_asked()
    }

    async fn parcel_changed(&self, _: &ParcelId, _: u32) -> Result<Arc<Parcel>, QueryError> {
        not_asked()
    }

    async fn list_records(
        &self,
        _: RecordFilter,
        _: Option<RecordId>,
        _: usize,
    ) -> Result<Page<Arc<Record>, RecordId>, QueryError> {
        not_asked()
    }

    async fn head(&self) -> Result<Position, QueryError> {
        not_asked()
    }

    async fn feed_grown(&self, _: Position) -> Result<(), QueryError> {
        not_asked()
    }

    /// The gauges ask for these.
    async fn counts(&self) -> Result<Counts, QueryError> {
        self.inner.counts().await
    }
}
