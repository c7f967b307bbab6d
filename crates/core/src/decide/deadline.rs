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
///
/// It deals with everything that is over at once, so that [`Order::deadline`] lies behind `now` afterwards, or is gone.
pub(super) fn check(order: &Order, policy: &Policy, now: Timestamp) -> Decision {
    let is_expired = order.status == Status::Reserved
        && matches!(order.reservation, Reservation::Held { expires_at } if expires_at <= now);
    let mut decision = if is_expired { reserve::expire(order) } else { Decision::unchanged(order.id) };
    let over = |since: Timestamp, budget| since.saturating_add(budget).unwrap_or(Timestamp::MAX) <= now;
    let mut steps: Vec<Step> = Vec::new();
    for operation in &order.payment.operations {
        let step = Step::of_operation(operation.id.kind);
        let is_unanswered = operation.state == OperationState::Unknown && over(operation.since, policy.unknown_budget);
        if is_unanswered && !steps.contains(&step) {
            steps.push(step);
            decision.events.push(attention::event(step, "no answer from the payment provider"));
        }
    }
    if let Some(budget) = order.time_budget(policy)
        && !is_expired
        && order.overdue != Some(order.status)
        && over(order.status_since, budget)
    {
        decision.events.push(Event::OrderOverdue(Overdue { status: order.status, since: order.status_since }));
    }
    decision
}
