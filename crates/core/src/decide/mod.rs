//! The business: one pure function from facts and an input to what happens.
//!
//! One file per step, the action and its undo in the same file. Every function here only reads; the ledger commits what it gets.

mod archive;
mod attention;
mod authorize;
mod cancel;
mod capture;
mod catalogue;
mod customer;
mod deadline;
mod notify;
mod place;
mod record;
mod refund;
mod reserve;
mod track;

use crate::Timestamp;
use crate::event::{Event, Subject};
use crate::facts::Facts;
use crate::id::{IdempotencyKey, OrderId};
use crate::idempotency::{Answer, Record};
use crate::input::{Body, Input, PaymentResult};
use crate::limits::ORDER_EVENTS_MAX;
use crate::order::Order;
use crate::parcel::Verdict;
use crate::payment::OperationKind;
use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::stock::StockChange;

/// What happens because of one input. The ledger commits all of it, or none.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// What the events are about; `None` when nothing happens to anything.
    pub subject: Option<Subject>,
    /// The events, in order. Empty when the input changes nothing, for instance as it came before.
    pub events: Vec<Event>,
    /// The changes of stock, in the order of product ids.
    pub stock: Vec<StockChange>,
    /// The idempotency record to keep. Also beside a [`replay`](Self#structfield.replay): a key that came with a known order reference is used
    /// from then on.
    pub record: Option<(IdempotencyKey, Record)>,
    /// The first answer to this key or order reference, when the input came before.
    pub replay: Option<Answer>,
    /// What came of a carrier's report.
    pub verdict: Option<Verdict>,
}

impl Decision {
    /// Nothing happens.
    const NOTHING: Self =
        Self { subject: None, events: Vec::new(), stock: Vec::new(), record: None, replay: None, verdict: None };

    fn order(order_id: OrderId, events: Vec<Event>) -> Self {
        Self { subject: Some(Subject::Order(order_id)), events, ..Self::NOTHING }
    }

    fn about(subject: Subject, events: Vec<Event>) -> Self {
        Self { subject: Some(subject), events, ..Self::NOTHING }
    }

    fn unchanged(order_id: OrderId) -> Self {
        Self::order(order_id, Vec::new())
    }

    fn replay(answer: Answer) -> Self {
        Self { replay: Some(answer), ..Self::NOTHING }
    }

    fn with_stock(mut self, stock: Vec<StockChange>) -> Self {
        self.stock = stock;
        self
    }
}

/// Decides one input.
///
/// # Errors
/// A [`Refusal`] when the input is not possible; then nothing happens.
pub fn decide(facts: &impl Facts, input: &Input, policy: &Policy, now: Timestamp) -> Result<Decision, Refusal> {
    if let Some(key) = &input.key
        && let Some(record) = facts.idempotency(&key.key)
    {
        return if record.fingerprint == key.fingerprint {
            Ok(Decision::replay(record.answer.clone()))
        } else {
            Err(Refusal::IdempotencyKeyReused)
        };
    }
    let mut decision = dispatch(facts, input, policy, now)?;
    if let Some(key) = &input.key
        && let Some(answer) = decision.replay.clone().or_else(|| first_answer(facts, &decision))
    {
        let expires_at = now.saturating_add(policy.idempotency_ttl).unwrap_or(Timestamp::MAX);
        decision.record = Some((key.key.clone(), Record { fingerprint: key.fingerprint, answer, expires_at }));
    }
    Ok(decision)
}

