//! Calling an order off unless its money is taken: at every step of the way, and whatever is under way then.

use ordermill_core::event::EventType;
use ordermill_core::id::OrderId;
use ordermill_core::input::Body;
use ordermill_core::order::Status;
use ordermill_core::payment::{DeclineReason, OperationKind};
use ordermill_core::refusal::Refusal;

use crate::support::mill::Mill;
use crate::support::operation;
use crate::support::provider::{Hold, Mood};

fn cancel_unpaid(order_id: OrderId) -> Body {
    Body::CancelUnpaid { order_id, reason: "sync_timeout".into() }
}

/// Gives up on the order; the answer says what became of it, and asking again changes nothing.
fn give_up(mill: &mut Mill, order_id: OrderId) -> bool {
    let before = mill.order(order_id).clone();
    let answer = mill.submit(cancel_unpaid(order_id));
    match answer {
        Ok(_) => {
            assert_eq!(mill.status(order_id), Status::Cancelled);
            let again = mill.must(cancel_unpaid(order_id));
            assert!(again.events.is_empty() && again.stock.is_empty());
            true
        }
        Err(refusal) => {
            assert_eq!(refusal, Refusal::NotCancellable { status: before.status });
            assert_eq!(*mill.order(order_id), before, "a refusal changes nothing");
            false
        }
    }
}

#[test]
fn the_order_is_off_when_and_only_when_it_was_undecided() {
    for status in [Status::Placed, Status::Authorized, Status::Reserved, Status::Confirmed] {
        let (mut mill, id) = Mill::with_order();
        mill.drive(id, status);
        let is_off = give_up(&mut mill, id);
        assert_eq!(is_off, status.is_undecided(), "{status:?}");
        mill.settle();
        mill.assert_clean();
        assert_eq!(mill.status(id), if is_off { Status::Cancelled } else { Status::Confirmed });
        assert_eq!(mill.order(id).payment.kept() > 0, !is_off);
    }
}

#[test]
fn an_order_that_has_ended_otherwise_is_left_as_it_is() {
    let (mut mill, id) = Mill::with_order();
    mill.ask(id, Mood::Refusing(DeclineReason::Declined));
    assert_eq!(mill.status(id), Status::Rejected);
    assert!(!give_up(&mut mill, id));
    let (mut mill, id) = Mill::with_order();
    mill.drive(id, Status::Confirmed);
    mill.cancel(id).expect("a confirmed order can be cancelled");
    assert!(give_up(&mut mill, id), "it is called off, which is all that was asked");
}

/// The request is on its way, or its answer was lost, when the caller gives up: the order is off at once, and what the provider did
/// is undone.
#[test]
fn what_is_under_way_is_undone() {
    let mut ends = std::collections::BTreeSet::new();
    for (status, kind) in [(Status::Placed, OperationKind::Authorize), (Status::Reserved, OperationKind::Capture)] {
        for arrives_first in [false, true] {
            for is_lost in [false, true] {
                let (mut mill, id) = Mill::with_order();
                mill.drive(id, status);
                let request = if is_lost { mill.lose(id) } else { mill.send(id).expect("an operation is due") };
                assert_eq!(request.key.operation, operation(kind, 1));
                if arrives_first {
                    mill.arrive(&request, Mood::Willing);
                }
                assert!(give_up(&mut mill, id));
                mill.settle();
                mill.assert_clean();
                ends.insert((mill.status(id), mill.provider.account(id).hold));
            }
        }
    }
    let expected = [(Status::Cancelled, Hold::Captured), (Status::Cancelled, Hold::Voided)];
    assert_eq!(ends.into_iter().collect::<Vec<_>>(), expected, "the capture wins somewhere, and is refunded");
}

/// The first commit wins: behind the capture giving up is refused, and before it the capture comes too late.
#[test]
fn the_first_of_capture_and_giving_up_wins() {
    for captures_first in [true, false] {
        let (mut mill, id) = Mill::with_order();
        mill.drive(id, Status::Reserved);
        let request = mill.send(id).expect("the capture is due");
        let answer = mill.arrive(&request, Mood::Willing);
        if captures_first {
            mill.must(Body::PaymentResult(answer));
            assert!(!give_up(&mut mill, id));
        } else {
            assert!(give_up(&mut mill, id));
            let late = mill.must(Body::PaymentResult(answer));
            let kinds: Vec<EventType> = late.events.iter().map(ordermill_core::event::Event::kind).collect();
            assert_eq!(kinds, [EventType::PaymentCaptured, EventType::PaymentRefundRequested]);
        }
        mill.settle();
        mill.assert_clean();
        assert_eq!(mill.order(id).payment.kept() > 0, captures_first);
    }
}
