//! Customers, records and deleted products: random changes, each held against what it has to do.
//! [`Kept`](crate::support::kept::Kept) checks every step against the fold of all events.

use ordermill_core::customer::Customer;
use ordermill_core::event::{Empty, Event, RecordReceived};
use ordermill_core::facts::Facts;
use ordermill_core::idempotency::{Answer, Fingerprint};
use ordermill_core::input::{Body, Input, Key, PutCustomer, TakeRecord};
use ordermill_core::money::{Currency, Money};
use ordermill_core::product::Product;
use ordermill_core::record::{Record, Stored};
use ordermill_core::refusal::Refusal;
use proptest::prelude::*;
use serde_json::json;

use crate::support::world::{World, put_product};
use crate::support::{cases, customer, place, product, record_id, request, start};

fn put_customer(name: &str, expected_version: Option<u64>) -> Body {
    Body::PutCustomer(Box::new(PutCustomer {
        customer_id: customer("household-900"),
        name: name.into(),
        email: None,
        address: None,
        metadata: None,
        expected_version,
    }))
}

fn delete_customer(expected_version: Option<u64>) -> Body {
    Body::DeleteCustomer { customer_id: customer("household-900"), expected_version }
}

fn take(n: u128, text: &str) -> Body {
    let received = RecordReceived { data: json!({ "text": text }), occurred_at: None, correlation_id: None };
    Body::TakeRecord(Box::new(TakeRecord { record_id: record_id(n), received }))
}

fn stored(key: &str, attempts: u32) -> Stored {
    Stored { key: key.into(), attempts }
}

/// One change of something with a name, a version and a mark that it was deleted.
#[derive(Debug, Clone, Copy)]
struct Change {
    /// 0 deletes, any other is the new name.
    name: u8,
    expected_version: Option<u64>,
}

fn change() -> impl Strategy<Value = Change> {
    (0..4_u8, prop::option::weighted(0.3, 0..5_u64))
        .prop_map(|(name, expected_version)| Change { name, expected_version })
}

/// What is to come of a change to a thing with this name, version and mark: the thing after it, or nothing where it is refused.
type Thing = Option<(u8, u32, bool)>;

fn expected(present: Thing, change: Change) -> Result<Thing, Refusal> {
    let actual = present.map_or(0, |(_, version, _)| u64::from(version));
    if change.name == 0 && present.is_none() {
        return Err(Refusal::CustomerNotFound { customer_id: customer("household-900") });
    }
    if let Some(expected) = change.expected_version.filter(|expected| *expected != actual) {
        return Err(Refusal::VersionConflict { expected, actual });
    }
    Ok(match (present, change.name) {
        (Some((name, version, false)), 0) => Some((name, version + 1, true)),
        (Some((name, version, false)), to) if name != to => Some((to, version + 1, false)),
        (Some((_, version, true)), to) if to != 0 => Some((to, version + 1, false)),
        (None, to) => Some((to, 1, false)),
        (unchanged, _) => unchanged,
    })
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn customers_change_as_asked(changes in prop::collection::vec(change(), 1..40)) {
        let mut world = World::new(&[]);
        let mut present: Thing = None;
        for change in changes {
            let body = match change.name {
                0 => delete_customer(change.expected_version),
                name => put_customer(&name.to_string(), change.expected_version),
            };
            let events = world.submit(body).map(|decision| decision.events.len());
            match expected(present, change) {
                Err(refusal) => prop_assert_eq!(events, Err(refusal)),
                Ok(after) => {
                    prop_assert_eq!(events, Ok(usize::from(after != present)));
                    present = after;
                }
            }
            let read = world.kept.customers.get(&customer("household-900"));
            let read = read.map(|customer| (customer.name.parse().expect("a number"), customer.version, customer.deleted));
            prop_assert_eq!(read, present);
        }
    }

    #[test]
    fn products_change_as_asked(changes in prop::collection::vec(change(), 1..40)) {
        let mut world = World::new(&[]);
        let mut present: Thing = None;
        for change in changes {
            let expected_version = change.expected_version;
            let body = match change.name {
                0 => Body::DeleteProduct { product_id: product("tea"), expected_version },
                name => {
                    let price = Money { amount_minor: name.into(), currency: Currency::USD };
                    let put = put_product("tea", price, None);
                    Body::PutProduct(ordermill_core::input::PutProduct { expected_version, ..put })
                }
            };
            let events = world.submit(body).map(|decision| decision.events.len());
            match expected(present, change) {
                Err(Refusal::CustomerNotFound { .. }) => {
                    prop_assert_eq!(events, Err(Refusal::ProductNotFound { product_id: product("tea") }));
                }
                Err(refusal) => prop_assert_eq!(events, Err(refusal)),
                Ok(after) => {
                    prop_assert_eq!(events, Ok(usize::from(after != present)));
                    present = after;
                }
            }
            let read = world.product(&product("tea"));
            let told = read.map(|product| (product.price.amount_minor as u8, product.version, product.deleted));
            prop_assert_eq!(told, present);
            let is_for_sale = read.is_some_and(Product::is_for_sale);
            prop_assert_eq!(world.submit(place(request(world.orders.len() as u128 + 1, &[("tea", 1)]))).is_ok(), is_for_sale);
        }
    }

    /// Records are taken once and stored once under one key, however often and in whatever order it is said.
    #[test]
    fn records_are_taken_and_stored_once(acts in prop::collection::vec((1..4_u128, 0..3_u8, 1..4_u32), 1..60)) {
        let mut world = World::new(&[]);
        for (n, act, attempts) in acts {
            let before = world.kept.records.get(&record_id(n)).cloned();
            let body = match act {
                0 => take(n, &attempts.to_string()),
                _ => Body::RecordStored { record_id: record_id(n), stored: stored(&format!("processed/{n}.json"), attempts) },
            };
            let decided = world.submit(body).map(|decision| decision.events.len());
            let after = world.kept.records.get(&record_id(n)).cloned();
            match (before, act) {
                (None, 0) => prop_assert!(after.is_some_and(|record| record.stored.is_none() && record.version == 1)),
                (None, _) => prop_assert_eq!(decided, Err(Refusal::RecordNotFound { record_id: record_id(n) })),
                (Some(before), 0) => prop_assert_eq!((decided, after), (Ok(0), Some(before))),
                (Some(before), _) if before.stored.is_some() => prop_assert_eq!((decided, after), (Ok(0), Some(before))),
                (Some(before), _) => {
                    let after = after.expect("it is there");
                    prop_assert_eq!((&after.received, after.version), (&before.received, 2));
                    prop_assert_eq!(after.stored.map(|stored| stored.attempts), Some(attempts));
                    prop_assert_eq!(after.stored_at, Some(world.now));
                }
            }
        }
    }
}

