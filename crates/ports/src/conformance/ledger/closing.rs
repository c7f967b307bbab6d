//! The end of a process.

use std::sync::Arc;
use std::time::Duration;

use crate::conformance::shop::Shop;
use crate::conformance::{Harness, Settings};
use crate::ledger::{Source, Submission, SubmitError};

/// A ledger that is open can commit; a closed one takes nothing and says so. Closing twice is fine.
pub async fn a_closed_ledger_takes_nothing(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    shop.place(&[("apple", 1)]).await;
    let ledger = &shop.backend.ledger;
    assert_eq!(ledger.ready().await, Ok(()));
    ledger.close().await;
    assert!(ledger.ready().await.is_err());
    let inputs = (0..2).map(|_| Submission::new(shop.placing(&[("apple", 1)])));
    let results = ledger.submit(Source::Live, inputs.collect()).await;
    assert!(results.iter().all(|result| matches!(result, Err(SubmitError::Closing))), "{results:?}");
    assert_eq!(results.len(), 2);
    ledger.close().await;
}

/// What was submitted before the close is either answered or refused with `Closing`; every answer given is in the feed.
pub async fn whoever_is_under_way_is_answered(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 1_000).await;
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let shop = shop.share();
        callers.spawn(async move {
            let mut taken = Vec::new();
            loop {
                match shop.backend.ledger.submit_one(Source::Live, shop.placing(&[("apple", 1)])).await {
                    Ok(outcome) => taken.push(outcome.order().expect("an order").id),
                    Err(SubmitError::Closing) => return taken,
                    Err(error) => panic!("a closing ledger answers that it is closing: {error}"),
                }
                // So that there is room for all of them, however late the machine comes to close it.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    shop.backend.ledger.close().await;
    let mut answered = callers.join_all().await.concat();
    answered.sort_unstable();
    let stored: Vec<_> = shop.audit().await.orders.into_keys().collect();
    assert_eq!(answered, stored);
}

/// Who waits for room when the ledger closes need not wait any longer.
pub async fn whoever_waits_for_room_is_told(harness: &dyn Harness) {
    let shop = Shop::open_with(harness, Settings { undecided_max: 1, ..Settings::default() }).await;
    shop.sell("apple", 10).await;
    shop.place(&[("apple", 1)]).await;
    let (ledger, input) = (Arc::clone(&shop.backend.ledger), shop.placing(&[("apple", 1)]));
    let waiting = tokio::spawn(async move { ledger.submit_one(Source::Live, input).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    shop.backend.ledger.close().await;
    let result = waiting.await.expect("the caller is answered");
    let told = matches!(result, Err(SubmitError::Closing | SubmitError::Overloaded { .. }));
    assert!(told, "{result:?}");
}
