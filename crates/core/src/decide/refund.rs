//! Giving money back, and taking goods back.

use crate::decide::{Decision, attention, authorize};
use crate::event::{Done, Event, Refused, Requested, Returned, ReturnedLine};
use crate::id::{ProductId, clip_text};
use crate::input::{PaymentAnswer, PaymentResult};
use crate::limits::{ORDER_REFUNDS_MAX, TEXT_CHARS_MAX};
use crate::order::{Order, Status};
use crate::payment::{Operation, OperationKind, OperationState};
use crate::process::Step;
use crate::refusal::Refusal;
use crate::stock::StockChange;

/// A refund asked for by a person: never more than was captured, with what is under way counted.
pub(super) fn request(order: &Order, amount_minor: Option<i64>, reason: &str) -> Result<Decision, Refusal> {
    let refundable = refundable(order);
    let amount_minor = amount_minor.unwrap_or(refundable);
    if amount_minor <= 0 || amount_minor > refundable {
        let (requested, refundable) = (order.money(amount_minor), order.money(refundable));
        return Err(Refusal::RefundTooLarge { requested, refundable });
    }
    let refunds = order.payment.operations.iter().filter(|operation| operation.id.kind == OperationKind::Refund);
    if refunds.count() >= ORDER_REFUNDS_MAX {
        return Err(Refusal::TooManyRefunds);
    }
    Ok(Decision::order(order.id, vec![request_event(order, amount_minor, Some(reason))]))
}

/// What can still be given back, in minor units.
pub(super) fn refundable(order: &Order) -> i64 {
    order.payment.kept() - order.payment.refunds_pending()
}

/// The undo of capture.
pub(super) fn request_event(order: &Order, amount_minor: i64, reason: Option<&str>) -> Event {
    let operation = order.payment.next_id(OperationKind::Refund);
    Event::PaymentRefundRequested(Requested {
        operation,
        amount_minor,
        reason: reason.map(|reason| clip_text(reason, TEXT_CHARS_MAX)),
    })
}

/// The answer to a refund. That the money went back is taken also where a person had resolved the refund: its amount was kept for it.
pub(super) fn refund_result(order: &Order, operation: &Operation, result: &PaymentResult) -> Decision {
    let attempt = result.key.attempt;
    let answered = matches!(operation.state, OperationState::Succeeded | OperationState::Refused);
    if answered || attempt != operation.attempt {
        return Decision::unchanged(order.id);
    }
    match &result.answer {
        PaymentAnswer::Succeeded { .. } => {
            let done = Done { operation: operation.id, attempt, amount_minor: operation.amount_minor };
            Decision::order(order.id, vec![Event::PaymentRefunded(done)])
        }
        // Heard before, or resolved by a person.
        PaymentAnswer::Refused { .. } if operation.refused || !operation.is_open() => Decision::unchanged(order.id),
        PaymentAnswer::Refused { reason } => {
            let refused = Refused { operation: operation.id, attempt, reason: *reason };
            let attention = attention::event(Step::Refund, reason.as_str());
            Decision::order(order.id, vec![Event::PaymentRefundFailed(refused), attention])
        }
        PaymentAnswer::Unknown => authorize::unknown(order, operation),
    }
}

/// Goods came back: never more than was bought. They go into stock where asked.
pub(super) fn return_goods(order: &Order, lines: &[ReturnedLine], restock: bool) -> Result<Decision, Refusal> {
    if !matches!(order.status, Status::Shipped | Status::Delivered) {
        return Err(Refusal::NotReturnable { status: order.status });
    }
    if lines.is_empty() {
        return Ok(Decision::unchanged(order.id));
    }
    // Before lines of one product are added up: a negative one must not hide among others.
    if let Some(line) = lines.iter().find(|line| line.quantity < 1) {
        let (product_id, requested) = (line.product_id.clone(), line.quantity);
        return Err(Refusal::ReturnTooLarge { requested, returnable: returnable(order, &product_id), product_id });
    }
    let mut returned: Vec<ReturnedLine> = lines.to_vec();
    returned.sort_unstable_by(|a, b| a.product_id.cmp(&b.product_id));
    returned.dedup_by(|next, kept| {
        let same = next.product_id == kept.product_id;
        if same {
            kept.quantity = kept.quantity.saturating_add(next.quantity);
        }
        same
    });
    for line in &returned {
        let returnable = returnable(order, &line.product_id);
        if line.quantity > returnable {
            let product_id = line.product_id.clone();
            return Err(Refusal::ReturnTooLarge { product_id, requested: line.quantity, returnable });
        }
    }
    let before: i64 = order.returned.iter().map(|line| line.quantity).sum();
    let now: i64 = returned.iter().map(|line| line.quantity).sum();
    let complete = before + now == order.units().iter().map(|(_, units)| units).sum::<i64>();
    let stock = if restock { returned.iter().map(restocked).collect() } else { Vec::new() };
    let event = Event::OrderReturned(Returned { lines: returned, restocked: restock, complete });
    Ok(Decision::order(order.id, vec![event]).with_stock(stock))
}

/// Units of a product that were bought and have not come back.
fn returnable(order: &Order, product_id: &ProductId) -> i64 {
    let bought = order.placement.lines.iter().filter(|line| &line.product_id == product_id).map(|line| line.quantity);
    let back = order.returned.iter().filter(|line| &line.product_id == product_id).map(|line| line.quantity);
    bought.sum::<i64>() - back.sum::<i64>()
}

/// Returned units are counted as sold still: they came back as new stock, beside the opening and the adjustments.
fn restocked(line: &ReturnedLine) -> StockChange {
    StockChange { product_id: line.product_id.clone(), available: line.quantity, reserved: 0, sold: 0 }
}
