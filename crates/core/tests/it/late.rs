//! Answers of the provider that come late, twice, or after a person has dealt with the matter.

use jiff::SignedDuration;
use ordermill_core::event::{Event, EventType, Remedy};
use ordermill_core::input::{Admission, Body, PaymentAnswer, PaymentResult};
use ordermill_core::money::{Currency, Money};
use ordermill_core::order::{RejectReason, Status};
use ordermill_core::payment::{DeclineReason, OperationKind, OperationState, PaymentKey, due_request};
use ordermill_core::process::Step;

use crate::support::mill::Mill;
use crate::support::provider::{Hold, Mood};
use crate::support::{operation, order_id, request};

fn success() -> PaymentAnswer {
    PaymentAnswer::Succeeded { provider_ref: "psp-1".parse().expect("a valid reference") }
}

const fn refused(reason: DeclineReason) -> PaymentAnswer {
    PaymentAnswer::Refused { reason }
}

fn kinds(events: &[Event]) -> Vec<EventType> {
    events.iter().map(Event::kind).collect()
}

/// Long enough for every answer to be given up.
const PAST_UNKNOWN_BUDGET: SignedDuration = SignedDuration::from_mins(11);

#[test]
fn an_order_rejected_as_it_is_placed_asks_nothing_of_the_provider() {
    let mut mill = Mill::new(&[("tea", 1000, 10)]);
    let mut unpaid = request(1, &[("tea", 1), ("unknown", 1)]);
    unpaid.admission = Admission::Reject;
    let id = mill.place(unpaid);
    let order = mill.order(id);
    assert_eq!((order.status, order.reject_reason), (Status::Rejected, Some(RejectReason::UnknownProduct)));
    assert!(due_request(order).is_none(), "nothing was asked of the provider, so nothing has to be found out");
    mill.settle();
    mill.assert_clean();
    assert_eq!(mill.provider.account(id).hold, Hold::Nothing);
}

#[test]
fn an_authorization_that_comes_after_the_cancel_is_voided() {
    let (mut mill, id) = Mill::with_order();
    let asked = mill.send(id).expect("authorize is due");
    mill.cancel(id).expect("a placed order can be cancelled");
    let late = mill.arrive(&asked, Mood::Willing);
    let decision = mill.must(Body::PaymentResult(late));
    assert_eq!(kinds(&decision.events), [EventType::PaymentAuthorized, EventType::PaymentVoidRequested]);
    mill.settle();
    mill.assert_clean();
    assert_eq!(mill.provider.account(id).hold, Hold::Voided);
}

#[test]
fn an_authorization_that_a_person_had_resolved_is_taken_and_voided_all_the_same() {
    let (mut mill, id) = Mill::with_order();
    let asked = mill.lose(id);
    mill.cancel(id).expect("a placed order can be cancelled");
    mill.later(PAST_UNKNOWN_BUDGET);
    mill.check_deadline(id);
    mill.clear(id, Remedy::Resolved).expect("an ended order can be resolved");
    let late = mill.arrive(&asked, Mood::Willing);
    let decision = mill.must(Body::PaymentResult(late));
    assert_eq!(kinds(&decision.events), [EventType::PaymentAuthorized, EventType::PaymentVoidRequested]);
    mill.resolved.clear();
    mill.settle();
    mill.assert_clean();
}

#[test]
fn a_void_that_a_person_had_resolved_is_recorded_when_it_happens() {
    let (mut mill, id) = Mill::with_order();
    mill.drive(id, Status::Authorized);
    mill.cancel(id).expect("an authorized order can be cancelled");
    let asked = mill.lose(id);
    mill.later(PAST_UNKNOWN_BUDGET);
    mill.check_deadline(id);
    mill.clear(id, Remedy::Resolved).expect("an ended order can be resolved");
    let late = mill.arrive(&asked, Mood::Willing);
    assert_eq!(kinds(&mill.must(Body::PaymentResult(late.clone())).events), [EventType::PaymentVoided]);
    assert!(mill.must(Body::PaymentResult(late)).events.is_empty());
    mill.resolved.clear();
    mill.settle();
    mill.assert_clean();
}

