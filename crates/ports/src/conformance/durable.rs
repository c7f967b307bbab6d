//! What a ledger whose commits outlive the process has to show, beside everything else.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use ordermill_core::input::{Body, Input, MailResult};
use ordermill_core::mail::MailKind;
use ordermill_core::order::Status;
use ordermill_core::parcel::{ParcelStatus, ReportRefusal, Verdict};
use ordermill_core::process::Role;
use ordermill_core::refusal::Refusal;

use crate::bus::{Delivery, Lag};
use crate::conformance::ledger::property::random_history;
use crate::conformance::shop::{Shop, customer, key, minute, product, record, stored, succeeded};
use crate::conformance::{Harness, Settings};
use crate::ledger::{Source, Submission, SubmitError};
use crate::queries::{Deleted, Position, RecordFilter};

/// A random history through which the ledger is closed and opened again and again is the same as any other.
pub async fn a_random_history_survives_reopening(harness: &dyn Harness) {
    random_history(harness, 0x5EED_0000_0000_0004, Some(23)).await;
}

/// Everything that was answered is there after reopening, and goes on from where it was.
pub async fn orders_go_on_where_they_were(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 100).await;
    let states = [Status::Placed, Status::Authorized, Status::Reserved, Status::Confirmed, Status::Shipped];
    let mut orders = Vec::new();
    for status in states {
        let id = shop.place(&[("apple", 2)]).await.id;
        orders.push(shop.drive(id, status).await);
    }
    let feed = shop.feed(Position(0)).await;
    let shop = shop.reopen(harness).await;
    assert_eq!(shop.feed(Position(0)).await, feed, "positions and events are what they were");
    shop.audit().await;
    for order in &orders {
        assert_eq!(shop.order(order.id).await, *order);
        let delivered = shop.drive(order.id, Status::Delivered).await;
        assert!(delivered.version > order.version);
    }
    assert_eq!(shop.units("apple").await, (90, 0, 10));
    shop.reopen(harness).await.audit().await;
}

/// Keys and references hold after reopening, until their time is over.
pub async fn keys_and_references_outlive_the_process(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 100).await;
    let keyed = |shop: &Shop, request: &str| shop.placing(&[("apple", 1)]).with_key(Some(key("key-1", request)));
    let first = shop.ask(keyed(&shop, "one apple")).await.expect("taken");
    let first = first.order().expect("an order").id;
    let referred = shop.place_request(shop.request_ref(&[("apple", 2)], "A-1")).await;
    let shop = shop.reopen(harness).await;
    let again = shop.ask(keyed(&shop, "one apple")).await.expect("answered as before");
    assert_eq!((again.order().expect("an order").id, again.replayed), (first, true));
    assert_eq!(shop.ask(keyed(&shop, "one pear")).await.err(), Some(Refusal::IdempotencyKeyReused));
    let same = Body::Place(Box::new(shop.request_ref(&[("apple", 2)], "A-1")));
    let same = shop.ask(Input::new(same)).await.expect("answered as before");
    assert_eq!((same.order().expect("an order").id, same.replayed), (referred.id, true));
    let other = Body::Place(Box::new(shop.request_ref(&[("apple", 3)], "A-1")));
    let taken = Refusal::OrderRefTaken { order_id: referred.id };
    assert_eq!(shop.ask(Input::new(other)).await.err(), Some(taken));
    shop.advance(shop.settings.policy.idempotency_ttl);
    let shop = shop.reopen(harness).await;
    assert_eq!(shop.ask(keyed(&shop, "one pear")).await.err(), Some(Refusal::IdempotencyKeyReused), "it is undecided");
    shop.drive(first, Status::Confirmed).await;
    let shop = shop.reopen(harness).await;
    let second = shop.ask(keyed(&shop, "one pear")).await.expect("the key is free");
    assert!(second.changed);
    shop.audit().await;
}