fn dispatch(facts: &impl Facts, input: &Input, policy: &Policy, now: Timestamp) -> Result<Decision, Refusal> {
    let order = match input.body.order_id() {
        Some(order_id) => match facts.order(order_id) {
            Some(order) if order.version >= ORDER_EVENTS_MAX && is_repeatable(&input.body) => {
                return Err(Refusal::TooManyEvents);
            }
            Some(order) => order,
            None => return Err(Refusal::OrderNotFound { order_id }),
        },
        None => return without_order(facts, input),
    };
    match &input.body {
        Body::PaymentResult(result) => Ok(payment_result(order, result)),
        Body::Reserve { .. } => Ok(reserve::reserve(facts, order, policy, now)),
        Body::Cancel { reason, .. } => cancel::cancel(order, reason),
        Body::CancelUnpaid { reason, .. } => cancel::cancel_unpaid(order, reason),
        Body::Refund { amount_minor, reason, .. } => refund::request(order, *amount_minor, reason),
        Body::Return { lines, restock, .. } => refund::return_goods(order, lines, *restock),
        Body::ParcelMoved { status, seen_at, .. } => track::parcel_moved(order, *status, *seen_at),
        Body::MailResult { kind, version, result, .. } => Ok(notify::mail_result(order, *kind, *version, result)),
        Body::Archived { version, .. } => Ok(archive::archived(order, *version)),
        Body::GiveUp { step, reason, .. } => Ok(attention::raise(order, *step, reason)),
        Body::ClearAttention { remedy, note, .. } => attention::clear(order, *remedy, note.as_deref()),
        Body::CheckDeadline { .. } => Ok(deadline::check(order, policy, now)),
        // They name no order, so they are dealt with above. Listed, so that a new kind of input is not forgotten here.
        Body::Place(_)
        | Body::PutProduct(_)
        | Body::SetStock { .. }
        | Body::AdjustStock { .. }
        | Body::DeleteProduct { .. }
        | Body::PutCustomer(_)
        | Body::DeleteCustomer { .. }
        | Body::Track(_)
        | Body::TakeRecord(_)
        | Body::RecordStored { .. }
        | Body::Nothing => without_order(facts, input),
    }
}

/// What callers can ask of one order without end. What follows by itself (results, deadlines, acknowledgements) is always taken: money
/// would be lost otherwise, and each is bounded by what was asked.
const fn is_repeatable(body: &Body) -> bool {
    matches!(body, Body::Refund { .. } | Body::Return { .. } | Body::ParcelMoved { .. } | Body::ClearAttention { .. })
}

fn without_order(facts: &impl Facts, input: &Input) -> Result<Decision, Refusal> {
    match &input.body {
        Body::Place(request) => place::place(facts, request, input.key.as_ref().map(|key| key.fingerprint)),
        Body::PutProduct(put) => catalogue::put_product(facts, put),
        Body::SetStock { product_id, available, expected_version } => {
            catalogue::set_stock(facts, product_id, *available, *expected_version)
        }
        Body::AdjustStock { product_id, delta, reason, expected_version } => {
            catalogue::adjust_stock(facts, product_id, *delta, reason, *expected_version)
        }
        Body::DeleteProduct { product_id, expected_version } => {
            catalogue::delete_product(facts, product_id, *expected_version)
        }
        Body::PutCustomer(put) => customer::put(facts, put),
        Body::DeleteCustomer { customer_id, expected_version } => {
            customer::delete(facts, customer_id, *expected_version)
        }
        Body::Track(report) => Ok(track::report(facts, report)),
        Body::TakeRecord(take) => Ok(record::take(facts, take)),
        Body::RecordStored { record_id, stored } => record::stored(facts, *record_id, stored),
        _ => Ok(Decision::NOTHING),
    }
}

fn payment_result(order: &Order, result: &PaymentResult) -> Decision {
    let Some(operation) = order.payment.operation(result.key.operation) else {
        return Decision::unchanged(order.id);
    };
    match operation.id.kind {
        OperationKind::Authorize => authorize::authorize_result(order, operation, result),
        OperationKind::Void => authorize::void_result(order, operation, result),
        OperationKind::Capture => capture::capture_result(order, operation, result),
        OperationKind::Refund => refund::refund_result(order, operation, result),
    }
}

/// What a key is answered with from now on.
fn first_answer(facts: &impl Facts, decision: &Decision) -> Option<Answer> {
    match decision.subject.as_ref()? {
        Subject::Order(order_id) => Some(Answer::Order(*order_id)),
        Subject::Product(product_id) => {
            let change = decision.stock.first()?;
            let mut level =
                facts.stock(product_id).cloned().unwrap_or_else(|| crate::stock::StockLevel::none(product_id.clone()));
            level.apply(change);
            Some(Answer::Stock(level))
        }
        Subject::Record(record_id) => Some(Answer::Record(*record_id)),
        // Naturally repeatable: the same content again changes nothing.
        Subject::Customer(_) | Subject::Parcel(_) => None,
    }
}
