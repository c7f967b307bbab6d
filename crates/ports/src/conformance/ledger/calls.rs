//! Many inputs in one call.

use ordermill_core::input::{Body, Input, PaymentAnswer, PaymentResult};
use ordermill_core::limits::SUBMIT_INPUTS_MAX;
use ordermill_core::order::Status;
use ordermill_core::payment::{OperationId, OperationKind, PaymentKey, due_request};
use ordermill_core::refusal::Refusal;

use crate::conformance::Harness;
use crate::conformance::shop::{Shop, product, succeeded};
use crate::ledger::{OutcomeSubject, Source, Submission, SubmitError};

/// A call without submissions has no results.
pub async fn an_empty_call_is_answered(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    assert!(shop.submit(Vec::new()).await.is_empty());
}

/// Every submission has its own result, in order; a bad one takes nothing from the others.
pub async fn one_bad_input_spares_the_others(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let requests =
        [shop.request(&[("apple", 1)]), shop.request(&[("no such thing", 1)]), shop.request(&[("apple", 2)])];
    let ids = requests.each_ref().map(|request| request.order_id);
    let placing = requests.map(|request| Submission::new(Input::new(Body::Place(Box::new(request)))));
    let results = shop.submit(placing.into()).await;
    for (result, id) in [(&results[0], ids[0]), (&results[2], ids[2])] {
        let outcome = result.as_ref().expect("a sound order is taken");
        assert_eq!(outcome.order().map(|order| order.id), Some(id));
        assert!(outcome.changed && !outcome.replayed);
    }
    let refusal = Refusal::UnknownProduct { line: 0, product_id: product("no such thing") };
    assert!(matches!(&results[1], Err(SubmitError::Refused(actual)) if *actual == refusal), "{:?}", results[1]);
    assert_eq!(shop.audit().await.orders.len(), 2);
}

/// Inputs of one call about one order take effect one after the other, each on what the one before left.
pub async fn inputs_about_one_order_follow_each_other(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 2).await;
    let request = shop.request(&[("apple", 2)]);
    let order_id = request.order_id;
    let answered = |kind| {
        let operation = OperationId { kind, number: 1 };
        let key = PaymentKey { order_id, operation, attempt: 1 };
        Body::PaymentResult(PaymentResult { key, answer: succeeded() })
    };
    let bodies = [
        Body::Place(Box::new(request)),
        answered(OperationKind::Authorize),
        Body::Reserve { order_id },
        answered(OperationKind::Capture),
        Body::Reserve { order_id },
    ];
    let results = shop.submit(bodies.map(|body| Submission::new(Input::new(body))).into()).await;
    let seen = results.iter().map(|result| {
        let outcome = result.as_ref().expect("every step is possible after the one before");
        (outcome.changed, outcome.order().expect("it is about the order").version)
    });
    // Whether an outcome shows the order after its own input or after the whole commit is the adapter's choice.
    let seen: Vec<_> = seen.collect();
    assert_eq!(seen.iter().map(|(changed, _)| *changed).collect::<Vec<_>>(), [true, true, true, true, false]);
    assert!(seen.windows(2).all(|pair| pair[0].1 <= pair[1].1) && seen[4].1 == 5, "{seen:?}");
    assert_eq!(shop.order(order_id).await.status, Status::Confirmed);
    shop.audit().await;
}

/// Changes of one product in one call follow each other too, the refused ones left out.
pub async fn inputs_about_one_product_follow_each_other(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let adjust = |delta| Body::AdjustStock {
        product_id: product("apple"),
        delta,
        reason: "counted".into(),
        expected_version: None,
    };
    let set = Body::SetStock { product_id: product("apple"), available: 7, expected_version: Some(2) };
    let bodies = [adjust(1), Body::PutProduct(shop.product("apple", Some(5))), adjust(-5), adjust(-1), set, adjust(3)];
    let results = shop.submit(bodies.map(|body| Submission::new(Input::new(body))).into()).await;
    let taken: Vec<bool> = results.iter().map(Result::is_ok).collect();
    assert_eq!(taken, [false, true, true, false, true, true]);
    let level = shop.stock("apple").await.expect("the product has stock");
    assert_eq!((level.available, level.version), (10, 4));
    shop.audit().await;
}

/// The largest call that is allowed is answered in full.
pub async fn the_largest_call_is_answered(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 1).await;
    let inputs: Vec<Submission> =
        (0..SUBMIT_INPUTS_MAX).map(|_| Submission::new(shop.placing(&[("apple", 1)]))).collect();
    let ids: Vec<_> = inputs
        .iter()
        .map(|submission| match &submission.input.body {
            Body::Place(request) => request.order_id,
            other => panic!("{other:?} places nothing"),
        })
        .collect();
    let results = shop.submit(inputs).await;
    let answered: Vec<_> =
        results.iter().map(|result| result.as_ref().expect("taken").order().expect("an order").id).collect();
    assert_eq!(answered, ids);
    assert_eq!(shop.audit().await.orders.len(), SUBMIT_INPUTS_MAX);
}

/// An input that carries nothing is answered with nothing.
pub async fn nothing_is_answered_with_nothing(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    for source in [Source::Results, Source::Live, Source::Import] {
        let outcome = shop.backend.ledger.submit_one(source, Input::new(Body::Nothing)).await.expect("it is taken");
        assert!(matches!(outcome.subject, OutcomeSubject::Nothing) && !outcome.changed && !outcome.replayed);
    }
}

/// Many callers at once are all answered, and what they did adds up.
pub async fn concurrent_callers_add_up(harness: &dyn Harness) {
    const CALLERS: usize = 16;
    const ORDERS: usize = 20;
    let shop = Shop::open(harness).await;
    shop.sell("apple", 1_000).await;
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..CALLERS {
        let shop = shop.share();
        callers.spawn(async move {
            for _ in 0..ORDERS {
                let placed = shop.backend.ledger.submit_one(Source::Live, shop.placing(&[("apple", 1)])).await;
                let order = std::sync::Arc::clone(placed.expect("taken").order().expect("an order"));
                let key = due_request(&order).expect("the authorize is due").key;
                let paid = Body::PaymentResult(PaymentResult { key, answer: PaymentAnswer::Unknown });
                let order_id = order.id;
                let steps =
                    [paid, Body::PaymentResult(PaymentResult { key, answer: succeeded() }), Body::Reserve { order_id }];
                for body in steps {
                    let outcome = shop.backend.ledger.submit_one(Source::Results, Input::new(body)).await;
                    assert!(outcome.expect("taken").changed);
                }
            }
        });
    }
    callers.join_all().await;
    let reserved = i64::try_from(CALLERS * ORDERS).expect("a small number");
    assert_eq!(shop.units("apple").await, (1_000 - reserved, reserved, 0));
    shop.audit().await;
}
