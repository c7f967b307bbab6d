//! What the clock decides.

use crate::Timestamp;
use crate::decide::{Decision, attention, reserve};
use crate::event::{Event, Overdue};
use crate::order::{Order, Status};
use crate::payment::OperationState;
use crate::policy::Policy;
use crate::process::Step;
use crate::reservation::Reservation;

/// Takes back expired stock, gives up on answers that are missing for too long, reports states that last too long.
pub(super) fn check(order: &Order, policy: &Policy, now: Timestamp) -> Decision {
    if let Reservation::Held { expires_at } = order.reservation
        && order.status == Status::Reserved
        && expires_at <= now
    {
        return reserve::expire(order);
    }
    let over = |since: Timestamp, budget| since.saturating_add(budget).is_ok_and(|end| end <= now);
    let mut events: Vec<Event> = order
        .payment
        .operations
        .iter()
        .filter(|operation| operation.state == OperationState::Unknown && over(operation.since, policy.unknown_budget))
        .map(|operation| attention::event(Step::of_operation(operation.id.kind), "no answer from the payment provider"))
        .collect();
    if let Some(budget) = order.time_budget(policy)
        && order.overdue != Some(order.status)
        && over(order.status_since, budget)
    {
        events.push(Event::OrderOverdue(Overdue { status: order.status, since: order.status_since }));
    }
    Decision::order(order.id, events)
}
