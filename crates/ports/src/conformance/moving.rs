//! What moving a ledger out of one place and into another has to show.

use async_trait::async_trait;
use jiff::SignedDuration;
use ordermill_core::input::{Body, Input, MailResult};
use ordermill_core::mail::MailKind;
use ordermill_core::order::Status;
use ordermill_core::parcel::ParcelStatus;
use ordermill_core::process::Role;
use ordermill_core::refusal::Refusal;

use crate::bus::Delivery;
use crate::conformance::shop::{Shop, customer, key, product, stored};
use crate::conformance::{Harness, Settings};
use crate::moving::{Item, LedgerReader, LedgerWriter, Mark, MoveError, Totals};
use crate::queries::Position;

/// A place whose ledger can be read and filled as a whole.
#[async_trait]
pub trait Movable: Harness {
    /// Another place of the same kind, empty.
    fn another(&self) -> Box<dyn Movable>;
    /// Reads the ledger in this place.
    fn reader(&self) -> Result<Box<dyn LedgerReader>, MoveError>;
    /// Fills the ledger in this place.
    fn writer(&self) -> Result<Box<dyn LedgerWriter>, MoveError>;
    /// Tries to open the ledger as a process does, and closes it again.
    async fn try_open(&self, settings: &Settings) -> Result<(), String>;
}

/// Items written at a time: few, so that there are many commits.
const ITEMS_AT_ONCE: usize = 16;

const EXPORT: &str = "export-1";

/// Moving blocks, and not on a thread of a runtime.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}

/// Everything in a place, and what it adds up to.
fn contents(place: &dyn Movable) -> (Vec<Item>, Totals) {
    apart(|| {
        let mut reader = place.reader().expect("the ledger can be read");
        let mut items = Vec::new();
        let each = reader.each(&mut |item| {
            items.push(item);
            Ok(())
        });
        each.expect("everything can be read");
        let is_event = |item: &&Item| matches!(item, Item::Event(_));
        let events = items.iter().filter(is_event).count() as u64;
        let counts = reader.counts().expect("everything can be counted");
        assert_eq!((counts.events, counts.sum()), (events, items.len() as u64 - 1), "all but the ends is counted");
        (items, reader.totals().expect("the rows can be added up"))
    })
}

/// A mark after so many items.
fn mark(lines: usize) -> Mark {
    Mark { lines: lines as u64, digest: [lines as u8; 32] }
}

/// Writes everything, with a new writer for every few items when `often`; finishes.
fn fill(place: &dyn Movable, items: &[Item], often: bool) -> Totals {
    apart(|| {
        let mut writer = place.writer().expect("the ledger can be filled");
        assert_eq!(writer.begin(EXPORT).expect("it is empty"), None);
        for (number, some) in items.chunks(ITEMS_AT_ONCE).enumerate() {
            if often && number > 0 {
                drop(writer);
                writer = place.writer().expect("the ledger can be filled on");
                assert_eq!(writer.begin(EXPORT).expect("it was begun"), Some(mark(number)));
            }
            writer.write(some.to_vec(), &mark(number + 1)).expect("it is written");
        }
        let mut rows = 0;
        writer.derive(&mut |made| rows = made).expect("the rows are made");
        assert!(rows > 0);
        if often {
            drop(writer);
            writer = place.writer().expect("the ledger can be filled on");
            writer.begin(EXPORT).expect("it was begun");
            writer.derive(&mut |made| assert_eq!(made, 0, "they are there")).expect("there is nothing left to make");
        }
        let totals = writer.totals().expect("the rows can be added up");
        let orders =
            writer.snapshot().and_then(|mut snapshot| snapshot.order_count()).expect("the auditor can read it");
        assert_eq!(orders, totals.orders.values().sum::<u64>());
        writer.finish().expect("it is a ledger");
        totals
    })
}

/// A shop with one of everything that a ledger holds.
async fn full_shop(harness: &dyn Harness) -> Shop {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 100).await;
    shop.sell("pear", 100).await;
    let gone = Body::DeleteProduct { product_id: product("pear"), expected_version: None };
    shop.ask(Input::new(gone)).await.expect("it is there");
    for status in [Status::Placed, Status::Authorized, Status::Reserved, Status::Confirmed, Status::Delivered] {
        let id = shop.place(&[("apple", 2)]).await.id;
        shop.drive(id, status).await;
        shop.advance(SignedDuration::from_secs(1));
    }
    let referred = shop.place_request(shop.request_ref(&[("apple", 2)], "A-1")).await.id;
    shop.cancel(referred).await;
    let result = MailResult::Sent { mailbox_end: Some(321) };
    shop.ask_order(Body::MailResult { order_id: referred, kind: MailKind::Cancelled, version: 1, result }).await;
    shop.ask(shop.placing(&[("apple", 1)]).with_key(Some(key("key-1", "one apple")))).await.expect("taken");
    for id in ["c-1", "c-2"] {
        shop.put_customer(shop.customer(id)).await;
    }
    let gone = Body::DeleteCustomer { customer_id: customer("c-2"), expected_version: None };
    shop.ask_customer(gone).await.expect("they are there");
    for (minutes, status) in (0..).zip(&ParcelStatus::ALL[..3]) {
        shop.track("p-1", *status, minutes).await;
        shop.track("p-2", *status, minutes).await;
    }
    shop.track("p-1", ParcelStatus::PickedUp, 9).await;
    let take = Body::TakeRecord(Box::new(shop.record("text")));
    shop.ask(Input::new(take).with_key(Some(key("key-2", "the text")))).await.expect("taken");
    let second = shop.take_record("another").await;
    shop.ask_record(Body::RecordStored { record_id: second.id, stored: stored(1) }).await;
    let adjust =
        Body::AdjustStock { product_id: product("apple"), delta: -1, reason: "broken".into(), expected_version: None };
    shop.ask(Input::new(adjust).with_key(Some(key("key-3", "one less")))).await.expect("there are enough");
    shop
}