/// Everything that was not settled comes again after reopening; what was parked keeps its time and its tries; what was settled
/// last, with nothing unsettled before it, does not come again.
pub async fn unsettled_deliveries_come_again(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 100).await;
    for _ in 0..6 {
        shop.place(&[("apple", 1)]).await;
    }
    let deliveries = shop.receive_all(Role::Payments, 6).await;
    let due = shop.now() + SignedDuration::from_mins(5);
    let [first, second, third, fourth] = [0, 1, 2, 3].map(|index: usize| deliveries[index].clone());
    let dead = third.dead_letter("no".to_owned());
    shop.settle([first.clone().ack(), second.clone().retry(due, "busy".to_owned()), dead]).await;
    let shop = shop.reopen(harness).await;
    let again: BTreeSet<Position> =
        shop.receive_all(Role::Payments, 3).await.iter().map(|delivery| delivery.position).collect();
    assert_eq!(again, deliveries[3..].iter().map(|delivery| delivery.position).collect());
    // Settled out of order: the one in front holds the cursor, so the others may come again; it has to.
    shop.settle(deliveries[4..].iter().cloned().map(Delivery::ack)).await;
    let shop = shop.reopen(harness).await;
    let again = shop.receive_all(Role::Payments, 1).await;
    assert!(again.iter().any(|delivery| delivery.position == fourth.position));
    assert!(again.iter().all(|delivery| delivery.position >= fourth.position && delivery.tries == 0));
    shop.settle(again.into_iter().map(Delivery::ack)).await;
    shop.advance(SignedDuration::from_mins(5));
    let parked = shop.receive_all(Role::Payments, 1).await;
    assert_eq!(parked, [Delivery { tries: 1, ..second.clone() }]);
    let shop = shop.reopen(harness).await;
    let parked = shop.receive_all(Role::Payments, 1).await;
    assert_eq!(parked, [Delivery { tries: 1, ..second }], "handed out again is not settled");
    shop.settle(parked.into_iter().map(Delivery::ack)).await;
    let shop = shop.reopen(harness).await;
    shop.assert_quiet(Role::Payments).await;
    assert_eq!(shop.backend.bus.lag(Role::Payments).await.expect("readable"), Lag::default());
}

/// Dead letters are kept, redriven ones come, and later ones get later ids.
pub async fn dead_letters_outlive_the_process(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 100).await;
    for _ in 0..3 {
        shop.place(&[("apple", 1)]).await;
    }
    let deliveries = shop.receive_all(Role::Payments, 3).await;
    let [first, second, third] = [0, 1, 2].map(|index: usize| deliveries[index].clone());
    let settlements = [first.clone(), second].map(|delivery| delivery.dead_letter("no".to_owned()));
    shop.settle(settlements.into_iter().chain([third.clone().ack()])).await;
    let letters = async |shop: &Shop| shop.backend.bus.dead_letters(None, 10).await.expect("readable");
    let before = letters(&shop).await;
    let shop = shop.reopen(harness).await;
    assert_eq!(letters(&shop).await, before);
    assert_eq!(shop.backend.bus.redrive(&[before[0].id, before[1].id]).await.expect("redriven").len(), 2);
    let shop = shop.reopen(harness).await;
    assert_eq!(letters(&shop).await, []);
    let mut again = shop.receive_all(Role::Payments, 2).await;
    again.sort_by_key(|delivery| delivery.position);
    assert_eq!((again.len(), &again[0]), (2, &first));
    shop.settle([again[0].clone().dead_letter("still no".to_owned()), again[1].clone().ack()]).await;
    let after = letters(&shop).await;
    assert!(after.len() == 1 && after[0].id > before[1].id, "{after:?}");
}

/// What all orders add up to is there after reopening: counts, deadlines, the mailbox's end, the room for new orders.
pub async fn sums_outlive_the_process(harness: &dyn Harness) {
    let shop = Shop::open_with(harness, Settings { undecided_max: 3, ..Settings::default() }).await;
    shop.sell("apple", 100).await;
    let done = shop.place(&[("apple", 1)]).await.id;
    shop.drive(done, Status::Confirmed).await;
    let result = MailResult::Sent { mailbox_end: Some(4_096) };
    shop.ask_order(Body::MailResult { order_id: done, kind: MailKind::Confirmed, version: 1, result }).await;
    let mut undecided = Vec::new();
    for _ in 0..3 {
        undecided.push(shop.place(&[("apple", 1)]).await.id);
        shop.advance(SignedDuration::from_secs(1));
    }
    let shop = shop.reopen(harness).await;
    assert_eq!(shop.backend.queries.mailbox_end().await.expect("readable"), Some(4_096));
    let beyond = shop.backend.ledger.submit_one(Source::Live, shop.placing(&[("apple", 1)])).await;
    assert!(matches!(beyond, Err(SubmitError::Overloaded { .. })), "{beyond:?}");
    shop.advance(shop.settings.policy.undecided_budget);
    assert_eq!(shop.backend.queries.overdue(shop.now(), 10).await.expect("readable"), undecided);
    shop.pay(undecided[0], succeeded()).await;
    shop.drive(undecided[0], Status::Confirmed).await;
    shop.place(&[("apple", 1)]).await;
    shop.audit().await;
}

