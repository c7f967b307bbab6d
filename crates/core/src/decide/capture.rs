//! Taking the money. Its undo, the refund, is in the file beside.

use crate::decide::{Decision, attention, authorize, refund, reserve, track};
use crate::event::{Done, Empty, Event, Refused, Rejected};
use crate::input::{PaymentAnswer, PaymentResult};
use crate::order::{Order, RejectReason, Status};
use crate::payment::{DeclineReason, Operation, OperationKind, OperationState};
use crate::process::Step;

/// The answer to a capture. On an order that ended meanwhile the money goes back.
pub(super) fn capture_result(order: &Order, operation: &Operation, result: &PaymentResult) -> Decision {
    if result.key.attempt != operation.attempt {
        return Decision::unchanged(order.id);
    }
    let wanted = order.status == Status::Reserved;
    match &result.answer {
        PaymentAnswer::Succeeded { .. } => match operation.state {
            OperationState::Succeeded | OperationState::Refused => Decision::unchanged(order.id),
            _ if wanted => confirm(order, operation),
            _ if order.payment.authorization_open => captured_late(order),
            _ => attention::raise(order, Step::Capture, "the provider reports a capture of money it had let go of"),
        },
        PaymentAnswer::Refused { .. } | PaymentAnswer::Unknown if !operation.is_open() => Decision::unchanged(order.id),
        PaymentAnswer::Refused { reason } => refused(order, operation, *reason, wanted),
        PaymentAnswer::Unknown => authorize::unknown(order, operation),
    }
}

fn confirm(order: &Order, operation: &Operation) -> Decision {
    let done = Done { operation: operation.id, attempt: operation.attempt, amount_minor: operation.amount_minor };
    let mut events = vec![Event::PaymentCaptured(done), Event::OrderConfirmed(Empty {})];
    events.extend(track::catch_up(order));
    Decision::order(order.id, events).with_stock(reserve::sell(order))
}

/// The order ended while its capture was under way: record the money and give it back.
pub(super) fn captured_late(order: &Order) -> Decision {
    let Some(operation) = order.payment.last(OperationKind::Capture) else {
        return Decision::unchanged(order.id);
    };
    let done = Done { operation: operation.id, attempt: operation.attempt, amount_minor: operation.amount_minor };
    let mut events = vec![Event::PaymentCaptured(done)];
    // An order that cost nothing has nothing to give back.
    if operation.amount_minor > 0 {
        events.push(refund::request_event(order, operation.amount_minor, None));
    }
    Decision::order(order.id, events)
}

fn refused(order: &Order, operation: &Operation, reason: DeclineReason, wanted: bool) -> Decision {
    let attempt = operation.attempt;
    let mut events = Vec::with_capacity(4);
    let expired = reason == DeclineReason::AuthorizationExpired;
    if expired {
        let amount_minor = order.payment.held();
        events.push(Event::PaymentExpired(Done { operation: operation.id, attempt, amount_minor }));
    } else {
        events.push(Event::PaymentCaptureFailed(Refused { operation: operation.id, attempt, reason }));
    }
    if !wanted {
        return Decision::order(order.id, events);
    }
    let (released, stock) = reserve::release(order);
    events.extend(released);
    if !expired {
        events.extend(authorize::undo_authorize(order));
    }
    events.push(Event::OrderRejected(Rejected { reason: RejectReason::CaptureFailed }));
    Decision::order(order.id, events).with_stock(stock)
}
