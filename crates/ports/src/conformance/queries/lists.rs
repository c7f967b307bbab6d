//! Lists of orders: filters and pages.

use std::sync::Arc;

use jiff::SignedDuration;
use ordermill_core::id::OrderId;
use ordermill_core::input::{Body, PlaceOrder};
use ordermill_core::order::{Order, Status};
use ordermill_core::process::Step;

use crate::conformance::Harness;
use crate::conformance::shop::Shop;
use crate::queries::OrderFilter;

fn ids(orders: &[Arc<Order>]) -> Vec<OrderId> {
    orders.iter().map(|order| order.id).collect()
}

/// Twelve orders a minute apart: of three customers in turn, in states by fours, every sixth with attention.
async fn busy_shop(harness: &dyn Harness) -> (Shop, Vec<Arc<Order>>) {
    const STATES: [Status; 4] = [Status::Placed, Status::Reserved, Status::Confirmed, Status::Cancelled];
    let shop = Shop::open(harness).await;
    shop.sell("apple", 100).await;
    let mut orders = Vec::new();
    for number in 0..12 {
        let customer_id = format!("customer-{}", number % 3).parse().expect("a sound id");
        let request = shop.request_ref(&[("apple", 1)], &format!("A-{number}"));
        let id = shop.place_request(PlaceOrder { customer_id, ..request }).await.id;
        match STATES[number % 4] {
            Status::Cancelled => shop.cancel(id).await,
            status => shop.drive(id, status).await,
        };
        if number % 6 == 0 {
            let give_up = Body::GiveUp { order_id: id, step: Step::Archive, reason: "no room".into() };
            shop.ask_order(give_up).await;
        }
        orders.push(shop.order(id).await);
        shop.advance(SignedDuration::from_mins(1));
    }
    (shop, orders)
}

/// What a list must hold: those that fit, newest first.
fn expected(orders: &[Arc<Order>], fits: impl Fn(usize, &Order) -> bool) -> Vec<OrderId> {
    let fitting = orders.iter().enumerate().filter(|(number, order)| fits(*number, order));
    fitting.map(|(_, order)| order.id).rev().collect()
}

/// Every condition picks the orders it names, whatever the size of the pages.
pub async fn every_filter_picks_its_orders(harness: &dyn Harness) {
    type Fits = fn(usize, &Order) -> bool;
    let (shop, orders) = busy_shop(harness).await;
    let customer_id = Some("customer-1".parse().expect("a sound id"));
    let (from, to) = (Some(orders[2].created_at), Some(orders[9].created_at));
    let all = OrderFilter::default();
    let cases: [(OrderFilter, Fits); 10] = [
        (all.clone(), |_, _| true),
        (OrderFilter { customer_id: customer_id.clone(), ..all.clone() }, |number, _| number % 3 == 1),
        (OrderFilter { statuses: vec![Status::Reserved], ..all.clone() }, |_, order| order.status == Status::Reserved),
        (OrderFilter { statuses: vec![Status::Cancelled, Status::Placed], ..all.clone() }, |_, order| {
            matches!(order.status, Status::Cancelled | Status::Placed)
        }),
        (OrderFilter { statuses: vec![Status::Returned], ..all.clone() }, |_, _| false),
        (OrderFilter { attention: Some(true), ..all.clone() }, |number, _| number % 6 == 0),
        (OrderFilter { attention: Some(false), ..all.clone() }, |number, _| number % 6 != 0),
        (OrderFilter { from, to, ..all.clone() }, |number, _| (2..9).contains(&number)),
        (OrderFilter { customer_id, from, ..all.clone() }, |number, _| number % 3 == 1 && number >= 2),
        (OrderFilter { from, to, attention: Some(true), statuses: vec![Status::Confirmed], ..all }, |number, order| {
            number == 6 && order.status == Status::Confirmed
        }),
    ];
    for (filter, fits) in cases {
        for limit in [1, 3, 5, 100] {
            let listed = shop.list(&filter, limit).await;
            assert_eq!(ids(&listed), expected(&orders, fits), "{filter:?} by {limit}");
            assert!(listed.iter().all(|order| orders.contains(order)), "orders are listed as they are");
        }
    }
}

/// A text finds exactly the order id, the reference or the customer id, never a part of one.
pub async fn a_text_is_searched_exactly(harness: &dyn Harness) {
    let (shop, orders) = busy_shop(harness).await;
    let find = async |text: String| {
        let filter = OrderFilter { text: Some(text), ..OrderFilter::default() };
        ids(&shop.list(&filter, 2).await)
    };
    assert_eq!(find(orders[3].id.to_string()).await, [orders[3].id]);
    assert_eq!(find("A-1".to_owned()).await, [orders[1].id]);
    assert_eq!(find("customer-2".to_owned()).await, expected(&orders, |number, _| number % 3 == 2));
    for nothing in ["A-", "a-1", "customer", "ord_", "", "%", "*", "A-1 OR A-2", "\""] {
        assert_eq!(find(nothing.to_owned()).await, [], "{nothing:?}");
    }
    let statuses = vec![Status::Placed];
    let filter = OrderFilter { text: Some("customer-0".to_owned()), statuses, ..OrderFilter::default() };
    let both = expected(&orders, |number, order| number % 3 == 0 && order.status == Status::Placed);
    assert_eq!(ids(&shop.list(&filter, 1).await), both);
}

/// Pages neither repeat nor skip an order while new ones come in; the last page says that it is the last.
pub async fn pages_are_stable_while_orders_come_in(harness: &dyn Harness) {
    let (shop, orders) = busy_shop(harness).await;
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = shop.backend.queries.list_orders(&OrderFilter::default(), before, 5).await.expect("listable");
        seen.extend(ids(&page.entries));
        shop.place(&[("apple", 1)]).await;
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, expected(&orders, |_, _| true));
}

/// A page that ends with the last order has no next one; a page below the oldest order is empty.
pub async fn the_last_page_is_the_last(harness: &dyn Harness) {
    let (shop, orders) = busy_shop(harness).await;
    let all = OrderFilter::default();
    let page = async |before, limit| shop.backend.queries.list_orders(&all, before, limit).await.expect("listable");
    assert_eq!(page(None, 12).await.next, None);
    assert_eq!(page(None, 11).await.next, Some(orders[1].id));
    let below = page(Some(orders[0].id), 10).await;
    assert_eq!((below.entries.len(), below.next), (0, None));
}

/// Orders are listed by when they were taken, whatever happens to them later.
pub async fn changes_do_not_move_an_order_in_the_list(harness: &dyn Harness) {
    let (shop, orders) = busy_shop(harness).await;
    shop.cancel(orders[0].id).await;
    shop.drive(orders[4].id, Status::Confirmed).await;
    assert_eq!(ids(&shop.list(&OrderFilter::default(), 4).await), expected(&orders, |_, _| true));
    let placed = OrderFilter { statuses: vec![Status::Placed], ..OrderFilter::default() };
    assert_eq!(ids(&shop.list(&placed, 4).await), [orders[8].id]);
    shop.audit().await;
}
