//! What a decision sees of the state.

use ordermill_core::Timestamp;
use ordermill_core::customer::Customer;
use ordermill_core::facts::Facts;
use ordermill_core::id::{CustomerId, IdempotencyKey, OrderId, OrderRef, ParcelId, ProductId, RecordId};
use ordermill_core::idempotency::{self, Answer, RefRecord};
use ordermill_core::order::Order;
use ordermill_core::parcel::Parcel;
use ordermill_core::product::Product;
use ordermill_core::record::Record;
use ordermill_core::stock::StockLevel;

use super::state::State;

/// The state at one time: keys expire by it.
pub(super) struct Moment<'a> {
    pub(super) state: &'a State,
    pub(super) now: Timestamp,
}

impl Facts for Moment<'_> {
    fn order(&self, id: OrderId) -> Option<&Order> {
        self.state.orders.get(&id).map(|entry| &*entry.order)
    }

    fn order_ref(&self, order_ref: &OrderRef) -> Option<RefRecord> {
        let order_id = *self.state.order_refs.get(order_ref)?;
        let order = self.order(order_id)?;
        Some(RefRecord { order_id, fingerprint: order.placement.fingerprint })
    }

    fn product(&self, id: &ProductId) -> Option<&Product> {
        self.state.products.get(id)?.product.as_deref()
    }

    fn stock(&self, id: &ProductId) -> Option<&StockLevel> {
        self.state.products.get(id)?.stock.as_ref()
    }

    /// A key outlives its time while its order is undecided: whoever waits that long and asks again must not get a second order.
    fn idempotency(&self, key: &IdempotencyKey) -> Option<&idempotency::Record> {
        let record = self.state.keys.get(key)?;
        let undecided = match &record.answer {
            Answer::Order(order_id) => self.order(*order_id).is_some_and(|order| order.status.is_undecided()),
            Answer::Stock(_) | Answer::Record(_) => false,
        };
        (record.expires_at > self.now || undecided).then_some(record)
    }

    fn customer(&self, id: &CustomerId) -> Option<&Customer> {
        self.state.shelves.customers.get(id).map(|kept| &*kept.now)
    }

    fn parcel(&self, id: &ParcelId) -> Option<&Parcel> {
        self.state.shelves.parcels.get(id).map(|kept| &*kept.now)
    }

    fn record(&self, id: RecordId) -> Option<&Record> {
        self.state.shelves.records.get(&id).map(|kept| &*kept.now)
    }
}
