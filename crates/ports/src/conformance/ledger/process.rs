//! The life of an order, step by step.

use ordermill_core::event::{EventType as E, Remedy, ReturnedLine};
use ordermill_core::input::{Body, Input, MailResult, PaymentAnswer};
use ordermill_core::mail::{MailKind, MailState};
use ordermill_core::order::{RejectReason, Status};
use ordermill_core::payment::{DeclineReason, OperationState, due_request};
use ordermill_core::process::Step;
use ordermill_core::refusal::Refusal;

use crate::conformance::Harness;
use crate::conformance::shop::{PRICE_MINOR, Shop, product, refused, succeeded};

/// An order that goes well is paid, held, confirmed, mailed, shipped, delivered and archived, and every step is an event.
pub async fn an_order_goes_all_the_way(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let order = shop.place(&[("apple", 3)]).await;
    assert_eq!((order.status, order.placement.total.amount_minor), (Status::Placed, 3 * PRICE_MINOR));
    assert_eq!(shop.drive(order.id, Status::Authorized).await.payment.held(), 3 * PRICE_MINOR);
    assert_eq!(shop.units("apple").await, (10, 0, 0));
    shop.drive(order.id, Status::Reserved).await;
    assert_eq!(shop.units("apple").await, (7, 3, 0));
    let confirmed = shop.drive(order.id, Status::Confirmed).await;
    assert_eq!((confirmed.payment.captured, confirmed.payment.held()), (3 * PRICE_MINOR, 0));
    assert_eq!(shop.units("apple").await, (7, 0, 3));
    let sent = MailResult::Sent { mailbox_end: Some(512) };
    let mailed = Body::MailResult { order_id: order.id, kind: MailKind::Confirmed, version: 1, result: sent };
    let mailed = shop.ask_order(mailed).await;
    assert_eq!(mailed.mails[0].state, MailState::Sent);
    let archived = shop.ask_order(Body::Archived { order_id: order.id, version: mailed.version }).await;
    assert!(!archived.is_open() && !archived.is_archive_due());
    shop.drive(order.id, Status::Delivered).await;
    let expected = [
        E::OrderPlaced,
        E::PaymentAuthorized,
        E::InventoryReserved,
        E::PaymentCaptured,
        E::OrderConfirmed,
        E::NotificationSent,
        E::OrderArchived,
        E::ParcelMoved,
        E::OrderShipped,
        E::ParcelMoved,
        E::ParcelMoved,
        E::OrderDelivered,
    ];
    assert_eq!(shop.events(order.id).await, expected);
    shop.audit().await;
}

/// The event that a role acted on is kept as the cause of what it found out.
pub async fn events_name_their_cause(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 1).await;
    let order = shop.place(&[("apple", 1)]).await;
    shop.drive(order.id, Status::Authorized).await;
    let reserve = Input::new(Body::Reserve { order_id: order.id }).caused_by(2);
    shop.ask(reserve).await.expect("a paid order is reserved");
    let events = shop.backend.queries.order_events(order.id, 0).await.expect("events can be read");
    let causes: Vec<_> = events.iter().map(|event| (event.recorded.version, event.recorded.cause)).collect();
    assert_eq!(causes, [(1, None), (2, None), (3, Some(2))]);
}

/// A declined payment rejects the order; nothing is held for it.
pub async fn a_declined_payment_rejects(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 1).await;
    let order = shop.place(&[("apple", 1)]).await;
    let order = shop.pay(order.id, refused(DeclineReason::InsufficientFunds)).await;
    assert_eq!((order.status, order.reject_reason), (Status::Rejected, Some(RejectReason::InsufficientFunds)));
    assert_eq!(due_request(&order).map(|request| request.key), None);
    assert_eq!(shop.units("apple").await, (1, 0, 0));
    shop.audit().await;
}

/// A refused capture gives the stock back, asks for the void and rejects.
pub async fn a_refused_capture_undoes_everything(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 5).await;
    let order = shop.place(&[("apple", 4)]).await;
    shop.drive(order.id, Status::Reserved).await;
    let order = shop.pay(order.id, refused(DeclineReason::Declined)).await;
    assert_eq!((order.status, order.reject_reason), (Status::Rejected, Some(RejectReason::CaptureFailed)));
    assert_eq!(shop.units("apple").await, (5, 0, 0));
    let order = shop.pay(order.id, succeeded()).await;
    assert_eq!((order.payment.held(), order.payment.voided), (0, 4 * PRICE_MINOR));
    shop.audit().await;
}

