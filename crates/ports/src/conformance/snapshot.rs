//! What the auditor's view of a ledger has to show.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use ordermill_core::customer::Customer;
use ordermill_core::event::{Recorded, Subject};
use ordermill_core::id::{OrderId, OrderRef};
use ordermill_core::idempotency::Answer;
use ordermill_core::input::{Body, Input, MailResult};
use ordermill_core::mail::MailKind;
use ordermill_core::order::{Order, Status};
use ordermill_core::parcel::{Parcel, ParcelStatus};
use ordermill_core::record::Record;

use crate::audit::{AuditError, LedgerSnapshot, OrderRow, ParcelRow, ProductHistory, RecordRow};
use crate::conformance::books::Books;
use crate::conformance::shop::{Shop, customer, key, product, record, stored};
use crate::conformance::{Audited, Harness};

/// A shop with orders in several states, one of them keyed, one with a reference, one mailed.
async fn busy_shop(harness: &dyn Harness) -> Shop {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 100).await;
    shop.sell("pear", 5).await;
    for status in [Status::Placed, Status::Reserved, Status::Confirmed] {
        let id = shop.place(&[("apple", 1), ("pear", 1)]).await.id;
        shop.drive(id, status).await;
        shop.advance(SignedDuration::from_secs(1));
    }
    let referred = shop.place_request(shop.request_ref(&[("apple", 2)], "A-1")).await.id;
    shop.cancel(referred).await;
    let result = MailResult::Sent { mailbox_end: Some(321) };
    shop.ask_order(Body::MailResult { order_id: referred, kind: MailKind::Cancelled, version: 1, result }).await;
    shop.ask(shop.placing(&[("apple", 1)]).with_key(Some(key("key-1", "one apple")))).await.expect("taken");
    shop
}

/// Folds what a snapshot shows of orders, and checks their rows.
fn read_orders(snapshot: &mut dyn LedgerSnapshot) -> BTreeMap<OrderId, Order> {
    let mut orders = BTreeMap::new();
    let mut last = None;
    let visit = snapshot.each_order(&mut |history| {
        assert!(last < Some(history.id), "orders come by id");
        last = Some(history.id);
        assert!(history.events.iter().all(|recorded| recorded.subject == Subject::Order(history.id)));
        let versions = history.events.iter().map(|recorded| recorded.version);
        assert!(versions.eq(1..=history.events.len() as u32), "the events come oldest first, without a gap");
        let events = history.events.iter().map(|recorded| (&recorded.event, recorded.at));
        let order = Order::fold(history.id, events).expect("an order's first event is order.placed");
        let row = OrderRow {
            id: order.id,
            status: order.status,
            attention: order.attention.is_some(),
            customer_id: order.placement.customer_id.clone(),
            open: order.is_open(),
            version: order.version,
        };
        assert_eq!(history.row, Some(row));
        orders.insert(order.id, order);
        Ok(())
    });
    visit.expect("every order can be read");
    assert_eq!(snapshot.order_count().expect("orders are counted"), orders.len() as u64);
    orders
}

