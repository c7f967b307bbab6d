//! Holding the money, and letting go of it.

use crate::decide::{Decision, attention};
use crate::event::{Authorized, Done, Event, Refused, Rejected, Requested, Unknown};
use crate::input::{PaymentAnswer, PaymentResult};
use crate::order::{Order, RejectReason, Status};
use crate::payment::{DeclineReason, Operation, OperationKind, OperationState};
use crate::process::Step;

/// The answer to an authorize. On an order that ended meanwhile the money is let go of again.
pub(super) fn authorize_result(order: &Order, operation: &Operation, result: &PaymentResult) -> Decision {
    let attempt = result.key.attempt;
    let answered = matches!(operation.state, OperationState::Succeeded | OperationState::Refused);
    if answered || attempt != operation.attempt {
        return Decision::unchanged(order.id);
    }
    let events = match &result.answer {
        // Also where a person had resolved it: the money is held, whatever was thought of it.
        PaymentAnswer::Succeeded { provider_ref } => {
            let amount_minor = operation.amount_minor;
            let provider_ref = provider_ref.clone();
            let authorized = Authorized { operation: operation.id, attempt, amount_minor, provider_ref };
            let mut events = vec![Event::PaymentAuthorized(authorized)];
            if order.status != Status::Placed {
                events.push(request_void(order, amount_minor));
            }
            events
        }
        PaymentAnswer::Refused { .. } | PaymentAnswer::Unknown if !operation.is_open() => {
            return Decision::unchanged(order.id);
        }
        PaymentAnswer::Refused { reason } => {
            let mut events =
                vec![Event::PaymentDeclined(Refused { operation: operation.id, attempt, reason: *reason })];
            if order.status == Status::Placed {
                let reason = match reason {
                    DeclineReason::InsufficientFunds => RejectReason::InsufficientFunds,
                    _ => RejectReason::PaymentDeclined,
                };
                events.push(Event::OrderRejected(Rejected { reason }));
            }
            events
        }
        PaymentAnswer::Unknown => return unknown(order, operation),
    };
    Decision::order(order.id, events)
}

/// The undo of authorize: asks for the held money to be let go of.
pub(super) fn request_void(order: &Order, amount_minor: i64) -> Event {
    let operation = order.payment.next_id(OperationKind::Void);
    Event::PaymentVoidRequested(Requested { operation, amount_minor, reason: None })
}

/// The undo of authorize for an order that is about to end: nothing to do where nothing is held.
pub(super) fn undo_authorize(order: &Order) -> Option<Event> {
    order.payment.authorization_open.then(|| request_void(order, order.payment.held()))
}

/// The answer to a void. Whatever it says of the authorization is taken as long as our books have it open, also where a person had
/// resolved the void.
pub(super) fn void_result(order: &Order, operation: &Operation, result: &PaymentResult) -> Decision {
    let attempt = result.key.attempt;
    if !order.payment.authorization_open || attempt != operation.attempt {
        return Decision::unchanged(order.id);
    }
    let done = Done { operation: operation.id, attempt, amount_minor: operation.amount_minor };
    match &result.answer {
        // The provider voided it under another key, or the answer to this one was lost: the money is free either way.
        PaymentAnswer::Succeeded { .. } | PaymentAnswer::Refused { reason: DeclineReason::Voided } => {
            Decision::order(order.id, vec![Event::PaymentVoided(done)])
        }
        PaymentAnswer::Refused { reason: DeclineReason::AuthorizationExpired } => {
            Decision::order(order.id, vec![Event::PaymentExpired(done)])
        }
        // A capture was under way when the order was called off, and won at the provider.
        PaymentAnswer::Refused { reason: DeclineReason::AlreadyCaptured }
            if order.payment.last(OperationKind::Capture).is_some() =>
        {
            super::capture::captured_late(order)
        }
        // Heard before, or resolved by a person.
        PaymentAnswer::Refused { .. } if operation.refused || !operation.is_open() => Decision::unchanged(order.id),
        PaymentAnswer::Refused { reason } => {
            let refused = Refused { operation: operation.id, attempt, reason: *reason };
            let attention = attention::event(Step::Void, reason.as_str());
            Decision::order(order.id, vec![Event::PaymentVoidFailed(refused), attention])
        }
        PaymentAnswer::Unknown => unknown(order, operation),
    }
}

/// A missing answer is recorded once; following it up adds nothing to the history.
pub(super) fn unknown(order: &Order, operation: &Operation) -> Decision {
    if operation.state != OperationState::Due {
        return Decision::unchanged(order.id);
    }
    let unknown = Unknown { operation: operation.id, attempt: operation.attempt };
    Decision::order(order.id, vec![Event::PaymentUnknown(unknown)])
}