/// A missing answer is written down once, followed up under the same key, and its answer counts.
pub async fn an_unknown_answer_is_found_out(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 1).await;
    let order = shop.place(&[("apple", 1)]).await;
    let before = due_request(&order).expect("the authorize is due").key;
    let unknown = shop.pay(order.id, PaymentAnswer::Unknown).await;
    assert_eq!(unknown.payment.operations[0].state, OperationState::Unknown);
    assert_eq!(shop.pay(order.id, PaymentAnswer::Unknown).await.version, unknown.version);
    assert_eq!(due_request(&unknown).expect("it is followed up").key, before);
    assert_eq!(shop.pay(order.id, succeeded()).await.status, Status::Authorized);
    shop.audit().await;
}

/// A void that fails asks a person; tried again it has a new attempt and ends well.
pub async fn attention_is_raised_and_cleared(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 1).await;
    let order = shop.place(&[("apple", 1)]).await;
    shop.drive(order.id, Status::Authorized).await;
    shop.cancel(order.id).await;
    let stuck = shop.pay(order.id, refused(DeclineReason::Declined)).await;
    assert_eq!(stuck.attention.as_ref().map(|attention| attention.step), Some(Step::Void));
    assert_eq!(shop.audit().await.counts().attention, 1);
    let clear = Body::ClearAttention { order_id: order.id, remedy: Remedy::Retried, note: Some("called them".into()) };
    let retried = shop.ask_order(clear.clone()).await;
    assert_eq!(due_request(&retried).expect("the void is due again").key.attempt, 2);
    let done = shop.pay(order.id, succeeded()).await;
    assert_eq!((done.attention.clone(), done.payment.held()), (None, 0));
    assert_eq!(shop.ask(Input::new(clear)).await.err(), Some(Refusal::NoAttention));
    assert_eq!(shop.audit().await.counts().attention, 0);
}

/// Money goes back in parts, never more than was taken.
pub async fn refunds_never_exceed_what_was_taken(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 2).await;
    let order = shop.place(&[("apple", 2)]).await;
    let order_id = shop.drive(order.id, Status::Delivered).await.id;
    let refund = |amount_minor| Body::Refund { order_id, amount_minor, reason: "bruised".into() };
    shop.ask_order(refund(Some(1_000))).await;
    shop.ask_order(refund(None)).await;
    let more = shop.ask(Input::new(refund(Some(1)))).await.expect_err("all of it was asked back");
    assert_eq!(more.code(), "refund_too_large");
    shop.pay(order_id, succeeded()).await;
    let order = shop.pay(order_id, succeeded()).await;
    assert_eq!((order.payment.refunded, order.payment.kept()), (2 * PRICE_MINOR, 0));
    shop.audit().await;
}

/// What comes back goes into stock where asked, and never more than was bought.
pub async fn returned_goods_can_be_sold_again(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 3).await;
    shop.sell("pear", 1).await;
    let order = shop.place(&[("apple", 3), ("pear", 1)]).await;
    let order_id = shop.drive(order.id, Status::Delivered).await.id;
    let back = |id: &str, quantity, restock| Body::Return {
        order_id,
        lines: vec![ReturnedLine { product_id: product(id), quantity }],
        restock,
    };
    assert_eq!(shop.ask_order(back("apple", 2, true)).await.status, Status::Delivered);
    assert_eq!(shop.units("apple").await, (2, 0, 3));
    let too_many = shop.ask(Input::new(back("apple", 2, true))).await.expect_err("only one is left to return");
    assert_eq!(too_many.code(), "return_too_large");
    shop.ask_order(back("pear", 1, false)).await;
    assert_eq!(shop.units("pear").await, (0, 0, 1));
    assert_eq!(shop.ask_order(back("apple", 1, true)).await.status, Status::Returned);
    assert_eq!(shop.units("apple").await, (3, 0, 3));
    shop.audit().await;
}

/// An input about an order that is not there is refused.
pub async fn an_unknown_order_is_refused(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let order_id = shop.order_id();
    for body in [Body::Reserve { order_id }, Body::Cancel { order_id, reason: "no".into() }] {
        assert_eq!(shop.ask(Input::new(body)).await.err(), Some(Refusal::OrderNotFound { order_id }));
    }
    shop.audit().await;
}
