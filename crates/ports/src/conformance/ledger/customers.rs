//! Customers, as people set them.

use ordermill_core::event::EventType;
use ordermill_core::input::{Body, Input, PutCustomer};
use ordermill_core::mail::Email;
use ordermill_core::refusal::Refusal;

use crate::conformance::Harness;
use crate::conformance::shop::{Shop, customer};
use crate::ledger::{OutcomeSubject, Submission};
use crate::queries::{Deleted, Position};

fn delete(id: &str, expected_version: Option<u64>) -> Body {
    Body::DeleteCustomer { customer_id: customer(id), expected_version }
}

/// The same content again changes nothing; any other is a new version.
pub async fn a_customer_put_again_changes_nothing(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let full = PutCustomer {
        name: "Zoë \"Z\" Ångström".into(),
        email: Some(Email::new("someone@example.com").expect("a sound address")),
        address: Some(serde_json::json!({"street": "Hauptstraße 1", "floor": null})),
        metadata: Some(serde_json::json!({"since": 2020, "tags": ["a", "b"]})),
        ..shop.customer("c-1")
    };
    let (first, changed) = shop.put_customer(full.clone()).await;
    assert!(changed && first.version == 1 && !first.deleted);
    assert_eq!((&first.name, &first.email), (&full.name, &full.email));
    assert_eq!((&first.address, &first.metadata), (&full.address, &full.metadata));
    assert_eq!(shop.put_customer(full.clone()).await, (first, false));
    for (version, put) in (2..).zip([
        PutCustomer { name: "Zoë".into(), ..full.clone() },
        PutCustomer { email: None, ..full.clone() },
        PutCustomer { address: None, ..full.clone() },
        PutCustomer { metadata: None, ..full.clone() },
    ]) {
        let (customer, changed) = shop.put_customer(put).await;
        assert!(changed && customer.version == version);
    }
    shop.audit().await;
}

/// A change that names a version is made on that version only; 0 is that of a customer who is not there.
pub async fn customer_changes_are_guarded_by_version(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let named = |name: &str, expected_version| {
        let put = PutCustomer { name: name.into(), expected_version, ..shop.customer("c-1") };
        Body::PutCustomer(Box::new(put))
    };
    let conflict = |expected, actual| Some(Refusal::VersionConflict { expected, actual });
    assert_eq!(shop.ask_customer(named("Ann", Some(1))).await.err(), conflict(1, 0));
    shop.ask_customer(named("Ann", Some(0))).await.expect("there is none yet");
    assert_eq!(shop.ask_customer(named("Ann", Some(0))).await.err(), conflict(0, 1), "also with the same content");
    assert_eq!(shop.ask_customer(named("Bea", Some(2))).await.err(), conflict(2, 1));
    let (customer, _) = shop.ask_customer(named("Bea", Some(1))).await.expect("this is the version");
    assert_eq!((customer.version, &*customer.name), (2, "Bea"));
    assert_eq!(shop.ask_customer(delete("c-1", Some(1))).await.err(), conflict(1, 2));
    let (customer, _) = shop.ask_customer(delete("c-1", Some(2))).await.expect("this is the version");
    assert!(customer.deleted && customer.version == 3, "deleting is a change");
    let racers = ["Ann", "Bea", "Cem"].map(|name| Submission::new(Input::new(named(name, Some(3)))));
    let results = shop.submit(racers.into()).await;
    assert!(results[0].is_ok() && results[1].is_err() && results[2].is_err(), "the first wins: {results:?}");
    shop.audit().await;
}

/// Deleting keeps the customer and hides them; deleting again changes nothing; putting brings them back, also with what they had.
pub async fn a_deleted_customer_can_be_put_again(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let unknown = Refusal::CustomerNotFound { customer_id: customer("c-1") };
    assert_eq!(shop.ask_customer(delete("c-1", None)).await.err(), Some(unknown));
    let (before, _) = shop.put_customer(shop.customer("c-1")).await;
    let (gone, changed) = shop.ask_customer(delete("c-1", None)).await.expect("it is there");
    assert!(changed && gone.deleted && gone.version == 2 && gone.name == before.name);
    assert_eq!(shop.ask_customer(delete("c-1", None)).await, Ok((gone, false)));
    let (back, changed) = shop.put_customer(shop.customer("c-1")).await;
    assert!(changed && !back.deleted && back.version == 3);
    let kinds = shop.feed(Position(0)).await.into_iter().map(|(_, recorded)| recorded.event.kind());
    assert!(kinds.eq([EventType::CustomerPut, EventType::CustomerDeleted, EventType::CustomerPut]));
    shop.audit().await;
}

/// Inputs of one call about one customer follow each other; an order needs no record of its customer.
pub async fn customers_of_one_call_follow_each_other(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let put = |id: &str| Body::PutCustomer(Box::new(shop.customer(id)));
    let bodies = [put("c-1"), put("c-1"), put("c-2"), delete("c-1", Some(1)), delete("c-2", Some(1)), put("c-1")];
    let results = shop.submit(bodies.map(|body| Submission::new(Input::new(body))).into()).await;
    let told = results.iter().map(|result| match result.as_ref().map(|outcome| (&outcome.subject, outcome.changed)) {
        Ok((OutcomeSubject::Customer(customer), changed)) => (customer.id.as_str(), changed),
        other => panic!("{other:?} is no customer"),
    });
    let expected = [("c-1", true), ("c-1", false), ("c-2", true), ("c-1", true), ("c-2", true), ("c-1", true)];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    let customers = shop.list_customers(Deleted::Shown, 10).await;
    let now = customers.iter().map(|customer| (customer.id.as_str(), customer.version, customer.deleted));
    assert!(now.eq([("c-1", 3, false), ("c-2", 2, true)]), "{customers:?}");
    shop.place(&[("apple", 1)]).await;
    assert_eq!(shop.audit().await.customers.len(), 2);
}
