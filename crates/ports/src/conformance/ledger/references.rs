//! The shop's own order numbers, and order ids, stand for one order each.

use std::sync::Arc;

use ordermill_core::input::{Body, Input, PlaceOrder};
use ordermill_core::order::Status;
use ordermill_core::refusal::Refusal;

use crate::conformance::Harness;
use crate::conformance::shop::{Shop, key};
use crate::ledger::{Source, Submission, SubmitError};

fn placing(request: PlaceOrder) -> Input {
    Input::new(Body::Place(Box::new(request)))
}

/// The same reference with the same body is the same order, found by its reference.
pub async fn the_same_reference_is_the_same_order(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let request = || shop.request_ref(&[("apple", 2)], "A-1");
    let first = shop.place_request(request()).await;
    shop.drive(first.id, Status::Confirmed).await;
    shop.advance(shop.settings.policy.idempotency_ttl * 2);
    let again = shop.ask(placing(request())).await.expect("answered as before");
    assert!(again.replayed && !again.changed);
    assert_eq!((again.order().expect("an order").id, again.key_expires_at), (first.id, None));
    // A key that comes with it counts from then on, not from when the order was placed.
    let keyed =
        shop.ask(placing(request()).with_key(Some(key("key-1", "two apples")))).await.expect("answered as before");
    let lives = keyed.key_expires_at.expect("a key came with it").duration_since(first.created_at);
    assert!(keyed.replayed && lives >= shop.settings.policy.idempotency_ttl * 3, "{lives}");
    let order_ref = "A-1".parse().expect("a sound reference");
    assert_eq!(shop.backend.queries.order_by_ref(&order_ref).await.expect("readable"), Some(first.id));
    let unknown = "a-1".parse().expect("a sound reference");
    assert_eq!(shop.backend.queries.order_by_ref(&unknown).await.expect("readable"), None);
    let many = [unknown.clone(), order_ref, unknown];
    let found = shop.backend.queries.orders_by_ref(&many).await.expect("readable");
    assert_eq!(found, [None, Some(first.id), None]);
    assert_eq!(shop.audit().await.orders.len(), 1);
}

/// The same reference with another body is refused, and says which order has it.
pub async fn a_taken_reference_is_refused(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let first = shop.place_request(shop.request_ref(&[("apple", 2)], "A-1")).await;
    let taken = Refusal::OrderRefTaken { order_id: first.id };
    let other = shop.request_ref(&[("apple", 3)], "A-1");
    assert_eq!(shop.ask(placing(other.clone())).await.err(), Some(taken.clone()));
    let keyed = placing(other).with_key(Some(key("key-1", "three apples")));
    assert_eq!(shop.ask(keyed).await.err(), Some(taken));
    assert_eq!(shop.audit().await.orders.len(), 1);
}

/// A reference used at once with two bodies: one body wins, its twins get its order, the others are refused.
pub async fn a_contested_reference_has_one_order(harness: &dyn Harness) {
    const CALLERS: i64 = 32;
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let ledger = Arc::clone(&shop.backend.ledger);
        let quantity = 1 + caller % 2;
        let input = placing(shop.request_ref(&[("apple", quantity)], "A-1"));
        callers.spawn(async move { (quantity, ledger.submit_one(Source::Live, input).await) });
    }
    let results = callers.join_all().await;
    let books = shop.audit().await;
    assert_eq!(books.orders.len(), 1);
    let order = books.orders.values().next().expect("there is one");
    let winning = order.placement.lines[0].quantity;
    for (quantity, result) in results {
        match result {
            Ok(outcome) => assert_eq!((outcome.order().expect("an order").id, quantity), (order.id, winning)),
            Err(refused) => {
                let taken = Refusal::OrderRefTaken { order_id: order.id };
                assert_eq!((refused.to_string(), quantity), (taken.to_string(), 3 - winning));
            }
        }
    }
}

/// Twins and a stranger with one reference in one call: as if they came one after the other.
pub async fn a_reference_within_one_call(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let inputs = [2, 2, 3].map(|quantity| Submission::new(placing(shop.request_ref(&[("apple", quantity)], "A-1"))));
    let results = shop.submit(inputs.into()).await;
    let ids: Vec<_> =
        results.iter().map(|result| result.as_ref().ok().and_then(|outcome| Some(outcome.order()?.id))).collect();
    assert!(ids[0].is_some() && ids[1] == ids[0] && ids[2].is_none(), "{results:?}");
    assert_eq!(shop.audit().await.orders.len(), 1);
}

/// The same order id again is the same order: a call whose answer was lost can be made again as it was.
pub async fn the_same_order_id_is_the_same_order(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let request = shop.request(&[("apple", 1)]);
    let first = shop.place_request(request.clone()).await;
    let again = shop.ask(placing(request)).await.expect("answered as before");
    assert!(again.replayed && !again.changed);
    assert_eq!(again.order().expect("an order").id, first.id);
    assert_eq!(shop.audit().await.orders.len(), 1);
}

/// A key that comes with a reference that is known is used from then on, although the answer is that of the reference: the next
/// request under it is answered by it, or refused. Another key is recorded beside it, and a refused one stays free.
pub async fn a_key_beside_a_known_reference_is_kept(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let keyed = |name: &str, quantity: i64| {
        let request = shop.request_ref(&[("apple", quantity)], "A-1");
        placing(request).with_key(Some(key(name, &format!("{quantity} apples"))))
    };
    let first = shop.place_request(shop.request_ref(&[("apple", 2)], "A-1")).await;
    let taken = Some(Refusal::OrderRefTaken { order_id: first.id });
    assert_eq!(shop.ask(keyed("key-2", 3)).await.err(), taken, "and its key stays free");
    let in_one_call = vec![Submission::new(keyed("key-1", 2)), Submission::new(keyed("key-1", 3))];
    let results = shop.submit(in_one_call).await;
    let known = results[0].as_ref().expect("answered as before");
    assert!(known.replayed && !known.changed && known.order().is_some_and(|order| order.id == first.id));
    assert!(matches!(results[1], Err(SubmitError::Refused(Refusal::IdempotencyKeyReused))), "{results:?}");
    assert_eq!(shop.ask(keyed("key-1", 3)).await.err(), Some(Refusal::IdempotencyKeyReused));
    let second = shop.ask(keyed("key-2", 2)).await.expect("answered as before");
    assert!(second.replayed && second.order().is_some_and(|order| order.id == first.id));
    // The keys stand for this order, whatever they come with.
    for name in ["key-1", "key-2"] {
        let other = shop.placing(&[("apple", 1)]).with_key(Some(key(name, "2 apples")));
        let answer = shop.ask(other).await.expect("answered as before");
        assert!(answer.replayed && answer.order().is_some_and(|order| order.id == first.id));
    }
    assert_eq!(shop.audit().await.orders.len(), 1);
}