#[test]
fn a_refused_undo_is_heard_once_per_attempt() {
    for (cancelled_at, undo) in [(Status::Authorized, OperationKind::Void), (Status::Confirmed, OperationKind::Refund)]
    {
        let (mut mill, id) = Mill::with_order();
        mill.drive(id, cancelled_at);
        mill.cancel(id).expect("it is not shipped");
        let operation = operation(undo, 1);
        assert_eq!(mill.report(id, operation, refused(DeclineReason::Declined)).events.len(), 2);
        assert!(mill.report(id, operation, refused(DeclineReason::Declined)).events.is_empty(), "{undo:?}");
        let stale = PaymentKey { order_id: id, operation, attempt: 1 };
        mill.clear(id, Remedy::Retried).expect("it is stuck");
        assert_eq!(mill.order(id).payment.operation(operation).expect("it was asked").attempt, 2);
        let again = PaymentResult { key: stale, answer: refused(DeclineReason::Declined) };
        assert!(mill.must(Body::PaymentResult(again)).events.is_empty(), "an answer to the attempt before is stale");
        mill.settle();
        mill.assert_clean();
    }
}

#[test]
fn a_missing_void_is_moot_once_the_capture_is_known_to_have_won() {
    let (mut mill, id) = Mill::with_order();
    mill.drive(id, Status::Reserved);
    let capture = mill.send(id).expect("capture is due");
    mill.cancel(id).expect("a reserved order can be cancelled");
    mill.arrive(&capture, Mood::Willing);
    let void = mill.lose(id);
    assert_eq!(void.key.operation.kind, OperationKind::Void);
    let late = mill.answers.clone();
    for result in late {
        mill.must(Body::PaymentResult(result));
    }
    let void = mill.arrive(&void, Mood::Willing);
    assert_eq!(void.answer, refused(DeclineReason::AlreadyCaptured));
    assert!(mill.must(Body::PaymentResult(void)).events.is_empty(), "nobody has to be asked about it");
    assert!(mill.order(id).attention.is_none());
    mill.settle();
    mill.assert_clean();
    assert_eq!(mill.order(id).payment.refunded, 2000);
}

#[test]
fn a_void_finds_out_that_the_capture_won() {
    let (mut mill, id) = Mill::with_order();
    mill.drive(id, Status::Reserved);
    let capture = mill.send(id).expect("capture is due");
    mill.arrive(&capture, Mood::Willing);
    mill.cancel(id).expect("a reserved order can be cancelled");
    let decision = mill.ask(id, Mood::Willing).expect("void is due");
    assert_eq!(kinds(&decision.events), [EventType::PaymentCaptured, EventType::PaymentRefundRequested]);
    mill.settle();
    mill.assert_clean();
}

#[test]
fn a_capture_nobody_asked_for_is_shown_to_a_person_instead_of_asked_for_ever() {
    let (mut mill, id) = Mill::with_order();
    mill.drive(id, Status::Authorized);
    mill.cancel(id).expect("an authorized order can be cancelled");
    let decision = mill.report(id, operation(OperationKind::Void, 1), refused(DeclineReason::AlreadyCaptured));
    assert_eq!(kinds(&decision.events), [EventType::PaymentVoidFailed, EventType::OrderAttention]);
    assert!(due_request(mill.order(id)).is_none());
}

#[test]
fn a_void_that_worked_closes_a_capture_that_was_given_up() {
    let (mut mill, id) = Mill::with_order();
    mill.drive(id, Status::Reserved);
    mill.lose(id);
    mill.cancel(id).expect("a reserved order can be cancelled");
    let due = due_request(mill.order(id)).expect("the capture is followed up");
    assert_eq!(due.key.operation.kind, OperationKind::Capture, "unknown is resolved before anything else");
    mill.later(PAST_UNKNOWN_BUDGET);
    mill.check_deadline(id);
    let decision = mill.ask(id, Mood::Willing).expect("void is due");
    assert_eq!(kinds(&decision.events), [EventType::PaymentVoided]);
    let capture = mill.order(id).payment.last(OperationKind::Capture).expect("it was asked for");
    assert_eq!(capture.state, OperationState::Superseded);
    mill.settle();
    mill.assert_clean();
}

#[test]
fn a_capture_of_money_that_was_let_go_of_is_shown_to_a_person_once() {
    let (mut mill, id) = Mill::with_order();
    mill.drive(id, Status::Reserved);
    mill.cancel(id).expect("a reserved order can be cancelled");
    mill.report(id, operation(OperationKind::Void, 1), success());
    let capture = operation(OperationKind::Capture, 1);
    assert_eq!(kinds(&mill.report(id, capture, success()).events), [EventType::OrderAttention]);
    assert!(mill.report(id, capture, success()).events.is_empty());
    assert_eq!(mill.order(id).attention.as_ref().expect("it was raised").step, Step::Capture);
}

