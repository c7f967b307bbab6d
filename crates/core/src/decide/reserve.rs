//! Holding stock for an order, all lines or none, and giving it back.

use crate::Timestamp;
use crate::decide::{Decision, authorize};
use crate::event::{Empty, Event, Rejected, Reserved, Short, Shortage};
use crate::facts::Facts;
use crate::order::{Order, RejectReason, Status};
use crate::policy::Policy;
use crate::reservation::Reservation;
use crate::stock::StockChange;

/// Reserves every line, or rejects the order and says which products are short by how much.
pub(super) fn reserve(facts: &impl Facts, order: &Order, policy: &Policy, now: Timestamp) -> Decision {
    if order.status != Status::Authorized {
        return Decision::unchanged(order.id);
    }
    let units = order.units();
    let available = |id| facts.stock(id).map_or(0, |level| level.available);
    let short: Vec<Shortage> = units
        .iter()
        .filter_map(|&(product_id, quantity)| {
            let missing = quantity - available(product_id);
            (missing > 0).then(|| Shortage { product_id: product_id.clone(), missing })
        })
        .collect();
    if !short.is_empty() {
        let mut events = vec![Event::InventoryRejected(Short { short })];
        events.extend(authorize::undo_authorize(order));
        events.push(Event::OrderRejected(Rejected { reason: RejectReason::OutOfStock }));
        return Decision::order(order.id, events);
    }
    let expires_at = now.saturating_add(policy.reservation_ttl).unwrap_or(Timestamp::MAX);
    let events = vec![Event::InventoryReserved(Reserved { expires_at })];
    Decision::order(order.id, events).with_stock(changes(order, |units| (-units, units, 0)))
}

/// The undo of reserve: whatever the order holds goes back. Nothing where nothing is held.
pub(super) fn release(order: &Order) -> (Option<Event>, Vec<StockChange>) {
    match order.reservation {
        Reservation::Held { .. } => {
            (Some(Event::InventoryReleased(Empty {})), changes(order, |units| (units, -units, 0)))
        }
        Reservation::Sold => (Some(Event::InventoryReleased(Empty {})), changes(order, |units| (units, 0, -units))),
        Reservation::None | Reservation::Released | Reservation::Expired => (None, Vec::new()),
    }
}

/// Takes back what an order holds that was not paid in time.
pub(super) fn expire(order: &Order) -> Decision {
    let mut events = vec![Event::InventoryExpired(Empty {})];
    events.extend(authorize::undo_authorize(order));
    events.push(Event::OrderRejected(Rejected { reason: RejectReason::ReservationExpired }));
    Decision::order(order.id, events).with_stock(changes(order, |units| (units, -units, 0)))
}

/// Held units become sold ones.
pub(super) fn sell(order: &Order) -> Vec<StockChange> {
    changes(order, |units| (0, -units, units))
}

/// One change per product; `difference` gives those of available, reserved and sold.
fn changes(order: &Order, difference: impl Fn(i64) -> (i64, i64, i64)) -> Vec<StockChange> {
    let change = |(product_id, units): (&crate::id::ProductId, i64)| {
        let (available, reserved, sold) = difference(units);
        StockChange { product_id: product_id.clone(), available, reserved, sold }
    };
    order.units().into_iter().map(change).collect()
}
