//! What comes late, twice or out of turn: normal input.

use std::sync::Arc;

use ordermill_core::event::EventType as E;
use ordermill_core::id::OrderId;
use ordermill_core::input::{Body, Input, MailResult, PaymentAnswer, PaymentResult};
use ordermill_core::mail::MailKind;
use ordermill_core::order::{Order, Status};
use ordermill_core::parcel::ParcelStatus;
use ordermill_core::payment::{DeclineReason, OperationState, PaymentKey, due_request};

use crate::conformance::Harness;
use crate::conformance::shop::{PRICE_MINOR, Shop, refused, succeeded};
use crate::ledger::{Source, Submission};

async fn due_key(shop: &Shop, id: OrderId) -> PaymentKey {
    due_request(&*shop.order(id).await).expect("something is asked of the provider").key
}

fn answer(key: PaymentKey, answer: PaymentAnswer) -> Body {
    Body::PaymentResult(PaymentResult { key, answer })
}

async fn reserved(shop: &Shop) -> Arc<Order> {
    shop.sell("apple", 5).await;
    let order = shop.place(&[("apple", 2)]).await;
    shop.drive(order.id, Status::Reserved).await
}

/// Every result of every step, submitted again at every later step, changes nothing.
pub async fn every_result_may_come_twice(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 5).await;
    let id = shop.place(&[("apple", 2)]).await.id;
    let mail = Body::MailResult {
        order_id: id,
        kind: MailKind::Confirmed,
        version: 1,
        result: MailResult::Sent { mailbox_end: Some(99) },
    };
    let mut done: Vec<Body> = Vec::new();
    for step in 0..5 {
        let body = match step {
            0 | 2 => answer(due_key(&shop, id).await, succeeded()),
            1 => Body::Reserve { order_id: id },
            3 => mail.clone(),
            _ => Body::Archived { order_id: id, version: shop.order(id).await.version },
        };
        let version = shop.order(id).await.version;
        let order = shop.ask_order(body.clone()).await;
        assert!(order.version > version, "step {step} is news");
        done.push(body);
        for again in &done {
            assert_eq!(shop.ask_order(again.clone()).await, order, "it came before: {again:?}");
        }
        let twice = done.iter().cloned().map(|body| Submission::new(Input::new(body)));
        let outcomes = shop.submit(twice.collect()).await;
        assert!(outcomes.iter().all(|outcome| outcome.as_ref().is_ok_and(|outcome| !outcome.changed)));
    }
    shop.audit().await;
}

/// The same result from two sides at once counts once.
pub async fn a_result_from_two_sides_counts_once(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let order = reserved(&shop).await;
    let key = due_key(&shop, order.id).await;
    let mut sides = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let ledger = Arc::clone(&shop.backend.ledger);
        let input = Input::new(answer(key, succeeded()));
        sides.spawn(async move { ledger.submit_one(Source::Results, input).await.expect("taken").changed });
    }
    assert_eq!(sides.join_all().await.into_iter().filter(|changed| *changed).count(), 1);
    assert_eq!(shop.order(order.id).await.payment.captured, 2 * PRICE_MINOR);
    shop.audit().await;
}

/// The answer to an attempt that is past says nothing about the present one.
pub async fn an_answer_to_a_past_attempt_is_passed_over(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let order = reserved(&shop).await;
    shop.cancel(order.id).await;
    let first = due_key(&shop, order.id).await;
    shop.pay(order.id, refused(DeclineReason::Invalid)).await;
    let remedy = ordermill_core::event::Remedy::Retried;
    let retried = shop.ask_order(Body::ClearAttention { order_id: order.id, remedy, note: None }).await;
    let second = due_key(&shop, order.id).await;
    assert_eq!((first.operation, first.attempt + 1), (second.operation, second.attempt));
    assert_eq!(shop.ask_order(answer(first, succeeded())).await, retried);
    assert_eq!(shop.ask_order(answer(second, succeeded())).await.payment.held(), 0);
    shop.audit().await;
}

/// Money that was held for an order cancelled meanwhile is let go of.
pub async fn a_late_authorization_is_voided(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 5).await;
    let order = shop.place(&[("apple", 2)]).await;
    let authorize = due_key(&shop, order.id).await;
    shop.cancel(order.id).await;
    let late = shop.ask_order(answer(authorize, succeeded())).await;
    assert_eq!((late.status, late.payment.held()), (Status::Cancelled, 2 * PRICE_MINOR));
    let done = shop.pay(order.id, succeeded()).await;
    assert_eq!((done.status, done.payment.held(), due_request(&done).is_none()), (Status::Cancelled, 0, true));
    shop.audit().await;
}