#[test]
fn a_key_gives_the_first_record() {
    let mut world = World::new(&[]);
    let keyed = |n, text: &str| {
        let key = Key { key: "key-1".parse().expect("a valid key"), fingerprint: Fingerprint::of(&text) };
        Input::new(take(n, text)).with_key(Some(key))
    };
    let first = world.submit_input(&keyed(1, "text")).expect("it is taken");
    assert_eq!(first.record.map(|(_, record)| record.answer), Some(Answer::Record(record_id(1))));
    let again = world.submit_input(&keyed(2, "text")).expect("it was taken");
    assert_eq!((again.replay, again.events.len()), (Some(Answer::Record(record_id(1))), 0));
    assert_eq!(world.submit_input(&keyed(3, "other")).err(), Some(Refusal::IdempotencyKeyReused));
    assert_eq!(world.kept.records.len(), 1);
}

/// A key that comes with a reference that is known is kept with the answer that the reference gives.
#[test]
fn a_key_beside_a_known_reference_is_kept() {
    let mut world = World::new(&[("tea", 1000, 10)]);
    let referred = |n| ordermill_core::input::PlaceOrder {
        order_ref: Some("2026-0001".parse().expect("a valid reference")),
        ..request(n, &[("tea", 1)])
    };
    world.submit(place(referred(1))).expect("the order is taken");
    let key = Key { key: "key-1".parse().expect("a valid key"), fingerprint: Fingerprint::of(&"one tea") };
    let decision =
        world.submit_input(&Input::new(place(referred(2))).with_key(Some(key.clone()))).expect("it is known");
    let answer = Answer::Order(crate::support::order_id(1));
    assert_eq!((decision.replay, decision.events.len()), (Some(answer.clone()), 0));
    let (name, record) = decision.record.expect("the key is used from then on");
    assert_eq!((name, record.fingerprint, record.answer), (key.key.clone(), key.fingerprint, answer));
    let other = Key { fingerprint: Fingerprint::of(&"two teas"), ..key };
    let reused = world.submit_input(&Input::new(place(referred(3))).with_key(Some(other)));
    assert_eq!(reused.err(), Some(Refusal::IdempotencyKeyReused));
}

/// Folds are total: what does not begin as it should is nothing, and what does not belong changes nothing but the count.
#[test]
fn folds_take_anything() {
    let (deleted, at) = (Event::CustomerDeleted(Empty {}), start());
    assert_eq!(Customer::after(None, &deleted), None);
    assert_eq!(Product::after(None, &Event::ProductDeleted(Empty {})), None);
    assert_eq!(Product::after(None, &deleted), None);
    let mut world = World::new(&[("tea", 1000, 10)]);
    let tea = world.product(&product("tea")).cloned();
    assert!(tea.is_some());
    assert_eq!(Product::after(tea.clone(), &deleted), tea, "no event of a product");
    world.submit(put_customer("Ada", None)).expect("it is taken");
    let ada = world.kept.customers.values().next().cloned();
    assert_eq!(Customer::after(ada.clone(), &Event::ProductDeleted(Empty {})), ada, "no event of a customer");
    assert_eq!(Record::fold(record_id(1), []), None);
    assert_eq!(Record::fold(record_id(1), [(&Event::RecordStored(stored("key", 1)), at)]), None);
}