/// Everything arrives, and goes on where it was: what was settled stays so, what was not comes again.
pub async fn everything_arrives(harness: &dyn Movable) {
    let shop = full_shop(harness).await;
    let deliveries = shop.receive_all(Role::Payments, 10).await;
    let [first, second, third, fourth] = [0, 1, 2, 3].map(|index: usize| deliveries[index].clone());
    let due = shop.now() + SignedDuration::from_mins(5);
    let dead = [third.dead_letter("no".to_owned()), fourth.clone().dead_letter("never".to_owned())];
    shop.settle([first.ack(), second.clone().retry(due, "busy".to_owned())].into_iter().chain(dead)).await;
    let letters = shop.backend.bus.dead_letters(None, 10).await.expect("readable");
    assert_eq!(shop.backend.bus.redrive(&[letters[1].id]).await.expect("it is there"), [letters[1].id]);
    shop.backend.ledger.close().await;
    let there = harness.another();
    let (items, totals) = contents(harness);
    assert_eq!(fill(&*there, &items, false), totals);
    assert_eq!(contents(&*there), (items, totals));

    let shop = shop.reopen(&*there).await;
    let books = shop.audit().await;
    let mut again = shop.receive_all(Role::Payments, deliveries.len() - 3).await;
    again.sort_by_key(|delivery| delivery.position);
    assert_eq!(again, deliveries[3..], "what was redriven, and what was not settled");
    assert_eq!(shop.backend.bus.dead_letters(None, 10).await.expect("readable"), letters[..1]);
    shop.settle([again[0].clone().dead_letter("again".to_owned())]).await;
    let last = shop.backend.bus.dead_letters(None, 10).await.expect("readable");
    assert!(last[1].id > letters[1].id, "no number is given twice");
    shop.settle(again[1..].iter().cloned().map(Delivery::ack)).await;
    shop.advance(SignedDuration::from_mins(5));
    assert_eq!(shop.receive_all(Role::Payments, 1).await, [Delivery { tries: 1, ..second }]);

    let keyed = |request: &str| shop.placing(&[("apple", 1)]).with_key(Some(key("key-1", request)));
    assert!(shop.ask(keyed("one apple")).await.expect("answered as before").replayed);
    assert_eq!(shop.ask(keyed("two")).await.err(), Some(Refusal::IdempotencyKeyReused));
    let same = Body::Place(Box::new(shop.request_ref(&[("apple", 2)], "A-1")));
    assert!(shop.ask(Input::new(same)).await.expect("answered as before").replayed);
    for order in books.orders.values().filter(|order| order.status == Status::Reserved) {
        shop.drive(order.id, Status::Delivered).await;
    }
    shop.track("p-1", ParcelStatus::Delivered, 10).await;
    shop.sell("plum", 3).await;
    shop.place(&[("plum", 1)]).await;
    let last = shop.feed(Position(0)).await.last().map(|(position, _)| *position);
    assert_eq!(last, Some(shop.end().await));
    shop.audit().await;
    shop.reopen(&*there).await.audit().await;
}

/// An import that is broken off after each commit ends like any other; no process opens the ledger before.
pub async fn an_import_is_gone_on_with(harness: &dyn Movable) {
    let shop = full_shop(harness).await;
    shop.backend.ledger.close().await;
    let there = harness.another();
    let (items, totals) = contents(harness);
    apart(|| {
        let mut writer = there.writer().expect("the ledger can be filled");
        writer.begin("another").expect("it is empty");
    });
    let refusal = there.try_open(&shop.settings).await.expect_err("it is not whole");
    assert!(refusal.contains("import"), "{refusal}");
    apart(|| {
        let mut writer = there.writer().expect("the ledger can be filled");
        assert!(matches!(writer.begin(EXPORT), Err(MoveError::OtherExport(_))));
        assert!(there.reader().is_err(), "nobody moves on from a ledger that is not whole");
    });
    let there = harness.another();
    assert_eq!(fill(&*there, &items, true), totals);
    assert_eq!(contents(&*there), (items, totals));
    shop.reopen(&*there).await.audit().await;
}

/// A ledger that holds anything is not filled.
pub async fn only_an_empty_ledger_is_filled(harness: &dyn Movable) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 1).await;
    shop.backend.ledger.close().await;
    let settings = shop.settings.clone();
    drop(shop);
    apart(|| {
        let mut writer = harness.writer().expect("nobody uses it");
        assert!(matches!(writer.begin(EXPORT), Err(MoveError::Occupied(_))));
    });
    assert_eq!(harness.try_open(&settings).await, Ok(()), "nothing was changed");
    let empty = harness.another();
    assert_eq!(empty.try_open(&settings).await, Ok(()));
    apart(|| {
        let mut writer = empty.writer().expect("nobody uses it");
        assert_eq!(writer.begin(EXPORT).expect("it is empty, though it was opened once"), None);
    });
}

/// Whoever reads a ledger is told that it goes on being written, and a ledger in use is not filled.
pub async fn a_ledger_in_use_says_so(harness: &dyn Movable) {
    let shop = Shop::open(harness).await;
    shop.assert_quiet(Role::Payments).await;
    apart(|| {
        assert!(harness.reader().expect("it can be read all the same").in_use().is_some());
        let begun = harness.writer().and_then(|mut writer| writer.begin(EXPORT));
        assert!(matches!(begun, Err(MoveError::InUse(_))), "{begun:?}");
    });
    shop.backend.ledger.close().await;
    drop(shop);
    apart(|| assert_eq!(harness.reader().expect("it can be read").in_use(), None));
}
