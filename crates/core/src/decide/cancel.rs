//! Calling an order off. It acts at once on what is committed; what is under way comes back as a late result.

use crate::decide::{Decision, authorize, refund, reserve};
use crate::event::{Cancelled, Event};
use crate::id::clip_text;
use crate::limits::TEXT_CHARS_MAX;
use crate::order::{Order, Status};
use crate::refusal::Refusal;

/// Calls the order off unless its money is taken; the first commit wins. What was called off already is left so.
pub(super) fn cancel_unpaid(order: &Order, reason: &str) -> Result<Decision, Refusal> {
    match order.status {
        Status::Confirmed => Err(Refusal::NotCancellable { status: order.status }),
        _ => cancel(order, reason),
    }
}

/// Not captured: release and void. Captured and not shipped: refund and release. Later: refused.
pub(super) fn cancel(order: &Order, reason: &str) -> Result<Decision, Refusal> {
    match order.status {
        Status::Cancelled => return Ok(Decision::unchanged(order.id)),
        Status::Placed | Status::Authorized | Status::Reserved | Status::Confirmed => {}
        Status::Shipped | Status::Delivered | Status::Rejected | Status::Returned => {
            return Err(Refusal::NotCancellable { status: order.status });
        }
    }
    let (released, stock) = reserve::release(order);
    let mut events: Vec<Event> = released.into_iter().collect();
    events.extend(authorize::undo_authorize(order));
    // What is being refunded already comes back by itself.
    let refundable = refund::refundable(order);
    if refundable > 0 {
        events.push(refund::request_event(order, refundable, None));
    }
    events.push(Event::OrderCancelled(Cancelled { reason: clip_text(reason, TEXT_CHARS_MAX) }));
    Ok(Decision::order(order.id, events).with_stock(stock))
}