/// Orders, products, stock, references, keys and the mailbox's end are those that the ledger committed.
pub async fn a_snapshot_shows_what_is_stored(harness: &dyn Audited) {
    let shop = busy_shop(harness).await;
    let books = shop.audit().await;
    let mut snapshot = harness.snapshot();
    assert_eq!(read_orders(&mut *snapshot), books.orders);
    let mut products: Vec<ProductHistory> = Vec::new();
    let visit = snapshot.each_product(&mut |history| {
        products.push(history);
        Ok(())
    });
    visit.expect("every product can be read");
    assert_eq!(products.len(), books.products.len());
    for (history, (id, product)) in products.iter().zip(&books.products) {
        assert_eq!((&history.id, history.product.as_ref()), (id, Some(product)));
        assert_eq!(history.stock.as_ref(), books.stock.get(id));
        let versions: Vec<u32> = history.events.iter().map(|recorded| recorded.version).collect();
        assert_eq!(versions, [1, 2], "it was put, and its stock opened");
    }
    let mut refs = BTreeMap::new();
    let visit = snapshot.each_order_ref(&mut |order_ref, id| {
        refs.insert(order_ref, id);
        Ok(())
    });
    visit.expect("every reference can be read");
    let with_ref = books.orders.values().filter_map(|order| Some((order.placement.order_ref.clone()?, order.id)));
    assert_eq!(refs, with_ref.collect::<BTreeMap<OrderRef, _>>());
    assert_eq!(refs.len(), 1);
    let mut keys = Vec::new();
    let visit = snapshot.each_key(&mut |name, record| {
        keys.push((name.to_owned(), record));
        Ok(())
    });
    visit.expect("every key can be read");
    let keyed = *books.orders.keys().next_back().expect("there are orders");
    assert_eq!(keys.len(), 1);
    assert_eq!((keys[0].0.as_str(), &keys[0].1.answer), ("key-1", &Answer::Order(keyed)));
    assert_eq!(keys[0].1.fingerprint, key("key-1", "one apple").fingerprint);
    assert_eq!(snapshot.mailbox_end().expect("readable"), Some(321));
    assert_eq!(snapshot.storage_problems().expect("readable"), Vec::<String>::new());
}

/// Customers, parcels, records and deleted products are those that the ledger committed, each with all its events.
pub async fn a_snapshot_shows_what_is_beside_orders(harness: &dyn Audited) {
    let shop = busy_shop(harness).await;
    let gone = Body::DeleteProduct { product_id: product("pear"), expected_version: None };
    shop.ask(Input::new(gone)).await.expect("it is there");
    for id in ["c-2", "c-1", "ä"] {
        shop.put_customer(shop.customer(id)).await;
    }
    let gone = Body::DeleteCustomer { customer_id: customer("c-2"), expected_version: None };
    shop.ask_customer(gone).await.expect("they are there");
    for (minutes, status) in (0..).zip(ParcelStatus::ALL) {
        shop.track("p-2", status, minutes).await;
        shop.track("p-1", status, -minutes).await;
    }
    for number in 0..3 {
        let record_id = shop.take_record("text").await.id;
        if number > 0 {
            shop.ask_record(Body::RecordStored { record_id, stored: stored(number) }).await;
        }
    }
    let keyed = Input::new(Body::TakeRecord(Box::new(shop.record("keyed")))).with_key(Some(key("key-2", "keyed")));
    let keyed = record(&shop.ask(keyed).await.expect("taken")).id;
    let books = shop.audit().await;
    let mut snapshot = harness.snapshot();
    assert_eq!(read_orders(&mut *snapshot), books.orders);
    check_products(&mut *snapshot, &books);
    check_customers(&mut *snapshot, &books);
    check_parcels(&mut *snapshot, &books);
    check_records(&mut *snapshot, &books);
    let mut answers = BTreeMap::new();
    let visit = snapshot.each_key(&mut |name, record| {
        answers.insert(name.to_owned(), record.answer);
        Ok(())
    });
    visit.expect("every key can be read");
    assert_eq!(answers.get("key-2"), Some(&Answer::Record(keyed)));
}

/// Counts the events of a subject from 1, and holds that all are its own.
fn check_events(events: &[Recorded], subject: &Subject) {
    assert!(events.iter().all(|recorded| recorded.subject == *subject), "{subject:?}: {events:?}");
    let versions = events.iter().map(|recorded| recorded.version);
    assert!(versions.eq(1..=events.len() as u32), "the events come oldest first, without a gap");
}

