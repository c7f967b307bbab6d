//! Records: taken once, stored once.

use ordermill_core::event::EventType;
use ordermill_core::input::{Body, Input, TakeRecord};
use ordermill_core::record::Stored;
use ordermill_core::refusal::Refusal;

use crate::conformance::Harness;
use crate::conformance::shop::{Shop, key, record, stored};
use crate::ledger::Submission;
use crate::queries::Position;

fn taking(take: &TakeRecord) -> Input {
    Input::new(Body::TakeRecord(Box::new(take.clone())))
}

/// A record is taken once: the same id again gives the record that is there.
pub async fn a_record_is_taken_once(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let mut take = shop.record("first");
    take.received.data = serde_json::json!({"text": "Grüße \u{1F4E6}", "deep": [1, 2.5, null, {"a": []}]});
    take.received.occurred_at = Some("1999-12-31T23:59:59.999999Z".parse().expect("an instant"));
    take.received.correlation_id = Some("trace me".parse().expect("a sound id"));
    let outcome = shop.ask(taking(&take)).await.expect("taken");
    let first = record(&outcome);
    assert!(outcome.changed && !outcome.replayed);
    assert_eq!((first.id, &*first.received, first.received_at), (take.record_id, &take.received, shop.now()));
    assert_eq!((&first.stored, first.stored_at, first.version), (&None, None, 1));
    shop.advance(jiff::SignedDuration::from_secs(1));
    let again = shop.ask(taking(&take)).await.expect("taken before");
    assert_eq!((record(&again), again.changed), (first.clone(), false));
    let other = TakeRecord { record_id: take.record_id, ..shop.record("another text") };
    let (there, changed) = shop.ask_record(Body::TakeRecord(Box::new(other))).await;
    assert_eq!((there, changed), (first, false), "a record never changes");
    assert_eq!(shop.audit().await.records.len(), 1);
}

/// A record is stored once: a redelivery that writes the same object changes nothing.
pub async fn a_record_is_stored_once(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let taken = shop.take_record("text").await;
    shop.advance(jiff::SignedDuration::from_secs(3));
    let done = |attempts| {
        let stored = Stored { attempts, ..stored(1) };
        Body::RecordStored { record_id: taken.id, stored }
    };
    let (there, changed) = shop.ask_record(done(2)).await;
    assert_eq!(
        (there.stored.clone(), there.stored_at, there.version),
        (Some(Stored { attempts: 2, ..stored(1) }), Some(shop.now()), 2)
    );
    assert!(changed && there.received_at < shop.now());
    shop.advance(jiff::SignedDuration::from_secs(3));
    assert_eq!(shop.ask_record(done(3)).await, (there, false));
    let kinds = shop.feed(Position(0)).await.into_iter().map(|(_, recorded)| recorded.event.kind());
    assert!(kinds.eq([EventType::RecordReceived, EventType::RecordStored]));
    shop.audit().await;
}

/// What was never taken cannot be stored.
pub async fn an_unknown_record_is_refused(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.take_record("another").await;
    let record_id = shop.record_id();
    let refused = shop.ask(Input::new(Body::RecordStored { record_id, stored: stored(1) })).await;
    assert_eq!(refused.err(), Some(Refusal::RecordNotFound { record_id }));
    shop.audit().await;
}

/// Records of one call are taken, and stored, one after the other.
pub async fn records_of_one_call_follow_each_other(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let takes: Vec<TakeRecord> = (0..50).map(|number| shop.record(&format!("text {number}"))).collect();
    let store = |take: &TakeRecord, number| Body::RecordStored { record_id: take.record_id, stored: stored(number) };
    let inputs = (0..).zip(&takes).flat_map(|(number, take)| {
        [taking(take), Input::new(store(take, number)), taking(take), Input::new(store(take, number))]
    });
    let results = shop.submit(inputs.map(Submission::new).collect()).await;
    for (chunk, take) in results.chunks(4).zip(&takes) {
        let told = chunk.iter().map(|result| {
            let outcome = result.as_ref().expect("answered");
            let record = record(outcome);
            assert_eq!(record.id, take.record_id);
            // Whether an outcome shows the record after its own input or after the whole commit is the adapter's choice.
            (outcome.changed, record.version)
        });
        let told: Vec<_> = told.collect();
        assert_eq!(told.iter().map(|(changed, _)| *changed).collect::<Vec<_>>(), [true, true, false, false]);
        assert!(told.windows(2).all(|pair| pair[0].1 <= pair[1].1) && told[1].1 == 2, "{told:?}");
    }
    assert_eq!(shop.audit().await.records.len(), takes.len());
}

/// The same key gives the first record, as it is by then, and takes no second; with another body it is refused.
pub async fn the_same_key_gives_the_first_record(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let keyed = |text: &str, request: &str| taking(&shop.record(text)).with_key(Some(key("key-1", request)));
    let first = record(&shop.ask(keyed("text", "the text")).await.expect("taken"));
    let twins =
        shop.submit(vec![Submission::new(keyed("text", "the text")), Submission::new(keyed("text", "the text"))]).await;
    for twin in &twins {
        let twin = twin.as_ref().expect("answered as before");
        assert_eq!((record(twin), twin.changed, twin.replayed), (first.clone(), false, true));
    }
    let (done, _) = shop.ask_record(Body::RecordStored { record_id: first.id, stored: stored(1) }).await;
    let again = shop.ask(keyed("text", "the text")).await.expect("answered as before");
    assert_eq!((record(&again), again.replayed), (done, true));
    assert_eq!(shop.ask(keyed("other", "another text")).await.err(), Some(Refusal::IdempotencyKeyReused));
    shop.advance(shop.settings.policy.idempotency_ttl);
    let later = shop.ask(keyed("other", "another text")).await.expect("the key is free");
    assert!(later.changed && record(&later).id != first.id);
    assert_eq!(shop.audit().await.records.len(), 2);
}