#[test]
fn an_order_that_costs_nothing_goes_the_same_way() {
    for cancel_at in [Status::Placed, Status::Authorized, Status::Reserved, Status::Confirmed] {
        let mut mill = Mill::new(&[("sample", 0, 5)]);
        let id = mill.place(request(1, &[("sample", 1)]));
        mill.drive(id, cancel_at);
        let asked = mill.send(id);
        mill.cancel(id).expect("it is not shipped");
        if let Some(request) = asked {
            mill.arrive(&request, Mood::Willing);
        }
        mill.settle();
        mill.assert_clean();
        let refund = mill.order(id).payment.last(OperationKind::Refund);
        assert!(refund.is_none(), "nothing is not refunded");
        assert!(mill.submit(Body::Refund { order_id: id, amount_minor: None, reason: "none".into() }).is_err());
    }
}

#[test]
fn a_refund_that_a_person_dealt_with_is_not_given_twice() {
    let (mut mill, id) = Mill::with_order();
    mill.drive(id, Status::Confirmed);
    let refund = |amount_minor| Body::Refund { order_id: id, amount_minor, reason: "broken".into() };
    mill.must(refund(Some(1500)));
    let asked = mill.lose(id);
    mill.later(PAST_UNKNOWN_BUDGET);
    mill.check_deadline(id);
    mill.clear(id, Remedy::Resolved).expect("a confirmed order can be resolved");
    assert_eq!(mill.submit(refund(Some(501))).expect_err("500 is left").code(), "refund_too_large");
    mill.must(refund(None));
    assert_eq!(mill.order(id).payment.last(OperationKind::Refund).expect("asked").amount_minor, 500);
    let late = mill.arrive(&asked, Mood::Willing);
    assert_eq!(kinds(&mill.must(Body::PaymentResult(late)).events), [EventType::PaymentRefunded]);
    mill.resolved.clear();
    mill.settle();
    mill.assert_clean();
    assert_eq!(mill.order(id).payment.refunded, 2000);
}

#[test]
fn a_cancel_gives_back_what_earlier_refunds_left() {
    let (mut mill, id) = Mill::with_order();
    mill.drive(id, Status::Confirmed);
    mill.must(Body::Refund { order_id: id, amount_minor: Some(300), reason: "late".into() });
    mill.ask(id, Mood::Willing);
    mill.must(Body::Refund { order_id: id, amount_minor: Some(200), reason: "later".into() });
    mill.cancel(id).expect("it is not shipped");
    assert_eq!(mill.order(id).payment.last(OperationKind::Refund).expect("asked").amount_minor, 1500);
    mill.settle();
    mill.assert_clean();
}

#[test]
fn a_hold_that_ran_out_is_found_out_by_the_void() {
    let (mut mill, id) = Mill::with_order();
    mill.drive(id, Status::Authorized);
    mill.provider.expire(id);
    mill.cancel(id).expect("an authorized order can be cancelled");
    mill.settle();
    mill.assert_clean();
    assert_eq!(mill.order(id).payment.expired, 2000);
}

#[test]
fn a_hold_that_ran_out_before_the_capture_rejects_the_order() {
    let (mut mill, id) = Mill::with_order();
    mill.drive(id, Status::Reserved);
    mill.provider.expire(id);
    let decision = mill.ask(id, Mood::Willing).expect("capture is due");
    let expected = [EventType::PaymentExpired, EventType::InventoryReleased, EventType::OrderRejected];
    assert_eq!(kinds(&decision.events), expected);
    mill.settle();
    mill.assert_clean();
}

#[test]
fn money_is_written_the_largest_way_it_can_be() {
    let mut mill = Mill::new(&[]);
    let price = Money { amount_minor: 1_000_000_000, currency: Currency::USD };
    mill.must(Body::PutProduct(crate::support::world::put_product("gold", price, Some(1_000_000))));
    let id = mill.place(request(1, &[("gold", 1_000_000)]));
    mill.settle();
    mill.assert_clean();
    assert_eq!(mill.order(id).payment.captured, 1_000_000_000_000_000);
    assert_eq!(mill.order(order_id(1)).status, Status::Confirmed);
}