fn check_products(snapshot: &mut dyn LedgerSnapshot, books: &Books) {
    let mut read = BTreeMap::new();
    let visit = snapshot.each_product(&mut |history| {
        check_events(&history.events, &Subject::Product(history.id.clone()));
        read.insert(history.id, history.product.expect("it was put"));
        Ok(())
    });
    visit.expect("every product can be read");
    assert_eq!(read, books.products);
    assert!(read[&product("pear")].deleted);
}

fn check_customers(snapshot: &mut dyn LedgerSnapshot, books: &Books) {
    let mut read = Vec::new();
    let visit = snapshot.each_customer(&mut |history| {
        check_events(&history.events, &Subject::Customer(history.id.clone()));
        let folded = history.events.iter().fold(None, |customer, recorded| Customer::after(customer, &recorded.event));
        assert_eq!(history.row, folded);
        read.push((history.id, folded.expect("a customer's first event is customer.put")));
        Ok(())
    });
    visit.expect("every customer can be read");
    let expected = books.customers.iter().map(|(id, customer)| (id.clone(), customer.clone()));
    assert_eq!(read, expected.collect::<Vec<_>>(), "customers come by id");
    assert_eq!(read.len(), 3);
}

fn check_parcels(snapshot: &mut dyn LedgerSnapshot, books: &Books) {
    let mut read = BTreeMap::new();
    let visit = snapshot.each_parcel(&mut |history| {
        check_events(&history.events, &Subject::Parcel(history.id.clone()));
        let events = history.events.iter().map(|recorded| (&recorded.event, recorded.at));
        let parcel = Parcel::fold(history.id.clone(), events).expect("a parcel's first event is tracking.moved");
        assert_eq!(history.row, Some(ParcelRow { status: parcel.status, version: parcel.version }));
        assert!(read.insert(history.id, parcel).is_none(), "each parcel comes once");
        Ok(())
    });
    visit.expect("every parcel can be read");
    assert_eq!(read, books.parcels);
    assert_eq!(read.len(), 2);
}

fn check_records(snapshot: &mut dyn LedgerSnapshot, books: &Books) {
    let mut read = Vec::new();
    let visit = snapshot.each_record(&mut |history| {
        check_events(&history.events, &Subject::Record(history.id));
        let events = history.events.iter().map(|recorded| (&recorded.event, recorded.at));
        let record = Record::fold(history.id, events).expect("a record's first event is record.received");
        assert_eq!(history.row, Some(RecordRow { stored: record.stored.clone(), version: record.version }));
        read.push((history.id, record));
        Ok(())
    });
    visit.expect("every record can be read");
    let expected = books.records.iter().map(|(id, record)| (*id, record.clone()));
    assert_eq!(read, expected.collect::<Vec<_>>(), "records come by id");
    assert_eq!(read.len(), 4);
}

/// A snapshot stays as it was when it was taken, while the ledger goes on.
pub async fn a_snapshot_is_one_moment(harness: &dyn Audited) {
    let shop = busy_shop(harness).await;
    let before = shop.audit().await;
    let mut snapshot = harness.snapshot();
    assert_eq!(snapshot.order_count().expect("readable"), before.orders.len() as u64);
    for id in before.orders.keys() {
        if before.orders[id].status == Status::Placed {
            shop.cancel(*id).await;
        }
    }
    shop.place(&[("apple", 1)]).await;
    assert_eq!(read_orders(&mut *snapshot), before.orders);
    assert_eq!(read_orders(&mut *harness.snapshot()), shop.audit().await.orders);
}

/// A visit ends at the first error of its callback, and gives it.
pub async fn a_visit_ends_with_an_error(harness: &dyn Audited) {
    busy_shop(harness).await;
    let mut snapshot = harness.snapshot();
    let mut visited = 0;
    let visit = snapshot.each_order(&mut |_| {
        visited += 1;
        if visited == 2 { Err(AuditError("enough".to_owned())) } else { Ok(()) }
    });
    assert_eq!((visit.map_err(|error| error.0), visited), (Err("enough".to_owned()), 2));
}
