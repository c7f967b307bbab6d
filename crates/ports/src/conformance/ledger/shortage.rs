//! More is ordered than there is.

use std::sync::Arc;

use ordermill_core::id::OrderId;
use ordermill_core::input::{Body, Input};
use ordermill_core::limits::ORDER_LINES_MAX;
use ordermill_core::order::{Order, RejectReason, Status};
use ordermill_core::payment::due_request;

use crate::conformance::Harness;
use crate::conformance::shop::{PRICE_MINOR, Shop, product, succeeded};
use crate::ledger::{Source, Submission};

fn reserving(order_id: OrderId) -> Submission {
    Submission::new(Input::new(Body::Reserve { order_id }))
}

async fn authorized(shop: &Shop, lines: &[(&str, i64)]) -> Arc<Order> {
    let order = shop.place(lines).await;
    shop.drive(order.id, Status::Authorized).await
}

fn assert_out_of_stock(order: &Order, id: &str, missing: i64) {
    assert_eq!((order.status, order.reject_reason), (Status::Rejected, Some(RejectReason::OutOfStock)));
    let short: Vec<_> = order.short.iter().map(|short| (short.product_id.as_str(), short.missing)).collect();
    assert_eq!(short, [(id, missing)]);
    assert!(due_request(order).is_some(), "the money that is held is to be let go of");
}

/// Two orders for the last unit in one call: the first has it, the other is rejected and its money let go of.
pub async fn the_last_unit_in_one_call(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 1).await;
    let (first, second) = (authorized(&shop, &[("apple", 1)]).await, authorized(&shop, &[("apple", 1)]).await);
    let results = shop.submit(vec![reserving(first.id), reserving(second.id)]).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(shop.order(first.id).await.status, Status::Reserved);
    assert_out_of_stock(&*shop.order(second.id).await, "apple", 1);
    let voided = shop.pay(second.id, succeeded()).await;
    assert_eq!((voided.payment.held(), voided.payment.voided), (0, PRICE_MINOR));
    assert_eq!(shop.units("apple").await, (0, 1, 0));
    shop.audit().await;
}

/// A unit given back goes to whoever asks next.
pub async fn a_unit_given_back_can_be_reserved(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 1).await;
    let (first, second) = (authorized(&shop, &[("apple", 1)]).await, authorized(&shop, &[("apple", 1)]).await);
    shop.drive(first.id, Status::Reserved).await;
    let cancel = Submission::new(Input::new(Body::Cancel { order_id: first.id, reason: "no".into() }));
    shop.submit(vec![cancel, reserving(second.id)]).await;
    assert_eq!(shop.order(second.id).await.status, Status::Reserved);
    assert_eq!(shop.units("apple").await, (0, 1, 0));
    shop.audit().await;
}

/// A thousand at once on one product with a hundred units: a hundred have one, the others are told that it is short.
pub async fn a_thousand_at_once_never_oversell(harness: &dyn Harness) {
    const ORDERS: usize = 1_000;
    const UNITS: usize = 100;
    let shop = Shop::open(harness).await;
    shop.sell("apple", UNITS as i64).await;
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..ORDERS {
        let shop = shop.share();
        callers.spawn(async move {
            let ledger = &shop.backend.ledger;
            let placed = ledger.submit_one(Source::Live, shop.placing(&[("apple", 1)])).await.expect("taken");
            let order = placed.order().expect("an order");
            let key = due_request(order).expect("the authorize is due").key;
            let paid = ordermill_core::input::PaymentResult { key, answer: succeeded() };
            let paid = Submission::new(Input::new(Body::PaymentResult(paid)));
            let results = ledger.submit(Source::Results, vec![paid, reserving(order.id)]).await;
            assert!(results.iter().all(Result::is_ok), "{results:?}");
            order.id
        });
    }
    let mut reserved = 0;
    for id in callers.join_all().await {
        let order = shop.order(id).await;
        if order.status == Status::Reserved {
            reserved += 1;
        } else {
            assert_out_of_stock(&order, "apple", 1);
        }
    }
    assert_eq!(reserved, UNITS);
    assert_eq!(shop.units("apple").await, (0, UNITS as i64, 0));
    shop.audit().await;
}

/// Two lines of one product count together, also when each alone could be had.
pub async fn lines_of_one_product_count_together(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 5).await;
    let order = authorized(&shop, &[("apple", 3), ("apple", 3)]).await;
    assert_out_of_stock(&*shop.ask_order(Body::Reserve { order_id: order.id }).await, "apple", 1);
    let order = authorized(&shop, &[("apple", 3), ("apple", 2)]).await;
    shop.drive(order.id, Status::Reserved).await;
    let level = shop.stock("apple").await.expect("it has stock");
    assert_eq!((level.available, level.reserved, level.version), (0, 5, 2));
    shop.audit().await;
}

/// One line that is short takes nothing from the others.
pub async fn a_reservation_is_all_or_none(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 5).await;
    shop.sell("pear", 1).await;
    let order = authorized(&shop, &[("apple", 2), ("pear", 3)]).await;
    assert_out_of_stock(&*shop.ask_order(Body::Reserve { order_id: order.id }).await, "pear", 2);
    assert_eq!((shop.units("apple").await, shop.units("pear").await), ((5, 0, 0), (1, 0, 0)));
    shop.audit().await;
}

/// Stock that was never set is none.
pub async fn a_product_without_stock_is_short(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.ask(Input::new(Body::PutProduct(shop.product("apple", None)))).await.expect("taken");
    let order = authorized(&shop, &[("apple", 2)]).await;
    assert_out_of_stock(&*shop.ask_order(Body::Reserve { order_id: order.id }).await, "apple", 2);
    assert_eq!(shop.stock("apple").await, None);
    shop.audit().await;
}

async fn long_order(harness: &dyn Harness, lines: usize) {
    let shop = Shop::open(harness).await;
    let names: Vec<String> = (0..lines).map(|number| format!("product-{number:03}")).collect();
    let puts = names.iter().map(|name| Submission::new(Input::new(Body::PutProduct(shop.product(name, Some(2))))));
    assert!(shop.submit(puts.collect()).await.iter().all(Result::is_ok));
    let wanted: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), 2)).collect();
    let order = shop.place(&wanted).await;
    shop.drive(order.id, Status::Reserved).await;
    let loser = authorized(&shop, &wanted).await;
    let loser = shop.ask_order(Body::Reserve { order_id: loser.id }).await;
    assert_eq!((loser.status, loser.short.len()), (Status::Rejected, lines));
    let books = shop.audit().await;
    assert!(
        names
            .iter()
            .all(|name| (books.stock[&product(name)].available, books.stock[&product(name)].reserved) == (0, 2))
    );
    shop.drive(order.id, Status::Confirmed).await;
    shop.cancel(order.id).await;
    assert_eq!(shop.units(&names[lines - 1]).await, (2, 0, 0));
    shop.audit().await;
}

/// The longest basket of the real year: 161 lines.
pub async fn an_order_of_161_lines(harness: &dyn Harness) {
    long_order(harness, 161).await;
}

/// The longest order there may be.
pub async fn an_order_of_500_lines(harness: &dyn Harness) {
    long_order(harness, ORDER_LINES_MAX).await;
}
