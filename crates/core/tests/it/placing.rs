//! Taking orders: prices, currencies, references, keys; and the fingerprint that recognizes a request.

use ordermill_core::event::{Event, ReturnedLine};
use ordermill_core::idempotency::{Answer, Fingerprint};
use ordermill_core::input::{Admission, Body, Input, Key, PlaceOrder};
use ordermill_core::limits::AMOUNT_MINOR_MAX;
use ordermill_core::money::{Currency, Money};
use ordermill_core::order::{RejectReason, Status};
use ordermill_core::refusal::Refusal;
use serde_json::json;

use crate::support::mill::Mill;
use crate::support::world::{World, put_product};
use crate::support::{order_id, place, product, request};

const fn usd(amount_minor: i64) -> Money {
    Money { amount_minor, currency: Currency::USD }
}

fn with_prices(mut request: PlaceOrder, prices: &[Option<Money>]) -> PlaceOrder {
    for (line, price) in request.lines.iter_mut().zip(prices) {
        line.unit_price = *price;
    }
    request
}

fn key(key: &str, fingerprint: u8) -> Option<Key> {
    let key = key.parse().expect("a valid key");
    Some(Key { key, fingerprint: Fingerprint([fingerprint; 16]) })
}

#[test]
fn a_wrong_price_or_product_is_refused_at_the_door_or_rejected_behind_it() {
    let wrong_price = with_prices(request(1, &[("tea", 1)]), &[Some(usd(999))]);
    let unknown = request(2, &[("tea", 1), ("ice", 1)]);
    for (order, code, reason) in [
        (wrong_price, "price_changed", RejectReason::PriceChanged),
        (unknown, "unknown_product", RejectReason::UnknownProduct),
    ] {
        let mut world = World::new(&[("tea", 1000, 10)]);
        assert_eq!(world.submit(place(order.clone())).expect_err("refused at the door").code(), code);
        assert!(world.orders.is_empty());
        let id = order.order_id;
        world.submit(place(PlaceOrder { admission: Admission::Reject, ..order })).expect("taken behind it");
        assert_eq!((world.orders[&id].status, world.orders[&id].reject_reason), (Status::Rejected, Some(reason)));
        assert_eq!(world.orders[&id].due_mails().count(), 1);
    }
}

#[test]
fn a_product_that_is_not_sold_is_unknown() {
    let mut world = World::new(&[("tea", 1000, 10)]);
    let mut put = put_product("tea", usd(1000), None);
    put.active = false;
    world.submit(Body::PutProduct(put)).expect("a known product");
    assert_eq!(world.submit(place(request(1, &[("tea", 1)]))).expect_err("not sold").code(), "unknown_product");
}

#[test]
fn currencies_do_not_mix() {
    let mut world = World::new(&[("tea", 1000, 10)]);
    let eur = Money { amount_minor: 500, currency: Currency::EUR };
    world.submit(Body::PutProduct(put_product("tasse", eur, Some(1)))).expect("a new product");
    let mixed = world.submit(place(request(1, &[("tea", 1), ("tasse", 1)])));
    let expected = Refusal::MixedCurrencies { line: 1, expected: Currency::USD, actual: Currency::EUR };
    assert_eq!(mixed, Err(expected));
    let mut other = request(1, &[("tea", 1)]);
    other.currency = Some(Currency::EUR);
    let expected = Refusal::MixedCurrencies { line: 0, expected: Currency::EUR, actual: Currency::USD };
    assert_eq!(world.submit(place(other.clone())), Err(expected));
    other.admission = Admission::Reject;
    other.lines[0].unit_price = Some(usd(1000));
    assert_eq!(world.submit(place(other)).expect_err("it has no total in any currency").code(), "mixed_currencies");
}

#[test]
fn a_total_beyond_the_limit_is_refused_at_the_line_where_it_gets_there() {
    let mut world = World::new(&[("gold", AMOUNT_MINOR_MAX / 1_000_000, 1), ("penny", 1, 1)]);
    let refused = world.submit(place(request(1, &[("penny", 1), ("gold", 999_999), ("gold", 1), ("penny", 1)])));
    assert_eq!(refused, Err(Refusal::TotalTooLarge { line: 2 }));
    let refused = world.submit(place(request(1, &[("penny", 1), ("gold", i64::MAX)])));
    assert_eq!(refused, Err(Refusal::TotalTooLarge { line: 1 }));
    world.submit(place(request(1, &[("gold", 1_000_000)]))).expect("the limit itself is possible");
}

