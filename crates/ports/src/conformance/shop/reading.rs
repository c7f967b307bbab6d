//! Reading, and auditing what is read.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ordermill_core::event::{EventType, Recorded};
use ordermill_core::id::OrderId;
use ordermill_core::order::Order;
use ordermill_core::stock::StockLevel;

use super::{Shop, product};
use crate::conformance::books::Books;
use crate::queries::{Deleted, OrderFilter, Position, RecordFilter};

impl Shop {
    /// An order that is there.
    pub async fn order(&self, id: OrderId) -> Arc<Order> {
        self.backend.queries.order(id).await.expect("orders can be read").expect("the order is there")
    }

    /// The stock of a product.
    pub async fn stock(&self, id: &str) -> Option<StockLevel> {
        self.backend.queries.stock(&product(id)).await.expect("stock can be read")
    }

    /// Available, reserved and sold units of a product.
    pub async fn units(&self, id: &str) -> (i64, i64, i64) {
        let level = self.stock(id).await.expect("the product has stock");
        (level.available, level.reserved, level.sold)
    }

    /// The types of an order's events.
    pub async fn events(&self, id: OrderId) -> Vec<EventType> {
        let events = self.backend.queries.order_events(id, 0).await.expect("events can be read");
        events.iter().map(|committed| committed.recorded.event.kind()).collect()
    }

    /// The position of the newest event.
    pub async fn end(&self) -> Position {
        let seen = Position(self.seen.load(Ordering::SeqCst));
        let end = self.feed(seen).await.last().map_or(seen, |(position, _)| *position);
        self.seen.fetch_max(end.0, Ordering::SeqCst);
        end
    }

    /// The whole feed behind a position, read in pages.
    ///
    /// # Panics
    /// When positions do not rise.
    pub async fn feed(&self, mut after: Position) -> Vec<(Position, Recorded)> {
        let mut events = Vec::new();
        loop {
            let page = self.backend.queries.feed(after, 256).await.expect("the feed can be read");
            if page.is_empty() {
                return events;
            }
            for committed in page {
                assert!(committed.position > after, "positions rise: {:?} behind {after:?}", committed.position);
                after = committed.position;
                events.push((after, committed.recorded));
            }
        }
    }

    /// Every order that fits, newest first, read in pages.
    pub async fn list(&self, filter: &OrderFilter, limit: usize) -> Vec<Arc<Order>> {
        let mut orders = Vec::new();
        let mut before = None;
        loop {
            let page = self.backend.queries.list_orders(filter, before, limit).await.expect("orders can be listed");
            assert!(page.entries.len() <= limit, "a page holds no more than was asked for");
            orders.extend(page.entries);
            match page.next {
                Some(next) => before = Some(next),
                None => return orders,
            }
        }
    }

    /// Folds the whole feed with core alone and compares it with everything that can be read.
    ///
    /// # Panics
    /// When anything differs, or an invariant is broken.
    pub async fn audit(&self) -> Books {
        let mut books = Books::default();
        let mut end = Position(0);
        for (position, recorded) in self.feed(end).await {
            books.take(&recorded);
            end = position;
        }
        books.check();
        let queries = &self.backend.queries;
        assert_eq!(queries.head().await.expect("the head can be read"), end, "the head is the newest position");
        let listed = self.list(&OrderFilter::default(), 200).await;
        assert_eq!(listed.len(), books.orders.len(), "every order is listed once");
        for (listed, folded) in listed.iter().zip(books.orders.values().rev()) {
            assert_eq!(&**listed, folded, "an order is the fold of its events");
        }
        for (id, level) in &books.stock {
            let read = queries.stock(id).await.expect("stock can be read");
            assert_eq!(read.as_ref(), Some(level), "stock is the fold of what happened to it");
        }
        for (id, product) in &books.products {
            let read = queries.product(id).await.expect("products can be read");
            assert_eq!(read.as_deref(), Some(product), "a product is what was put last");
        }
        self.audit_kept(&books).await;
        assert_eq!(queries.counts().await.expect("orders can be counted"), books.counts());
        assert_eq!(queries.mailbox_end().await.expect("the mailbox's end can be read"), books.mailbox_end);
        books
    }

    /// Compares customers, parcels and records with the books.
    async fn audit_kept(&self, books: &Books) {
        let customers = self.list_customers(Deleted::Shown, 200).await;
        assert!(customers.iter().map(|customer| &**customer).eq(books.customers.values()), "customers, by id");
        let parcels = self.list_parcels(&[], 200).await;
        let folded = books.parcels_by_age.iter().rev().map(|id| &books.parcels[id]);
        assert!(parcels.iter().map(|parcel| &**parcel).eq(folded), "parcels, those first reported last first");
        let records = self.list_records(RecordFilter::default(), 200).await;
        assert!(records.iter().map(|record| &**record).eq(books.records.values().rev()), "records, newest first");
    }
}
