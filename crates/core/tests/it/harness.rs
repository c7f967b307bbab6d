//! Every row of the process table, exhaustively: each step repeated, each step failing in every way, each undo repeated, a failure
//! during each undo. After retries the slate is clean every time.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use ordermill_core::decide::Decision;
use ordermill_core::event::{Event, EventType, RecordReceived, SubjectKind};
use ordermill_core::id::OrderId;
use ordermill_core::input::{Body, MailResult, PaymentAnswer, PaymentResult, TakeRecord};
use ordermill_core::order::Status;
use ordermill_core::parcel::ParcelStatus;
use ordermill_core::payment::DeclineReason;
use ordermill_core::process::{Row, Step, TABLE};
use ordermill_core::record::Stored;
use serde_json::json;

use crate::support::mill::Mill;
use crate::support::provider::Mood;
use crate::support::{product, record_id};

/// How a step goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Success,
    Refused(DeclineReason),
    /// Asked and carried out, with the answer lost.
    AnswerLost,
    /// Asked, and lost on the way.
    RequestLost,
    Short,
    MailRefused,
    /// The role gave up.
    GivenUp,
}

const REASONS: [DeclineReason; 7] = [
    DeclineReason::Declined,
    DeclineReason::InsufficientFunds,
    DeclineReason::AuthorizationExpired,
    DeclineReason::Voided,
    DeclineReason::AlreadyCaptured,
    DeclineReason::NotFound,
    DeclineReason::Invalid,
];

fn failures(step: Step) -> Vec<Outcome> {
    match step {
        Step::Authorize | Step::Void | Step::Capture | Step::Refund => {
            let others = [Outcome::AnswerLost, Outcome::RequestLost, Outcome::GivenUp];
            REASONS.into_iter().map(Outcome::Refused).chain(others).collect()
        }
        Step::Reserve => vec![Outcome::Short, Outcome::GivenUp],
        Step::Notify => vec![Outcome::MailRefused, Outcome::GivenUp],
        Step::Sweep | Step::Track | Step::Archive => vec![Outcome::GivenUp],
        // A record waits for no person: what cannot be stored is a dead letter.
        Step::Store => Vec::new(),
    }
}

/// An order at which this step is due.
fn due(step: Step) -> (Mill, OrderId) {
    let (mut mill, id) = Mill::with_order();
    match step {
        Step::Authorize => {}
        Step::Reserve => mill.drive(id, Status::Authorized),
        Step::Capture => mill.drive(id, Status::Reserved),
        Step::Notify | Step::Track | Step::Archive => mill.drive(id, Status::Confirmed),
        Step::Store => {
            let received = RecordReceived { data: json!({"total": 7}), occurred_at: None, correlation_id: None };
            mill.must(Body::TakeRecord(Box::new(TakeRecord { record_id: record_id(1), received })));
        }
        Step::Sweep => {
            mill.drive(id, Status::Reserved);
            mill.later(SignedDuration::from_mins(16));
        }
        Step::Void => {
            mill.drive(id, Status::Reserved);
            mill.cancel(id).expect("a reserved order can be cancelled");
        }
        Step::Refund => {
            mill.drive(id, Status::Confirmed);
            mill.cancel(id).expect("a confirmed order can be cancelled");
        }
    }
    (mill, id)
}

/// What reaches the ledger when the step goes this way.
fn input(mill: &mut Mill, order_id: OrderId, step: Step, outcome: Outcome) -> Body {
    if outcome == Outcome::GivenUp {
        return Body::GiveUp { order_id, step, reason: "no way".into() };
    }
    match step {
        Step::Authorize | Step::Void | Step::Capture | Step::Refund => {
            let request = mill.send(order_id).expect("an operation is due");
            assert_eq!(Step::of_operation(request.key.operation.kind), step);
            let key = request.key;
            let unknown = PaymentResult { key, answer: PaymentAnswer::Unknown };
            Body::PaymentResult(match outcome {
                Outcome::Success => mill.arrive(&request, Mood::Willing),
                Outcome::Refused(reason) => mill.arrive(&request, Mood::Refusing(reason)),
                Outcome::AnswerLost => {
                    mill.arrive(&request, Mood::Willing);
                    unknown
                }
                _ => unknown,
            })
        }
        Step::Reserve => {
            if outcome == Outcome::Short {
                mill.must(Body::SetStock { product_id: product("tea"), available: 1, expected_version: None });
            }
            Body::Reserve { order_id }
        }
        Step::Sweep => Body::CheckDeadline { order_id },
        Step::Track => Body::ParcelMoved { order_id, status: ParcelStatus::PickedUp, seen_at: mill.world.now },
        Step::Store => Body::RecordStored {
            record_id: record_id(1),
            stored: Stored { key: "processed/1.json".into(), attempts: 1 },
        },
        Step::Archive => Body::Archived { order_id, version: mill.order(order_id).version },
        Step::Notify => {
            let mail = *mill.order(order_id).due_mails().next().expect("a mail is due");
            let result = match outcome {
                Outcome::MailRefused => MailResult::Failed { reason: "no such mailbox".into() },
                _ => MailResult::Sent { mailbox_end: None },
            };
            Body::MailResult { order_id, kind: mail.kind, version: mail.version, result }
        }
    }
}

