//! What the clock decides: everything that is over is dealt with in one look, and what was dealt with does not come back.

use jiff::SignedDuration;
use ordermill_core::event::{Event, EventType, Remedy};
use ordermill_core::id::OrderId;
use ordermill_core::input::{Body, PaymentAnswer, PaymentResult};
use ordermill_core::order::Status;
use ordermill_core::payment::{OperationKind, PaymentKey, due_request};
use ordermill_core::process::Step;

use crate::support::mill::Mill;
use crate::support::operation;

fn kinds(events: &[Event]) -> Vec<EventType> {
    events.iter().map(Event::kind).collect()
}

fn assert_nothing_is_over(mill: &mut Mill, id: OrderId) {
    let deadline = mill.order(id).deadline(&mill.world.policy);
    assert!(deadline.is_none_or(|deadline| deadline > mill.world.now), "{deadline:?}");
    assert!(mill.check_deadline(id).events.is_empty());
}

#[test]
fn a_reservation_and_an_answer_that_are_both_over_are_dealt_with_in_one_look() {
    let (mut mill, id) = Mill::with_order();
    mill.drive(id, Status::Reserved);
    mill.lose(id);
    mill.later(mill.world.policy.reservation_ttl);
    let expected = [
        EventType::InventoryExpired,
        EventType::PaymentVoidRequested,
        EventType::OrderRejected,
        EventType::OrderAttention,
    ];
    assert_eq!(kinds(&mill.check_deadline(id).events), expected);
    assert_nothing_is_over(&mut mill, id);
    let due = due_request(mill.order(id)).expect("the void does not wait for the person");
    assert_eq!(due.key.operation.kind, OperationKind::Void);
    mill.settle();
    mill.assert_clean();
}

#[test]
fn a_step_is_given_to_a_person_once_however_many_answers_are_missing() {
    let (mut mill, id) = Mill::with_order();
    mill.drive(id, Status::Confirmed);
    for amount_minor in [500, 700] {
        mill.must(Body::Refund { order_id: id, amount_minor: Some(amount_minor), reason: "broken".into() });
    }
    for number in [1, 2] {
        let key = PaymentKey { order_id: id, operation: operation(OperationKind::Refund, number), attempt: 1 };
        mill.must(Body::PaymentResult(PaymentResult { key, answer: PaymentAnswer::Unknown }));
    }
    mill.later(mill.world.policy.unknown_budget);
    assert_eq!(kinds(&mill.check_deadline(id).events), [EventType::OrderAttention]);
    assert_eq!(mill.order(id).attention_steps, [Step::Refund]);
    assert_nothing_is_over(&mut mill, id);
    mill.settle();
    mill.assert_clean();
}

#[test]
fn a_retry_begins_the_time_for_an_answer_anew() {
    let (mut mill, id) = Mill::with_order();
    mill.lose(id);
    for _ in 0..3 {
        mill.later(mill.world.policy.unknown_budget);
        assert!(kinds(&mill.check_deadline(id).events).contains(&EventType::OrderAttention));
        assert_nothing_is_over(&mut mill, id);
        assert!(due_request(mill.order(id)).is_none(), "what a person was given is not asked any more");
        mill.clear(id, Remedy::Retried).expect("it waits for a person");
        let due = due_request(mill.order(id)).expect("it goes on");
        assert_eq!((due.key.attempt, due.unresolved), (1, true), "under the same key, as it was never refused");
        assert_nothing_is_over(&mut mill, id);
    }
    mill.settle();
    mill.assert_clean();
}

#[test]
fn every_state_that_lasts_too_long_is_reported_once() {
    let (mut mill, id) = Mill::with_order();
    for (status, budget) in [
        (Status::Placed, mill.world.policy.undecided_budget),
        (Status::Confirmed, mill.world.policy.shipping_budget),
        (Status::Shipped, mill.world.policy.delivery_budget),
    ] {
        if status == Status::Shipped {
            let (order_id, seen_at) = (id, mill.world.now);
            let status = ordermill_core::parcel::ParcelStatus::PickedUp;
            mill.must(Body::ParcelMoved { order_id, status, seen_at });
        } else {
            mill.drive(id, status);
        }
        mill.later(budget - SignedDuration::from_nanos(1));
        assert_nothing_is_over(&mut mill, id);
        mill.later(SignedDuration::from_nanos(1));
        assert_eq!(kinds(&mill.check_deadline(id).events), [EventType::OrderOverdue], "{status:?}");
        assert_nothing_is_over(&mut mill, id);
    }
    mill.settle();
    mill.assert_clean();
}
