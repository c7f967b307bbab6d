//! Asking a person, and what the person can answer.

use ordermill_core::event::{Event, Remedy};
use ordermill_core::input::{Body, MailResult};
use ordermill_core::limits::{ORDER_EVENTS_MAX, TEXT_CHARS_MAX};
use ordermill_core::mail::{MailKind, MailState};
use ordermill_core::order::Status;
use ordermill_core::parcel::ParcelStatus;
use ordermill_core::payment::{DeclineReason, OperationState};
use ordermill_core::process::{Role, Step};

use crate::support::mill::Mill;
use crate::support::provider::Mood;

fn give_up(mill: &mut Mill, order_id: ordermill_core::id::OrderId, step: Step) -> usize {
    mill.must(Body::GiveUp { order_id, step, reason: "no way".into() }).events.len()
}

#[test]
fn each_step_raises_it_once_until_it_is_cleared() {
    let (mut mill, id) = Mill::with_order();
    for _ in 0..2 {
        assert_eq!(give_up(&mut mill, id, Step::Reserve), 1);
        assert_eq!(give_up(&mut mill, id, Step::Archive), 1);
        assert_eq!(give_up(&mut mill, id, Step::Reserve), 0);
        assert_eq!(give_up(&mut mill, id, Step::Archive), 0, "a second step is not raised again and again");
        assert_eq!(mill.order(id).attention.as_ref().expect("raised").step, Step::Reserve);
        assert_eq!(mill.order(id).attention_steps, [Step::Reserve, Step::Archive]);
        mill.clear(id, Remedy::Retried).expect("it waits for a person");
        assert!(mill.order(id).attention.is_none() && mill.order(id).attention_steps.is_empty());
    }
    mill.settle();
    mill.assert_clean();
}

#[test]
fn a_retry_wakes_every_role_that_may_have_given_up() {
    use ordermill_core::event::EventType::OrderAttentionCleared;
    for role in [Role::Payments, Role::Inventory, Role::Notifications, Role::Archive] {
        assert!(role.reacts_to().contains(&OrderAttentionCleared), "{role:?} would never hear of a retry");
    }
}

#[test]
fn a_retry_sets_everything_going_that_is_stuck() {
    let (mut mill, id) = Mill::with_order();
    mill.drive(id, Status::Authorized);
    mill.cancel(id).expect("an authorized order can be cancelled");
    mill.ask(id, Mood::Refusing(DeclineReason::Declined));
    let result = MailResult::Failed { reason: "no such mailbox".into() };
    mill.must(Body::MailResult { order_id: id, kind: MailKind::Cancelled, version: 1, result });
    assert_eq!(mill.order(id).attention_steps, [Step::Void, Step::Notify]);
    mill.clear(id, Remedy::Retried).expect("it waits for a person");
    let order = mill.order(id);
    assert!(order.payment.operations.iter().all(|operation| operation.state != OperationState::Stuck));
    assert!(order.mails.iter().all(|mail| mail.state == MailState::Due));
    assert_eq!(mill.clear(id, Remedy::Retried).expect_err("nothing waits any more").code(), "no_attention");
    mill.settle();
    mill.assert_clean();
}

#[test]
fn an_undecided_order_is_retried_or_cancelled_but_not_resolved() {
    let (mut mill, id) = Mill::with_order();
    give_up(&mut mill, id, Step::Authorize);
    assert_eq!(mill.clear(id, Remedy::Resolved).expect_err("somebody has to decide it").code(), "not_resolvable");
    mill.cancel(id).expect("a placed order can be cancelled");
    mill.clear(id, Remedy::Resolved).expect("an ended order can be resolved");
}

#[test]
fn a_parcel_of_an_order_that_is_off_needs_a_person_once() {
    let (mut mill, id) = Mill::with_order();
    mill.cancel(id).expect("a placed order can be cancelled");
    let seen_at = mill.world.now;
    let moved = |status| Body::ParcelMoved { order_id: id, status, seen_at };
    assert_eq!(mill.must(moved(ParcelStatus::PickedUp)).events.len(), 2);
    assert_eq!(mill.must(moved(ParcelStatus::OutForDelivery)).events.len(), 1);
    assert_eq!(mill.status(id), Status::Cancelled, "the end stays");
    assert_eq!(mill.order(id).attention.as_ref().expect("raised").step, Step::Track);
    mill.settle();
    mill.assert_clean();
}

#[test]
fn an_order_that_is_confirmed_behind_its_parcel_catches_up() {
    for (seen, status) in [(ParcelStatus::PickedUp, Status::Shipped), (ParcelStatus::Delivered, Status::Delivered)] {
        let (mut mill, id) = Mill::with_order();
        mill.drive(id, Status::Reserved);
        let seen_at = mill.world.now;
        mill.must(Body::ParcelMoved { order_id: id, status: seen, seen_at });
        mill.settle();
        mill.assert_clean();
        assert_eq!(mill.status(id), status);
    }
}

#[test]
fn a_caller_that_loops_is_stopped_but_results_are_still_taken() {
    let (mut mill, id) = Mill::with_order();
    mill.drive(id, Status::Confirmed);
    mill.must(Body::Refund { order_id: id, amount_minor: Some(1), reason: "broken".into() });
    let order = mill.world.orders.get_mut(&id).expect("it was placed");
    order.version = ORDER_EVENTS_MAX;
    let facts = mill.world.clone();
    let decide = |body| {
        let input = ordermill_core::input::Input::new(body);
        ordermill_core::decide::decide(&facts, &input, &facts.policy, facts.now + facts.policy.shipping_budget)
    };
    let seen_at = facts.now;
    let asked = [
        Body::Refund { order_id: id, amount_minor: Some(1), reason: "again".into() },
        Body::ParcelMoved { order_id: id, status: ParcelStatus::PickedUp, seen_at },
        Body::ClearAttention { order_id: id, remedy: Remedy::Retried, note: None },
    ];
    for body in asked {
        assert_eq!(decide(body).expect_err("there were enough events").code(), "too_many_events");
    }
    let request = ordermill_core::payment::due_request(&facts.orders[&id]).expect("a refund is due");
    let answer = mill.provider.perform(&request, Mood::Willing);
    let result = ordermill_core::input::PaymentResult { key: request.key, answer };
    assert_eq!(decide(Body::PaymentResult(result)).expect("results are always taken").events.len(), 1);
    let deadline = decide(Body::CheckDeadline { order_id: id }).expect("deadlines are always taken");
    assert_eq!(deadline.events.len(), 1, "or the sweeper would come back for ever");
}

#[test]
fn texts_from_outside_are_cut() {
    let (mut mill, id) = Mill::with_order();
    let long = "ä".repeat(TEXT_CHARS_MAX + 1);
    let decision = mill.must(Body::GiveUp { order_id: id, step: Step::Reserve, reason: long.as_str().into() });
    let [Event::OrderAttention(raised)] = decision.events.as_slice() else { panic!("{decision:?}") };
    assert_eq!(raised.reason.chars().count(), TEXT_CHARS_MAX);
    let decision = mill.must(Body::Cancel { order_id: id, reason: long.into() });
    let Some(Event::OrderCancelled(cancelled)) = decision.events.last() else { panic!("{decision:?}") };
    assert_eq!(cancelled.reason.chars().count(), TEXT_CHARS_MAX);
}
