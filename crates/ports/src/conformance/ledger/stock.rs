//! Products and stock as people set them.

use ordermill_core::input::{Body, Input, PutProduct};
use ordermill_core::limits::STOCK_UNITS_MAX;
use ordermill_core::order::Status;
use ordermill_core::refusal::Refusal;

use crate::conformance::Harness;
use crate::conformance::shop::{Shop, product};
use crate::ledger::{Outcome, OutcomeSubject};

fn set(available: i64, expected_version: Option<u64>) -> Input {
    Input::new(Body::SetStock { product_id: product("apple"), available, expected_version })
}

fn adjust(delta: i64, expected_version: Option<u64>) -> Input {
    let reason = "counted".into();
    Input::new(Body::AdjustStock { product_id: product("apple"), delta, reason, expected_version })
}

fn stock_of(outcome: &Outcome) -> (i64, u64) {
    match &outcome.subject {
        OutcomeSubject::Stock(level) => (level.available, level.version),
        other => panic!("a change of stock is answered with the stock, not with {other:?}"),
    }
}

/// A product is answered whole; the same content again changes nothing, other content raises its version.
pub async fn a_product_put_again_changes_nothing(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let put = |put: PutProduct| Input::new(Body::PutProduct(put));
    let first = shop.ask(put(shop.product("apple", None))).await.expect("a sound product is taken");
    let OutcomeSubject::Product { product, stock: None } = &first.subject else {
        panic!("a product without stock is answered as that, not as {first:?}");
    };
    assert_eq!(product.version, 1);
    let again = shop.ask(put(shop.product("apple", None))).await.expect("it may be put again");
    assert!(!again.changed);
    let renamed = PutProduct { name: "Red apple".into(), ..shop.product("apple", None) };
    let renamed = shop.ask(put(renamed)).await.expect("it may be changed");
    assert!(matches!(&renamed.subject, OutcomeSubject::Product { product, .. } if product.version == 2));
    let stale = PutProduct { expected_version: Some(1), ..shop.product("apple", None) };
    let conflict = Refusal::VersionConflict { expected: 1, actual: 2 };
    assert_eq!(shop.ask(put(stale)).await.err(), Some(conflict));
    shop.audit().await;
}

/// An opening stock counts only where none was ever set, also when all of it is gone.
pub async fn stock_opens_once(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 5).await;
    shop.sell("apple", 9).await;
    assert_eq!(shop.units("apple").await, (5, 0, 0));
    shop.ask(adjust(-5, None)).await.expect("five are there to take");
    shop.sell("apple", 9).await;
    assert_eq!(shop.units("apple").await, (0, 0, 0));
    shop.audit().await;
}

/// Setting and adjusting give the stock with its version, and refuse a version that is past.
pub async fn stock_changes_are_guarded_by_version(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.ask(Input::new(Body::PutProduct(shop.product("apple", None)))).await.expect("taken");
    assert_eq!(shop.stock("apple").await, None);
    assert_eq!(stock_of(&shop.ask(set(10, Some(0))).await.expect("nothing was set before")), (10, 1));
    assert_eq!(stock_of(&shop.ask(adjust(-3, Some(1))).await.expect("the version is right")), (7, 2));
    for stale in [set(1, Some(1)), adjust(1, Some(1)), set(1, Some(3))] {
        assert_eq!(shop.ask(stale).await.expect_err("the version is wrong").code(), "version_conflict");
    }
    assert_eq!(stock_of(&shop.ask(set(7, None)).await.expect("without a version it is set")), (7, 3));
    shop.audit().await;
}

/// Stock is never below zero, never beyond its limit, and only products have any.
pub async fn stock_stays_in_its_range(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let unknown = Refusal::ProductNotFound { product_id: product("apple") };
    assert_eq!(shop.ask(set(1, None)).await.err(), Some(unknown.clone()));
    assert_eq!(shop.ask(adjust(1, None)).await.err(), Some(unknown));
    shop.sell("apple", 5).await;
    for out in [adjust(-6, None), adjust(i64::MAX, None), set(-1, None), set(STOCK_UNITS_MAX + 1, None)] {
        assert_eq!(shop.ask(out).await.expect_err("it is out of range").code(), "stock_out_of_range");
    }
    assert_eq!(shop.units("apple").await, (5, 0, 0));
    assert_eq!(
        stock_of(&shop.ask(set(STOCK_UNITS_MAX, None)).await.expect("the limit itself is fine")).0,
        STOCK_UNITS_MAX
    );
    shop.audit().await;
}

/// What orders hold is not touched by setting what is available.
pub async fn setting_stock_leaves_what_is_held(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let held = shop.place(&[("apple", 4)]).await;
    shop.drive(held.id, Status::Reserved).await;
    shop.ask(set(1, None)).await.expect("taken");
    assert_eq!(shop.units("apple").await, (1, 4, 0));
    shop.drive(held.id, Status::Confirmed).await;
    assert_eq!(shop.units("apple").await, (1, 0, 4));
    shop.audit().await;
}

/// A product that is not sold at present, a price that has changed, and mixed currencies are refused at the door.
pub async fn the_catalogue_decides_what_can_be_ordered(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 5).await;
    let mut stale = shop.request(&[("apple", 1)]);
    stale.lines[0].unit_price =
        Some(ordermill_core::money::Money { amount_minor: 1, ..shop.product("apple", None).price });
    let refusal = shop.ask(Input::new(Body::Place(Box::new(stale.clone())))).await.expect_err("the price is another");
    assert_eq!(refusal.code(), "price_changed");
    stale.admission = ordermill_core::input::Admission::Reject;
    let rejected = shop.place_request(stale).await;
    assert_eq!(rejected.status, Status::Rejected);
    let withdrawn = PutProduct { active: false, ..shop.product("apple", None) };
    shop.ask(Input::new(Body::PutProduct(withdrawn))).await.expect("taken");
    let refusal = shop.ask(shop.placing(&[("apple", 1)])).await.expect_err("it is not sold");
    assert_eq!(refusal.code(), "unknown_product");
    shop.audit().await;
}
