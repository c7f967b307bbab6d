//! Calling an order off unless its money is taken.

use std::sync::Arc;

use ordermill_core::event::EventType;
use ordermill_core::id::OrderId;
use ordermill_core::input::{Body, Input, PaymentResult};
use ordermill_core::order::Status;
use ordermill_core::payment::due_request;
use ordermill_core::refusal::Refusal;

use crate::conformance::Harness;
use crate::conformance::shop::{Shop, succeeded};
use crate::ledger::{Source, Submission};

fn cancel_unpaid(order_id: OrderId) -> Input {
    Input::new(Body::CancelUnpaid { order_id, reason: "sync_timeout".into() })
}

/// The provider's yes to what is due of an order.
async fn paid(shop: &Shop, order_id: OrderId) -> Input {
    let key = due_request(&*shop.order(order_id).await).expect("something is asked of the provider").key;
    Input::new(Body::PaymentResult(PaymentResult { key, answer: succeeded() }))
}

/// Before the money is taken the order is called off, what it held is let go of, and asking again changes nothing.
pub async fn an_unpaid_order_is_called_off(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    for status in [Status::Placed, Status::Authorized, Status::Reserved] {
        let id = shop.place(&[("apple", 2)]).await.id;
        shop.drive(id, status).await;
        let outcome = shop.ask(cancel_unpaid(id)).await.expect("it can be called off");
        let order = outcome.order().expect("an order");
        assert_eq!((order.status, order.cancel_reason.as_deref()), (Status::Cancelled, Some("sync_timeout")));
        assert!(due_request(order).is_some(), "the authorize is found out, or the hold let go of");
        let events = shop.events(id).await;
        assert_eq!(events.contains(&EventType::PaymentVoidRequested), status != Status::Placed);
        assert_eq!(events.contains(&EventType::InventoryReleased), status == Status::Reserved);
        assert_eq!(shop.units("apple").await, (10, 0, 0));
        let again = shop.ask(cancel_unpaid(id)).await.expect("it is called off");
        assert!(!again.changed);
    }
    shop.audit().await;
}

/// Once the money is taken, or the order has ended otherwise, it is refused and nothing changes.
pub async fn a_paid_order_is_not_called_off(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    for status in [Status::Confirmed, Status::Shipped, Status::Delivered] {
        let id = shop.place(&[("apple", 1)]).await.id;
        let order = shop.drive(id, status).await;
        assert_eq!(shop.ask(cancel_unpaid(id)).await.err(), Some(Refusal::NotCancellable { status }));
        assert_eq!(shop.order(id).await, order);
    }
    let unknown = shop.order_id();
    assert_eq!(shop.ask(cancel_unpaid(unknown)).await.err(), Some(Refusal::OrderNotFound { order_id: unknown }));
    assert_eq!(shop.units("apple").await, (7, 0, 3));
    shop.audit().await;
}

/// In one call whichever comes first wins: behind the capture it is refused, before it the capture comes too late and is undone.
pub async fn the_first_of_capture_and_giving_up_wins(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    for gives_up_first in [false, true] {
        let id = shop.place(&[("apple", 1)]).await.id;
        shop.drive(id, Status::Reserved).await;
        let mut inputs = vec![Submission::new(paid(&shop, id).await), Submission::new(cancel_unpaid(id))];
        if gives_up_first {
            inputs.reverse();
        }
        let results = shop.submit(inputs).await;
        assert!(results[0].is_ok());
        assert_eq!(results[1].is_ok(), gives_up_first, "{:?}", results[1]);
        let order = shop.order(id).await;
        let expected = if gives_up_first { Status::Cancelled } else { Status::Confirmed };
        assert_eq!(order.status, expected);
        if gives_up_first {
            let order = shop.pay(id, succeeded()).await;
            assert_eq!(
                (order.payment.kept(), order.payment.refunded),
                (0, order.payment.captured),
                "the money went back"
            );
        }
    }
    shop.audit().await;
}

/// However the two race, the answer to whoever gives up tells what became of the order, and no money is kept for one that is off.
pub async fn giving_up_races_with_capture(harness: &dyn Harness) {
    const ORDERS: usize = 60;
    let shop = Shop::open(harness).await;
    shop.sell("apple", 1_000).await;
    let mut races = tokio::task::JoinSet::new();
    for number in 0..ORDERS {
        let id = shop.place(&[("apple", 1)]).await.id;
        shop.drive(id, Status::Reserved).await;
        let capture = paid(&shop, id).await;
        let (first, second) = (Arc::clone(&shop.backend.ledger), Arc::clone(&shop.backend.ledger));
        races.spawn(async move {
            let (captured, given_up) = tokio::join!(
                async {
                    // Half of the captures start a little later, so that either side wins somewhere.
                    for _ in 0..(number % 2) * 3 {
                        tokio::task::yield_now().await;
                    }
                    first.submit_one(Source::Results, capture).await
                },
                second.submit_one(Source::Live, cancel_unpaid(id))
            );
            captured.expect("a result is always taken");
            (id, given_up.is_ok())
        });
    }
    for (id, is_off) in races.join_all().await {
        let order = shop.order(id).await;
        assert_eq!(order.status, if is_off { Status::Cancelled } else { Status::Confirmed });
        if is_off {
            assert_eq!(order.payment.kept(), order.payment.refunds_pending(), "what was taken is on its way back");
        }
    }
    shop.audit().await;
}
