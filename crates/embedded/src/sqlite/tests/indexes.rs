//! What is found by an index of our own: keys, customers, deadlines.

use jiff::SignedDuration;
use ordermill_core::id::OrderId;
use ordermill_core::input::{Body, Input, MailResult};
use ordermill_core::mail::MailKind;
use ordermill_core::order::Status;
use ordermill_ports::Source;
use ordermill_ports::Submission;
use ordermill_ports::conformance::shop::{Shop, key};
use ordermill_ports::queries::OrderFilter;

use super::{Place, place_many, put_to_rest};

#[tokio::test]
async fn expired_keys_are_deleted_unless_their_order_is_undecided() {
    let place = Place::new();
    let shop = Shop::open(&place).await;
    shop.sell("apple", 10_000).await;
    let keyed = |number: usize| shop.placing(&[("apple", 1)]).with_key(Some(key(&format!("key-{number}"), "one")));
    let mut ids = Vec::new();
    for result in shop.submit((0..600).map(|number| Submission::new(keyed(number))).collect()).await {
        ids.push(result.expect("taken").order().expect("an order").id);
    }
    let undecided = ids.split_off(590);
    put_to_rest(&shop, &ids).await;
    shop.advance(shop.settings.policy.idempotency_ttl);
    // Each commit deletes some; none is deleted twice or too early.
    for _ in 0..5 {
        shop.ask(Input::new(Body::PutProduct(shop.product("apple", None)))).await.expect("taken");
    }
    assert_eq!(place.number("SELECT count(*) FROM idempotency"), 10);
    let shop = shop.reopen(&place).await;
    let keyed = |number: usize| shop.placing(&[("apple", 1)]).with_key(Some(key(&format!("key-{number}"), "two")));
    assert!(shop.ask(keyed(595)).await.is_err(), "its order is undecided");
    assert!(shop.ask(keyed(5)).await.expect("the key is free").changed);
    put_to_rest(&shop, &undecided).await;
    assert!(shop.ask(keyed(595)).await.expect("the key is free now").changed);
    let again = shop.ask(keyed(5)).await.expect("answered as before");
    assert!(again.replayed);
    shop.advance(SignedDuration::from_mins(1));
    shop.ask(Input::new(Body::PutProduct(shop.product("apple", None)))).await.expect("taken");
    assert_eq!(place.number("SELECT count(*) FROM idempotency"), 2, "those used again");
    shop.audit().await;
}

/// Orders of one customer, by filter.
async fn of_customer(shop: &Shop, customer: &str) -> Vec<OrderId> {
    let filter = OrderFilter { customer_id: customer.parse().ok(), ..OrderFilter::default() };
    shop.list(&filter, 40).await.iter().map(|order| order.id).collect()
}

#[tokio::test]
async fn customers_find_their_orders_whether_indexed_yet_or_not() {
    let place = Place::new();
    let shop = Shop::open(&place).await;
    shop.sell("apple", 100_000).await;
    let mut expected = Vec::new();
    // Those at rest fill the index once; the last of them wait, and some are open.
    for round in 0..5 {
        let ids = place_many(&shop, 700, 25).await;
        if round < 4 {
            put_to_rest(&shop, &ids).await;
        }
        expected.extend(ids.into_iter().step_by(25));
    }
    expected.reverse();
    assert!(place.number("SELECT count(*) FROM customer_orders") >= 2_000);
    assert!(place.number("SELECT count(*) FROM customer_recent") > 0);
    assert_eq!(of_customer(&shop, "customer-0").await, expected);
    assert_eq!(of_customer(&shop, "customer-25").await, []);
    // The next span begins behind all of them.
    place.sql("INSERT INTO spans SELECT 1, max(id) FROM open_orders");
    let shop = shop.reopen(&place).await;
    let ids = place_many(&shop, 2_100, 21).await;
    put_to_rest(&shop, &ids).await;
    expected.splice(0..0, ids.into_iter().step_by(21).rev());
    assert!(place.number("SELECT count(*) FROM customer_orders WHERE span = 1") > 2_000);
    assert_eq!(of_customer(&shop, "customer-0").await, expected);
    shop.audit().await;
}

#[tokio::test]
async fn orders_at_rest_are_reported_when_they_wait_too_long_for_their_parcel() {
    let place = Place::new();
    let shop = Shop::open(&place).await;
    shop.sell("apple", 100).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let id = shop.place(&[("apple", 1)]).await.id;
        shop.drive(id, Status::Confirmed).await;
        let result = MailResult::Skipped;
        shop.ask_order(Body::MailResult { order_id: id, kind: MailKind::Confirmed, version: 1, result }).await;
        ids.push(id);
        shop.advance(SignedDuration::from_hours(1));
    }
    assert!(!shop.order(ids[0]).await.is_open());
    let overdue = async |shop: &Shop| shop.backend.queries.overdue(shop.now(), 10).await.expect("readable");
    assert_eq!(overdue(&shop).await, []);
    shop.advance(shop.settings.policy.shipping_budget - SignedDuration::from_hours(2));
    assert_eq!(overdue(&shop).await, ids[..2]);
    let shop = shop.reopen(&place).await;
    assert_eq!(overdue(&shop).await, ids[..2], "until it is checked it stays overdue");
    let check = |order_id| Submission::new(Input::new(Body::CheckDeadline { order_id }));
    shop.backend.ledger.submit(Source::Results, vec![check(ids[0])]).await.remove(0).expect("taken");
    assert_eq!(overdue(&shop).await, ids[1..2]);
    // It was reported, but its parcel begins a time of its own, long after the sweep has passed.
    shop.drive(ids[1], Status::Shipped).await;
    let result = MailResult::Skipped;
    shop.ask_order(Body::MailResult { order_id: ids[1], kind: MailKind::Shipped, version: 1, result }).await;
    shop.advance(SignedDuration::from_hours(1));
    assert_eq!(overdue(&shop).await, ids[2..]);
    shop.backend.ledger.submit(Source::Results, vec![check(ids[2])]).await.remove(0).expect("taken");
    assert_eq!(overdue(&shop).await, []);
    shop.advance(shop.settings.policy.delivery_budget);
    assert_eq!(overdue(&shop).await, ids[1..2]);
    shop.drive(ids[1], Status::Delivered).await;
    assert_eq!(overdue(&shop).await, []);
    shop.audit().await;
}