/// The first time counts, and no other.
fn submit_twice(mill: &mut Mill, body: &Body) -> Decision {
    let first = mill.must(body.clone());
    assert!(!first.events.is_empty(), "{body:?} did nothing");
    if let Ok(second) = mill.submit(body.clone()) {
        assert!(second.events.is_empty() && second.stock.is_empty(), "{body:?} counted twice: {second:?}");
    }
    first
}

fn undos() -> impl Iterator<Item = (&'static Row, Step)> {
    TABLE.iter().filter_map(|row| Some((row, row.undo?)))
}

#[test]
fn every_step_repeated_counts_once() {
    for row in TABLE {
        let (mut mill, id) = due(row.step);
        let body = input(&mut mill, id, row.step, Outcome::Success);
        submit_twice(&mut mill, &body);
        mill.settle();
        mill.assert_clean();
    }
}

#[test]
fn every_step_failing_in_every_way_ends_clean() {
    for row in TABLE {
        for outcome in failures(row.step) {
            let (mut mill, id) = due(row.step);
            let body = input(&mut mill, id, row.step, outcome);
            submit_twice(&mut mill, &body);
            mill.settle();
            mill.assert_clean();
        }
    }
}

#[test]
fn every_step_that_never_gets_an_answer_is_given_to_a_person() {
    for step in [Step::Authorize, Step::Void, Step::Capture, Step::Refund] {
        for outcome in [Outcome::AnswerLost, Outcome::RequestLost] {
            let (mut mill, id) = due(step);
            let body = input(&mut mill, id, step, outcome);
            mill.must(body);
            mill.later(mill.world.policy.unknown_budget);
            let decision = mill.check_deadline(id);
            assert!(decision.events.iter().any(|event| event.kind() == EventType::OrderAttention), "{step:?}");
            assert_eq!(mill.order(id).attention.as_ref().map(|attention| attention.step), Some(step));
            mill.settle();
            mill.assert_clean();
        }
    }
}

#[test]
fn every_undo_repeated_counts_once() {
    for (row, undo) in undos() {
        let (mut mill, id) = due(undo);
        let body = input(&mut mill, id, undo, Outcome::Success);
        submit_twice(&mut mill, &body);
        if let Ok(again) = mill.cancel(id) {
            assert!(again.events.is_empty(), "{:?} is undone twice", row.step);
        }
        mill.settle();
        mill.assert_clean();
    }
}

#[test]
fn every_undo_failing_again_and_again_ends_clean() {
    for (_, undo) in undos() {
        for first in failures(undo) {
            for second in failures(undo) {
                let (mut mill, id) = due(undo);
                for outcome in [first, second] {
                    // The first failure may have ended the matter, as the provider was done with it.
                    let is_due = undo == Step::Sweep
                        || mill.send(id).is_some_and(|next| Step::of_operation(next.key.operation.kind) == undo);
                    if is_due {
                        let body = input(&mut mill, id, undo, outcome);
                        mill.must(body);
                    }
                    mill.clear(id, ordermill_core::event::Remedy::Retried).ok();
                }
                mill.settle();
                mill.assert_clean();
            }
        }
    }
}

/// Every step of one order fails in turn, one at a time and in pairs, along its whole way: confirmed, and cancelled then.
#[test]
fn failures_anywhere_along_the_way_end_clean() {
    let steps = [Step::Authorize, Step::Reserve, Step::Capture, Step::Refund];
    let ways: Vec<Vec<Outcome>> = steps.iter().map(|step| [vec![Outcome::Success], failures(*step)].concat()).collect();
    for authorize in &ways[0] {
        for reserve in &ways[1] {
            for capture in &ways[2] {
                for refund in &ways[3] {
                    let outcomes = [*authorize, *reserve, *capture, *refund];
                    if outcomes.iter().filter(|outcome| **outcome != Outcome::Success).count() <= 2 {
                        go_along(&steps, outcomes);
                    }
                }
            }
        }
    }
}

