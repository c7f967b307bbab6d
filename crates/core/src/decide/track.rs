//! The parcel moves, and the order with it.

use crate::Timestamp;
use crate::decide::{Decision, attention};
use crate::event::{Empty, Event, ParcelMove};
use crate::order::{Order, Status};
use crate::process::Step;
use crate::refusal::Refusal;
use crate::shipment::ParcelStatus;

/// A move the carrier's states allow is recorded, whatever became of the order; on an order that was called off a person has to
/// fetch the parcel back.
pub(super) fn parcel_moved(order: &Order, status: ParcelStatus, seen_at: Timestamp) -> Result<Decision, Refusal> {
    if !status.may_follow(order.parcel) {
        return Err(Refusal::ParcelOutOfOrder);
    }
    let mut events = vec![Event::ParcelMoved(ParcelMove { status, seen_at })];
    match order.status {
        Status::Placed | Status::Authorized | Status::Reserved | Status::Rejected | Status::Cancelled => {
            if order.parcel.is_none() {
                events.push(attention::event(Step::Track, "a parcel is on its way for an order that is not confirmed"));
            }
        }
        Status::Confirmed => {
            events.push(Event::OrderShipped(Empty {}));
            if status == ParcelStatus::Delivered {
                events.push(Event::OrderDelivered(Empty {}));
            }
        }
        Status::Shipped if status == ParcelStatus::Delivered => events.push(Event::OrderDelivered(Empty {})),
        Status::Shipped | Status::Delivered | Status::Returned => {}
    }
    Ok(Decision::order(order.id, events))
}

/// What an order that is confirmed only now has missed: its parcel was seen before.
pub(super) fn catch_up(order: &Order) -> Vec<Event> {
    match order.parcel {
        None => Vec::new(),
        Some(ParcelStatus::Delivered) => vec![Event::OrderShipped(Empty {}), Event::OrderDelivered(Empty {})],
        Some(_) => vec![Event::OrderShipped(Empty {})],
    }
}
