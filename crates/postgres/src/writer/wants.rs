//! What the inputs of one transaction may look at.

use std::collections::BTreeSet;

use ordermill_core::id::{CustomerId, IdempotencyKey, OrderId, OrderRef, ParcelId, ProductId, RecordId};
use ordermill_core::input::{Body, Input};
use ordermill_core::order::Order;
use ordermill_core::reservation::Reservation;

/// Sorted, as rows are locked in this order.
#[derive(Debug, Default)]
pub(crate) struct Wants {
    pub(crate) keys: BTreeSet<IdempotencyKey>,
    pub(crate) refs: BTreeSet<OrderRef>,
    pub(crate) orders: BTreeSet<OrderId>,
    /// Products that may change.
    pub(crate) products: BTreeSet<ProductId>,
    /// Products whose prices are looked at.
    pub(crate) prices: BTreeSet<ProductId>,
    pub(crate) stock: BTreeSet<ProductId>,
    pub(crate) customers: BTreeSet<CustomerId>,
    pub(crate) parcels: BTreeSet<ParcelId>,
    pub(crate) records: BTreeSet<RecordId>,
}

impl Wants {
    /// Everything that can be told from the inputs alone. `stock` is what an earlier attempt lacked.
    pub(crate) fn of<'a>(inputs: impl Iterator<Item = &'a Input>, stock: &[ProductId]) -> Self {
        let mut wants = Self { stock: stock.iter().cloned().collect(), ..Self::default() };
        for input in inputs {
            wants.add(input);
        }
        wants
    }

    fn add(&mut self, input: &Input) {
        self.keys.extend(input.key.as_ref().map(|key| key.key.clone()));
        self.orders.extend(input.body.order_id());
        match &input.body {
            Body::Place(request) => {
                self.orders.insert(request.order_id);
                self.refs.extend(request.order_ref.clone());
                self.prices.extend(request.lines.iter().map(|line| line.product_id.clone()));
            }
            Body::PutProduct(put) => self.product(&put.product_id),
            Body::SetStock { product_id, .. }
            | Body::AdjustStock { product_id, .. }
            | Body::DeleteProduct { product_id, .. } => self.product(product_id),
            Body::PutCustomer(put) => _ = self.customers.insert(put.customer_id.clone()),
            Body::DeleteCustomer { customer_id, .. } => _ = self.customers.insert(customer_id.clone()),
            Body::Track(report) => _ = self.parcels.insert(report.parcel_id.clone()),
            Body::TakeRecord(take) => _ = self.records.insert(take.record_id),
            Body::RecordStored { record_id, .. } => _ = self.records.insert(*record_id),
            _ => {}
        }
    }

    fn product(&mut self, id: &ProductId) {
        self.products.insert(id.clone());
        self.stock.insert(id.clone());
    }

    /// The stock that an input about this order may change. What is not told here is found out by the decision, at the price of another
    /// attempt.
    pub(crate) fn stock_of_order(&mut self, order: &Order, body: &Body) {
        let may_change = match body {
            Body::Reserve { .. } => order.status.is_undecided(),
            Body::PaymentResult(_)
            | Body::Cancel { .. }
            | Body::CancelUnpaid { .. }
            | Body::Return { .. }
            | Body::CheckDeadline { .. } => matches!(order.reservation, Reservation::Held { .. } | Reservation::Sold),
            _ => false,
        };
        if may_change {
            self.stock.extend(order.placement.lines.iter().map(|line| line.product_id.clone()));
        }
    }
}