fn go_along(steps: &[Step; 4], outcomes: [Outcome; 4]) {
    let (mut mill, id) = Mill::with_order();
    for (step, outcome) in steps.iter().copied().zip(outcomes) {
        if step == Step::Refund {
            mill.cancel(id).ok();
        }
        let next = mill.send(id).map(|next| Step::of_operation(next.key.operation.kind));
        if next == Some(step) || (step == Step::Reserve && mill.status(id) == Status::Authorized) {
            let body = input(&mut mill, id, step, outcome);
            submit_twice(&mut mill, &body);
            // What is due again goes well the second time.
            mill.ask(id, Mood::Willing);
            mill.reserve(id);
        }
    }
    mill.settle();
    mill.assert_clean();
}

/// The table says what happens: no step records anything that its row does not name, and each row names nothing it never records.
#[test]
fn the_table_names_what_each_step_records() {
    let mut seen: BTreeMap<Step, BTreeSet<EventType>> = BTreeMap::new();
    let mut see = |step, events: &[Event]| seen.entry(step).or_default().extend(events.iter().map(Event::kind));
    for row in TABLE {
        for outcome in [vec![Outcome::Success], failures(row.step)].concat() {
            if outcome == Outcome::GivenUp {
                continue;
            }
            let (mut mill, id) = due(row.step);
            let body = input(&mut mill, id, row.step, outcome);
            see(row.step, &mill.must(body).events);
            // The same after the order was called off meanwhile.
            let (mut mill, id) = due(row.step);
            let body = input(&mut mill, id, row.step, outcome);
            if mill.cancel(id).is_ok() {
                see(row.step, &mill.submit(body).map(|decision| decision.events).unwrap_or_default());
            }
        }
    }
    see_the_clock(&mut see);
    let (mut mill, id) = due(Step::Track);
    let seen_at = mill.world.now;
    see(Step::Track, &mill.must(Body::ParcelMoved { order_id: id, status: ParcelStatus::Delivered, seen_at }).events);
    let (mut mill, id) = due(Step::Notify);
    let mail = *mill.order(id).due_mails().next().expect("a mail is due");
    let (kind, version, result) = (mail.kind, mail.version, MailResult::Skipped);
    see(Step::Notify, &mill.must(Body::MailResult { order_id: id, kind, version, result }).events);
    for row in TABLE {
        let named: BTreeSet<EventType> = row.success.iter().chain(row.failure).copied().collect();
        assert_eq!(seen[&row.step], named, "{:?}: what is recorded, and what the table names", row.step);
    }
}

fn see_the_clock(see: &mut impl FnMut(Step, &[Event])) {
    let (mut mill, id) = Mill::with_order();
    mill.lose(id);
    mill.later(mill.world.policy.undecided_budget);
    see(Step::Sweep, &mill.check_deadline(id).events);
}

/// An event after which nobody acts is none that anybody waits for: each undo that is asked for, each retry, reaches its role.
#[test]
fn every_step_is_woken_by_what_makes_it_due() {
    for (asked, step) in [
        (EventType::OrderPlaced, Step::Authorize),
        (EventType::PaymentAuthorized, Step::Reserve),
        (EventType::InventoryReserved, Step::Capture),
        (EventType::PaymentVoidRequested, Step::Void),
        (EventType::PaymentRefundRequested, Step::Refund),
        (EventType::TrackingMoved, Step::Track),
        (EventType::RecordReceived, Step::Store),
    ] {
        assert!(step.row().reacts_to.contains(&asked), "{step:?} does not hear of {}", asked.name());
    }
    // The archive hears of every commit that changes a decided order. These come only with another that it hears of, or while
    // the order is undecided; its own is no news.
    let silent = [
        EventType::OrderPlaced,
        EventType::PaymentAuthorized,
        EventType::InventoryReserved,
        EventType::InventoryRejected,
        EventType::InventoryExpired,
        EventType::InventoryReleased,
        EventType::PaymentCaptured,
        EventType::PaymentVoidFailed,
        EventType::PaymentRefundFailed,
        EventType::OrderArchived,
    ];
    for kind in EventType::ALL {
        let hears = Step::Archive.row().reacts_to.contains(kind);
        let is_news = kind.subject_kind() == SubjectKind::Order && !silent.contains(kind);
        assert_eq!(hears, is_news, "{}", kind.name());
    }
}