#[test]
fn an_order_reference_stands_for_one_body() {
    let mut world = World::new(&[("tea", 1000, 10)]);
    let with_ref = |n, units| {
        let order_ref = Some("2026-0001".parse().expect("a valid reference"));
        PlaceOrder { order_ref, ..request(n, &[("tea", units)]) }
    };
    // However the first one came, with a key of its own or without, the second one is the same.
    world.submit_input(&Input::new(place(with_ref(1, 2))).with_key(key("a", 1))).expect("a new order");
    let again = world.submit(place(with_ref(2, 2))).expect("the same body");
    assert_eq!(again.replay, Some(Answer::Order(order_id(1))));
    assert_eq!(world.submit(place(with_ref(3, 3))), Err(Refusal::OrderRefTaken { order_id: order_id(1) }));
    // A key that came with a known reference is used from then on.
    world.submit_input(&Input::new(place(with_ref(4, 2))).with_key(key("b", 2))).expect("the same body");
    let other = Input::new(place(request(5, &[("tea", 1)]))).with_key(key("b", 3));
    assert_eq!(world.submit_input(&other), Err(Refusal::IdempotencyKeyReused));
    assert_eq!(world.orders.len(), 1);
}

#[test]
fn a_key_gives_the_first_answer_until_it_expires() {
    let mut world = World::new(&[("tea", 1000, 10)]);
    let adjust = |delta| Body::AdjustStock {
        product_id: product("tea"),
        delta,
        reason: "counted".into(),
        expected_version: None,
    };
    let first = world.submit_input(&Input::new(adjust(-3)).with_key(key("k", 1))).expect("possible");
    world.submit(adjust(-1)).expect("possible");
    let again = world.submit_input(&Input::new(adjust(-3)).with_key(key("k", 1))).expect("the same body");
    let Some(Answer::Stock(level)) = &again.replay else { panic!("{again:?}") };
    assert_eq!(level.available, 7, "as it was then");
    assert!(again.events.is_empty() && again.stock.is_empty() && !first.stock.is_empty());
    let reused = world.submit_input(&Input::new(adjust(-4)).with_key(key("k", 2)));
    assert_eq!(reused, Err(Refusal::IdempotencyKeyReused));
    world.now += world.policy.idempotency_ttl;
    world.submit_input(&Input::new(adjust(-4)).with_key(key("k", 2))).expect("the key is free again");
}

#[test]
fn an_order_id_stands_for_one_body() {
    let mut world = World::new(&[("tea", 1000, 10)]);
    world.submit(place(request(1, &[("tea", 2)]))).expect("a new order");
    let again = world.submit(place(request(1, &[("tea", 2)]))).expect("the same order");
    assert_eq!(again.replay, Some(Answer::Order(order_id(1))));
    let other = world.submit(place(request(1, &[("tea", 3)])));
    assert_eq!(other, Err(Refusal::IdempotencyKeyReused), "nobody is shown another's order");
}

#[test]
fn stock_takes_no_impossible_change() {
    let mut world = World::new(&[("tea", 1000, 10)]);
    for available in [i64::MIN, -1, i64::MAX] {
        let set = Body::SetStock { product_id: product("tea"), available, expected_version: None };
        assert_eq!(world.submit(set).expect_err("out of range").code(), "stock_out_of_range");
    }
    for delta in [i64::MIN, -11, i64::MAX] {
        let (product_id, reason) = (product("tea"), "counted".into());
        let adjust = Body::AdjustStock { product_id, delta, reason, expected_version: None };
        assert_eq!(world.submit(adjust).expect_err("out of range").code(), "stock_out_of_range");
    }
    let stale = Body::SetStock { product_id: product("tea"), available: 5, expected_version: Some(7) };
    assert_eq!(world.submit(stale), Err(Refusal::VersionConflict { expected: 7, actual: 1 }));
}

#[test]
fn the_last_unit_is_sold_once() {
    let mut mill = Mill::new(&[("tea", 1000, 1)]);
    for n in 1..=3 {
        mill.place(request(n, &[("tea", 1)]));
    }
    mill.settle();
    mill.assert_clean();
    let confirmed = mill.world.orders.values().filter(|order| order.status == Status::Confirmed);
    assert_eq!(confirmed.count(), 1);
    let losers = mill.world.orders.values().filter(|order| order.payment.voided == 1000);
    assert_eq!(losers.filter(|order| order.short.len() == 1 && order.short[0].missing == 1).count(), 2);
}