/// Money that was taken for an order cancelled meanwhile is given back; its stock stays free.
pub async fn a_late_capture_is_refunded(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let order = reserved(&shop).await;
    let capture = due_key(&shop, order.id).await;
    shop.cancel(order.id).await;
    assert_eq!(shop.units("apple").await, (5, 0, 0));
    let late = shop.ask_order(answer(capture, succeeded())).await;
    assert_eq!((late.status, late.payment.kept()), (Status::Cancelled, 2 * PRICE_MINOR));
    let done = shop.pay(order.id, succeeded()).await;
    assert_eq!((done.payment.kept(), done.payment.held()), (0, 0));
    assert_eq!(shop.units("apple").await, (5, 0, 0));
    shop.audit().await;
}

/// The capture comes first, the cancel finds a confirmed order: refund and release.
pub async fn a_cancel_behind_the_capture_refunds(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let order = reserved(&shop).await;
    shop.drive(order.id, Status::Confirmed).await;
    let cancelled = shop.cancel(order.id).await;
    assert_eq!((cancelled.status, cancelled.payment.refunds_pending()), (Status::Cancelled, 2 * PRICE_MINOR));
    assert_eq!(shop.units("apple").await, (5, 0, 0));
    assert_eq!(shop.pay(order.id, succeeded()).await.payment.kept(), 0);
    assert_eq!(shop.cancel(order.id).await.version, cancelled.version + 1, "cancelled is cancelled");
    shop.audit().await;
}

/// Cancel and capture at once: whoever is first, no money and no stock is left behind.
pub async fn cancel_races_with_capture(harness: &dyn Harness) {
    const ORDERS: usize = 40;
    let shop = Shop::open(harness).await;
    shop.sell("apple", ORDERS as i64).await;
    let mut races = tokio::task::JoinSet::new();
    for race in 0..ORDERS {
        let order = shop.place(&[("apple", 1)]).await;
        shop.drive(order.id, Status::Reserved).await;
        let capture = Input::new(answer(due_key(&shop, order.id).await, succeeded()));
        let cancel = Input::new(Body::Cancel { order_id: order.id, reason: "changed my mind".into() });
        let (first, second) = if race % 2 == 0 { (capture, cancel) } else { (cancel, capture) };
        for input in [first, second] {
            let ledger = Arc::clone(&shop.backend.ledger);
            races.spawn(async move { ledger.submit_one(Source::Live, input).await.expect("both are possible") });
        }
    }
    races.join_all().await;
    for (id, order) in shop.audit().await.orders {
        assert_eq!(order.status, Status::Cancelled);
        let settled = shop.pay(id, succeeded()).await;
        assert_eq!((settled.payment.held(), settled.payment.kept(), due_request(&settled).is_none()), (0, 0, true));
    }
    assert_eq!(shop.units("apple").await, (ORDERS as i64, 0, 0));
    shop.audit().await;
}

/// A void that finds the money taken already turns into a refund.
pub async fn a_void_that_finds_the_money_taken(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let order = reserved(&shop).await;
    shop.cancel(order.id).await;
    let taken = shop.pay(order.id, refused(DeclineReason::AlreadyCaptured)).await;
    assert_eq!(taken.payment.captured, 2 * PRICE_MINOR);
    let done = shop.pay(order.id, succeeded()).await;
    assert_eq!((done.payment.kept(), due_request(&done).is_none()), (0, true));
    assert!(done.payment.operations.iter().all(|operation| operation.state != OperationState::Stuck));
    shop.audit().await;
}

/// A parcel on its way for a cancelled order is written down, and a person is asked.
pub async fn a_parcel_of_a_cancelled_order_asks_a_person(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let order = reserved(&shop).await;
    shop.cancel(order.id).await;
    let moved = shop.parcel(order.id, ParcelStatus::PickedUp).await;
    assert_eq!((moved.status, moved.attention.is_some()), (Status::Cancelled, true));
    assert_eq!(shop.events(order.id).await.last(), Some(&E::OrderAttention));
    let back = Body::ParcelMoved { order_id: order.id, status: ParcelStatus::PickedUp, seen_at: shop.now() };
    assert_eq!(shop.ask(Input::new(back)).await.expect_err("it cannot move so").code(), "parcel_out_of_order");
    shop.audit().await;
}