/// Customers, parcels, records and deleted products are what they were after reopening, in every list, and go on from there.
pub async fn what_is_beside_orders_outlives_the_process(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    shop.sell("pear", 10).await;
    let gone = Body::DeleteProduct { product_id: product("pear"), expected_version: None };
    shop.ask(Input::new(gone)).await.expect("it is there");
    for id in ["c-1", "c-2"] {
        shop.put_customer(shop.customer(id)).await;
    }
    let gone = Body::DeleteCustomer { customer_id: customer("c-2"), expected_version: None };
    shop.ask_customer(gone).await.expect("they are there");
    for (minutes, status) in (0..).zip(&ParcelStatus::ALL[..3]) {
        for id in ["p-1", "p-2"] {
            shop.track(id, *status, minutes).await;
        }
    }
    shop.track("p-1", ParcelStatus::PickedUp, 1).await;
    let (first, _) = shop.track("p-1", ParcelStatus::PickedUp, 9).await;
    let keyed = |shop: &Shop| {
        let take = Body::TakeRecord(Box::new(shop.record("text")));
        Input::new(take).with_key(Some(key("key-1", "the text")))
    };
    let taken = record(&shop.ask(keyed(&shop)).await.expect("taken"));
    let second = shop.take_record("another").await;
    let done = |record_id| Body::RecordStored { record_id, stored: stored(1) };
    let (second, _) = shop.ask_record(done(second.id)).await;
    let told = shop.receive_all(Role::Tracking, 6).await;
    let feed = shop.feed(Position(0)).await;

    let shop = shop.reopen(harness).await;
    assert_eq!(shop.feed(Position(0)).await, feed, "positions and events are what they were");
    shop.audit().await;
    assert_eq!(shop.list_customers(Deleted::Hidden, 10).await.len(), 1);
    assert_eq!(shop.list_parcels(&[ParcelStatus::DeliveryIssue], 1).await.len(), 2);
    let stored_ones = RecordFilter { stored: Some(true), ..RecordFilter::default() };
    assert_eq!(shop.list_records(stored_ones, 1).await, [second]);
    assert_eq!(shop.receive_all(Role::Tracking, told.len()).await, told);
    assert_eq!(shop.receive_all(Role::Records, 2).await.len(), 2);
    assert_eq!(shop.track("p-1", ParcelStatus::PickedUp, 0).await.1, Verdict::Duplicate);
    let again = shop.track("p-1", ParcelStatus::PickedUp, 9).await;
    assert_eq!(again, (first, Verdict::Refused(ReportRefusal::OutOfOrder)), "kept once, also now");
    let (delivered, verdict) = shop.track("p-1", ParcelStatus::Delivered, 10).await;
    assert_eq!((verdict, delivered.delivered_at), (Verdict::Moved, Some(minute(10))));
    let twin = shop.ask(keyed(&shop)).await.expect("answered as before");
    assert_eq!((record(&twin), twin.replayed), (taken.clone(), true));
    assert!(shop.ask_record(done(taken.id)).await.1);
    assert_eq!(shop.put_customer(shop.customer("c-2")).await.0.version, 3);
    assert!(shop.ask(shop.placing(&[("pear", 1)])).await.is_err());
    shop.sell("pear", 10).await;
    shop.place(&[("pear", 1)]).await;
    shop.reopen(harness).await.audit().await;
}

/// What was answered before the close is there, whatever was under way.
pub async fn answers_given_while_closing_are_kept(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 100_000).await;
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let shop = shop.share();
        callers.spawn(async move {
            let mut taken = BTreeSet::new();
            loop {
                let inputs = (0..20).map(|_| Submission::new(shop.placing(&[("apple", 1)])));
                for result in shop.backend.ledger.submit(Source::Import, inputs.collect()).await {
                    match result {
                        Ok(outcome) => taken.insert(outcome.order().expect("an order").id),
                        Err(SubmitError::Closing) => return taken,
                        Err(error) => panic!("a closing ledger says so: {error}"),
                    };
                }
            }
        });
    }
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    shop.backend.ledger.close().await;
    let answered: BTreeSet<_> = callers.join_all().await.into_iter().flatten().collect();
    let books = shop.reopen(harness).await.audit().await;
    let stored: BTreeSet<_> = books.orders.into_keys().collect();
    assert!(!answered.is_empty());
    assert_eq!(answered.difference(&stored).count(), 0, "no answered order is missing");
}