#[test]
fn what_came_back_is_counted_by_product() {
    let mut mill = Mill::new(&[("tea", 1000, 10), ("cup", 100, 10)]);
    let id = mill.place(request(1, &[("tea", 2), ("cup", 1), ("tea", 1)]));
    mill.drive(id, Status::Confirmed);
    let back = |lines: &[(&str, i64)], restock| {
        let line = |&(id, quantity): &(&str, i64)| ReturnedLine { product_id: product(id), quantity };
        Body::Return { order_id: id, lines: lines.iter().map(line).collect(), restock }
    };
    assert_eq!(mill.submit(back(&[("tea", 1)], true)).expect_err("not shipped").code(), "not_returnable");
    let (order_id, seen_at) = (id, mill.world.now);
    let status = ordermill_core::parcel::ParcelStatus::PickedUp;
    mill.must(Body::ParcelMoved { order_id, status, seen_at });
    for wrong in [&[("tea", 4)][..], &[("tea", 5), ("tea", -3)], &[("tea", i64::MAX), ("tea", i64::MAX)], &[("ice", 1)]]
    {
        assert_eq!(mill.submit(back(wrong, true)).expect_err("too many").code(), "return_too_large", "{wrong:?}");
    }
    assert!(mill.must(back(&[], true)).events.is_empty(), "nothing came back");
    mill.must(back(&[("tea", 1), ("tea", 1)], true));
    assert_eq!(mill.status(id), Status::Shipped);
    let last = mill.must(back(&[("cup", 1), ("tea", 1)], false));
    let [Event::OrderReturned(returned)] = last.events.as_slice() else { panic!("{last:?}") };
    assert!(returned.complete && last.stock.is_empty());
    let in_all = mill.world.orders[&id].returned.iter().map(|line| (line.product_id.as_str(), line.quantity));
    assert_eq!(in_all.collect::<Vec<_>>(), [("tea", 3), ("cup", 1)], "one line a product, however often");
    assert_eq!(mill.status(id), Status::Returned);
    mill.settle();
    mill.assert_clean();
}

#[test]
fn the_archive_hears_of_news_once() {
    let (mut mill, id) = Mill::with_order();
    mill.settle();
    mill.assert_clean();
    let version = mill.order(id).version;
    assert!(mill.must(Body::Archived { order_id: id, version }).events.is_empty(), "that is the archive's own event");
    assert!(mill.must(Body::Archived { order_id: id, version: version + 9 }).events.is_empty(), "not written yet");
    mill.must(Body::Refund { order_id: id, amount_minor: Some(1), reason: "broken".into() });
    assert!(mill.order(id).is_archive_due());
}

/// Stored fingerprints are compared with those of later programs, so none may ever change.
#[test]
fn a_fingerprint_is_stable() {
    let mut order = with_prices(request(1, &[("tea", 2), ("cup", 1)]), &[Some(usd(1000)), None]);
    order.order_ref = Some("2026-0001".parse().expect("a valid reference"));
    order.customer_email = Some(ordermill_core::mail::Email::new("c@example.com").expect("a valid address"));
    order.currency = Some(Currency::USD);
    order.placed_at = Some(crate::support::start());
    order.metadata = serde_json::from_str(r#"{"b": 1, "a": {"d": null, "c": 2}}"#).expect("JSON");
    assert_eq!(order.fingerprint().to_string(), GOLDEN_FINGERPRINT);
    let mut same = order.clone();
    same.order_id = order_id(2);
    same.admission = Admission::Reject;
    same.metadata = Some(json!({"a": {"c": 2, "d": null}, "b": 1}));
    let same = same.traced(Some("request-17".parse().expect("a valid id")), None);
    assert_eq!(
        same.fingerprint(),
        order.fingerprint(),
        "neither ids nor the order of fields are the request's meaning"
    );
    let mut other = order.clone();
    other.lines[0].quantity = 3;
    assert_ne!(other.fingerprint(), order.fingerprint());
}

const GOLDEN_FINGERPRINT: &str = "974b324e66c3f23bba78ee10608d0f72";
