//! Driving orders on, and receiving what that causes.

use std::sync::Arc;

use ordermill_core::id::OrderId;
use ordermill_core::input::{Body, PaymentAnswer, PaymentResult};
use ordermill_core::order::{Order, Status};
use ordermill_core::parcel::ParcelStatus;
use ordermill_core::payment::due_request;
use ordermill_core::process::Role;

use super::{QUIET, Shop, succeeded};
use crate::bus::Delivery;

impl Shop {
    /// Gives the provider's answer to what is due of an order.
    ///
    /// # Panics
    /// When nothing is due.
    pub async fn pay(&self, id: OrderId, answer: PaymentAnswer) -> Arc<Order> {
        let request = due_request(&*self.order(id).await).expect("something is asked of the provider");
        self.ask_order(Body::PaymentResult(PaymentResult { key: request.key, answer })).await
    }

    /// Drives an order on to a state of the way that succeeds.
    pub async fn drive(&self, id: OrderId, to: Status) -> Arc<Order> {
        let mut order = self.order(id).await;
        while order.status != to {
            order = match order.status {
                Status::Placed | Status::Reserved => self.pay(id, succeeded()).await,
                Status::Authorized => self.ask_order(Body::Reserve { order_id: id }).await,
                Status::Confirmed => self.parcel(id, ParcelStatus::PickedUp).await,
                Status::Shipped => {
                    self.parcel(id, ParcelStatus::OutForDelivery).await;
                    self.parcel(id, ParcelStatus::Delivered).await
                }
                ended => panic!("an order that is {} goes on no further", ended.as_str()),
            };
        }
        order
    }

    /// The carrier saw the parcel.
    pub async fn parcel(&self, order_id: OrderId, status: ParcelStatus) -> Arc<Order> {
        self.ask_order(Body::ParcelMoved { order_id, status, seen_at: self.now() }).await
    }

    /// Calls an order off.
    pub async fn cancel(&self, order_id: OrderId) -> Arc<Order> {
        self.ask_order(Body::Cancel { order_id, reason: "changed my mind".into() }).await
    }
}

impl Shop {
    /// The next deliveries of a role.
    pub async fn receive(&self, role: Role, max: usize) -> Vec<Delivery> {
        let batch = self.backend.bus.receive(role, max).await.expect("deliveries can be received");
        assert!(!batch.is_empty() && batch.len() <= max, "a batch holds at least one and at most {max} deliveries");
        batch
    }

    /// Every delivery that there is for a role: waits for so many, and then until no more come.
    ///
    /// # Panics
    /// When there are fewer.
    pub async fn receive_all(&self, role: Role, count: usize) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        let patience = |come: usize| if come < count { self.patience } else { QUIET };
        while let Ok(batch) = tokio::time::timeout(patience(deliveries.len()), self.receive(role, 64)).await {
            deliveries.extend(batch);
        }
        assert!(deliveries.len() >= count, "{count} should have come for {}: {deliveries:?}", role.as_str());
        deliveries
    }

    /// Makes sure that there is nothing for a role.
    pub async fn assert_quiet(&self, role: Role) {
        let more = tokio::time::timeout(QUIET, self.receive(role, 64)).await;
        assert!(more.is_err(), "there is nothing for {}, but it was given {more:?}", role.as_str());
    }
}
