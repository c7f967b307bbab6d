//! What the clock decides: what is overdue is found, and found once.

use jiff::SignedDuration;
use ordermill_core::id::OrderId;
use ordermill_core::input::{Body, PaymentAnswer};
use ordermill_core::order::{RejectReason, Status};
use ordermill_core::payment::OperationState;
use ordermill_core::process::Step;

use crate::conformance::Harness;
use crate::conformance::shop::{Shop, succeeded};

const MOMENT: SignedDuration = SignedDuration::from_micros(1);

async fn overdue(shop: &Shop) -> Vec<OrderId> {
    shop.backend.queries.overdue(shop.now(), 100).await.expect("deadlines can be read")
}

/// Stock that is not paid in time is taken back, the money let go of, the order rejected.
pub async fn a_reservation_expires(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 3).await;
    let id = shop.place(&[("apple", 3)]).await.id;
    let reserved = shop.drive(id, Status::Reserved).await;
    shop.advance(shop.settings.policy.reservation_ttl - MOMENT);
    assert_eq!(overdue(&shop).await, []);
    assert_eq!(shop.ask_order(Body::CheckDeadline { order_id: id }).await, reserved);
    shop.advance(MOMENT);
    assert_eq!(overdue(&shop).await, [id]);
    let expired = shop.ask_order(Body::CheckDeadline { order_id: id }).await;
    assert_eq!((expired.status, expired.reject_reason), (Status::Rejected, Some(RejectReason::ReservationExpired)));
    assert_eq!(shop.units("apple").await, (3, 0, 0));
    assert_eq!(overdue(&shop).await, []);
    assert_eq!(shop.pay(id, succeeded()).await.payment.held(), 0);
    shop.audit().await;
}

/// An answer that stays missing is given to a person.
pub async fn an_unknown_answer_ends_in_attention(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 3).await;
    let id = shop.place(&[("apple", 3)]).await.id;
    shop.pay(id, PaymentAnswer::Unknown).await;
    shop.advance(shop.settings.policy.unknown_budget);
    assert_eq!(overdue(&shop).await, [id]);
    let stuck = shop.ask_order(Body::CheckDeadline { order_id: id }).await;
    assert_eq!(stuck.attention.as_ref().map(|attention| attention.step), Some(Step::Authorize));
    assert_eq!(stuck.payment.operations[0].state, OperationState::Stuck);
    assert_eq!(overdue(&shop).await, []);
    shop.audit().await;
}

/// A state that lasts too long is reported once for each state.
pub async fn a_state_that_lasts_is_reported_once(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 3).await;
    let id = shop.place(&[("apple", 1)]).await.id;
    for (status, budget) in [
        (Status::Placed, shop.settings.policy.undecided_budget),
        (Status::Confirmed, shop.settings.policy.shipping_budget),
        (Status::Shipped, shop.settings.policy.delivery_budget),
    ] {
        shop.drive(id, status).await;
        shop.advance(budget);
        assert_eq!(overdue(&shop).await, [id], "{}", status.as_str());
        let reported = shop.ask_order(Body::CheckDeadline { order_id: id }).await;
        assert_eq!(reported.overdue, Some(status));
        assert_eq!(overdue(&shop).await, []);
        shop.advance(budget);
        assert_eq!(shop.ask_order(Body::CheckDeadline { order_id: id }).await, reported);
    }
    shop.drive(id, Status::Delivered).await;
    shop.advance(SignedDuration::from_hours(10_000));
    assert_eq!(overdue(&shop).await, []);
    shop.audit().await;
}

/// The oldest deadline comes first, and no more are given than asked for.
pub async fn the_oldest_deadline_comes_first(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let second = 1;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(shop.place(&[("apple", 1)]).await.id);
        shop.advance(SignedDuration::from_secs(second));
    }
    // The first one placed is held last, so its reservation runs out last.
    for id in [ids[2], ids[1], ids[3], ids[0]] {
        shop.drive(id, Status::Reserved).await;
        shop.advance(SignedDuration::from_secs(second));
    }
    shop.advance(shop.settings.policy.reservation_ttl);
    assert_eq!(overdue(&shop).await, [ids[2], ids[1], ids[3], ids[0]]);
    let some = shop.backend.queries.overdue(shop.now(), 2).await.expect("deadlines can be read");
    assert_eq!(some, [ids[2], ids[1]]);
    shop.audit().await;
}
