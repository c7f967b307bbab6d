//! Products that are taken out of the catalogue, and come back.

use ordermill_core::event::EventType;
use ordermill_core::input::{Admission, Body, Input, PlaceOrder, PutProduct};
use ordermill_core::order::{RejectReason, Status};
use ordermill_core::refusal::Refusal;

use crate::conformance::Harness;
use crate::conformance::shop::{Shop, product};
use crate::ledger::{Outcome, OutcomeSubject, Submission};
use crate::queries::Position;

fn delete(id: &str, expected_version: Option<u64>) -> Input {
    Input::new(Body::DeleteProduct { product_id: product(id), expected_version })
}

/// Whether the product is deleted, its version, and its units, as an outcome says.
fn told(outcome: &Outcome) -> (bool, u32, Option<i64>) {
    match &outcome.subject {
        OutcomeSubject::Product { product, stock } => {
            (product.deleted, product.version, stock.as_ref().map(|level| level.available))
        }
        other => panic!("the outcome of an input about a product is the product: {other:?}"),
    }
}

/// Deleting keeps product and stock; deleting again changes nothing; putting brings it back with the stock it had.
pub async fn a_deleted_product_can_be_put_again(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let unknown = Refusal::ProductNotFound { product_id: product("apple") };
    assert_eq!(shop.ask(delete("apple", None)).await.err(), Some(unknown));
    shop.sell("apple", 7).await;
    let gone = shop.ask(delete("apple", None)).await.expect("it is there");
    assert_eq!((told(&gone), gone.changed), ((true, 2, Some(7)), true));
    let again = shop.ask(delete("apple", None)).await.expect("it is gone");
    assert_eq!((told(&again), again.changed), ((true, 2, Some(7)), false));
    let put = PutProduct { opening_stock: Some(100), ..shop.product("apple", None) };
    let back = shop.ask(Input::new(Body::PutProduct(put))).await.expect("a sound product is taken");
    assert_eq!((told(&back), back.changed), ((false, 3, Some(7)), true), "its stock was opened long ago");
    let kinds = shop.feed(Position(0)).await.into_iter().map(|(_, recorded)| recorded.event.kind());
    use EventType::{ProductDeleted, ProductPut, StockSet};
    assert!(kinds.eq([ProductPut, StockSet, ProductDeleted, ProductPut]));
    shop.place(&[("apple", 1)]).await;
    shop.audit().await;
}

/// What is deleted cannot be ordered: refused at the door, or rejected where nobody waits. Orders from before go on.
pub async fn a_deleted_product_cannot_be_ordered(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let before = shop.place(&[("apple", 3)]).await;
    // In one call: the order behind the delete is refused, the one before it is not.
    let inputs = vec![
        Submission::new(shop.placing(&[("apple", 1)])),
        Submission::new(delete("apple", None)),
        Submission::new(shop.placing(&[("apple", 1)])),
    ];
    let results = shop.submit(inputs).await;
    assert!(results[0].is_ok() && results[1].is_ok() && results[2].is_err(), "{results:?}");
    let refused = shop.ask(shop.placing(&[("apple", 1)])).await;
    assert_eq!(refused.err(), Some(Refusal::UnknownProduct { line: 0, product_id: product("apple") }));
    let request = PlaceOrder { admission: Admission::Reject, ..shop.request(&[("apple", 1)]) };
    let rejected = shop.place_request(request).await;
    assert_eq!((rejected.status, rejected.reject_reason), (Status::Rejected, Some(RejectReason::UnknownProduct)));
    shop.drive(before.id, Status::Confirmed).await;
    assert_eq!(shop.units("apple").await, (7, 0, 3));
    shop.audit().await;
}

/// A delete that names a version is made on that version only; stock can still be counted.
pub async fn deletes_are_guarded_by_version(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 5).await;
    let conflict = |expected, actual| Some(Refusal::VersionConflict { expected, actual });
    assert_eq!(shop.ask(delete("apple", Some(2))).await.err(), conflict(2, 1));
    shop.ask(delete("apple", Some(1))).await.expect("this is the version");
    assert_eq!(shop.ask(delete("apple", Some(1))).await.err(), conflict(1, 2), "deleting is a change");
    let put = PutProduct { expected_version: Some(1), ..shop.product("apple", None) };
    assert_eq!(shop.ask(Input::new(Body::PutProduct(put.clone()))).await.err(), conflict(1, 2));
    let count = Body::SetStock { product_id: product("apple"), available: 9, expected_version: Some(1) };
    shop.ask(Input::new(count)).await.expect("what lies there can be counted");
    assert_eq!(shop.units("apple").await, (9, 0, 0));
    let put = PutProduct { expected_version: Some(2), ..put };
    assert_eq!(
        told(&shop.ask(Input::new(Body::PutProduct(put))).await.expect("this is the version")),
        (false, 3, Some(9))
    );
    shop.audit().await;
}
