//! Commits that fail, and records that cannot be read.

use std::time::{Duration, Instant};

use ordermill_core::input::{Body, Input};
use ordermill_core::order::Status;
use ordermill_core::process::Role;
use ordermill_ports::conformance::Settings;
use ordermill_ports::conformance::shop::{QUIET, Shop, key};
use ordermill_ports::{Ledger, Source, Submission, SubmitError};

use super::super::writer::lanes::Command;
use super::{Place, is_not_committed, place_many, put_to_rest};

/// Lets the database take not one page more.
async fn fill(place: &Place) {
    let pages = place.number("SELECT page_count FROM pragma_page_count");
    place.on_writer(&format!("PRAGMA max_page_count = {pages}")).await;
}

/// Makes room again, and waits until the writer has found out by itself.
async fn make_room(place: &Place, shop: &Shop) {
    place.on_writer("PRAGMA max_page_count = 1000000").await;
    let deadline = Instant::now() + shop.patience;
    while shop.backend.ledger.ready().await.is_err() {
        assert!(Instant::now() < deadline, "the writer finds out by itself that there is room again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Places orders until there is no room for one.
async fn place_until_full(shop: &Shop) -> usize {
    for placed in 0..10_000 {
        let input = Submission::new(shop.placing(&[("apple", 1)]));
        let result = shop.backend.ledger.submit(Source::Live, vec![input]).await.remove(0);
        if is_not_committed(&result) {
            return placed;
        }
        assert!(result.expect("taken, or there is no room").changed);
    }
    panic!("the database never fills up");
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_is_left_behind() {
    let place = Place::new();
    let shop = Shop::open(&place).await;
    shop.sell("apple", 100_000).await;
    let first = shop.place(&[("apple", 1)]).await.id;
    assert_eq!(shop.backend.ledger.ready().await, Ok(()));
    fill(&place).await;
    let placed = place_until_full(&shop).await;
    assert!(shop.backend.ledger.ready().await.is_err_and(|reason| reason.contains("full")));
    // Memory and feed show what is stored, and nothing of what failed.
    assert_eq!(shop.audit().await.orders.len(), placed + 1);
    let keyed = shop.placing(&[("apple", 1)]).with_key(Some(key("key-1", "one apple")));
    let many: Vec<Submission> = (0..500).map(|_| Submission::new(keyed.clone())).collect();
    let results = shop.backend.ledger.submit(Source::Results, many).await;
    assert!(results.iter().all(is_not_committed), "{results:?}");
    assert_eq!(shop.audit().await.orders.len(), placed + 1);
    make_room(&place, &shop).await;
    let again = shop.ask(keyed).await.expect("the key was never used");
    assert!(again.changed && !again.replayed);
    shop.drive(first, Status::Confirmed).await;
    assert_eq!(shop.audit().await.orders.len(), placed + 2);
    let shop = shop.reopen(&place).await;
    assert_eq!(shop.audit().await.orders.len(), placed + 2);
}

#[tokio::test]
async fn intake_is_refused_at_once_after_repeated_failures() {
    let place = Place::new();
    let settings = Settings { undecided_max: 50, ..Settings::default() };
    let shop = Shop::open_with(&place, settings).await;
    shop.sell("apple", 100_000).await;
    // One commit that fails rolls back whatever room is left, so each of these is too large by itself.
    let large = |count: usize| -> Vec<Submission> {
        let request = |_| {
            let mut request = shop.request(&[("apple", 1)]);
            request.shipping_address = Some("a".repeat(8_000).into());
            Submission::new(Input::new(Body::Place(Box::new(request))))
        };
        (0..count).map(request).collect()
    };
    fill(&place).await;
    for _ in 0..3 {
        let results = shop.backend.ledger.submit(Source::Live, large(20)).await;
        assert!(results.iter().all(is_not_committed), "{results:?}");
    }
    // Ten of these would wait for room, and be refused for load.
    let results = shop.backend.ledger.submit(Source::Import, large(60)).await;
    assert!(results.len() == 60 && results.iter().all(is_not_committed), "{results:?}");
    make_room(&place, &shop).await;
    // Every order that failed has given its room back.
    let results = shop.backend.ledger.submit(Source::Live, large(50)).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let beyond = shop.backend.ledger.submit(Source::Live, large(1)).await;
    assert!(matches!(beyond[..], [Err(SubmitError::Overloaded { .. })]), "{beyond:?}");
    shop.audit().await;
}

#[tokio::test]
async fn a_failed_commit_settles_nothing() {
    let place = Place::new();
    let shop = Shop::open(&place).await;
    shop.sell("apple", 100).await;
    let id = shop.place(&[("apple", 1)]).await.id;
    let delivery = shop.receive(Role::Payments, 10).await.remove(0);
    place.on_writer("CREATE TEMP TRIGGER stop BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'stopped'); END").await;
    let cancel = Input::new(Body::Cancel { order_id: id, reason: "no".into() });
    let effect = Submission::settling(cancel.clone(), delivery.clone().ack());
    let results = shop.backend.ledger.submit(Source::Results, vec![effect]).await;
    assert!(results.iter().all(is_not_committed), "{results:?}");
    shop.backend.bus.give_back(vec![delivery.clone()]).await;
    assert_eq!(shop.receive(Role::Payments, 10).await, std::slice::from_ref(&delivery));
    place.on_writer("DROP TRIGGER temp.stop").await;
    let effect = Submission::settling(cancel, delivery.ack());
    let results = shop.backend.ledger.submit(Source::Results, vec![effect]).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    shop.assert_quiet(Role::Payments).await;
    shop.audit().await;
}

#[tokio::test]
async fn an_unreadable_order_is_off_and_spares_the_others() {
    let place = Place::new();
    let shop = Shop::open(&place).await;
    shop.sell("apple", 100).await;
    let ids = place_many(&shop, 2, 1).await;
    put_to_rest(&shop, &ids).await;
    // Reopened, orders at rest are read from their events.
    let shop = shop.reopen(&place).await;
    place.on_writer("UPDATE events SET data = '{' WHERE version = 2 AND position = (SELECT min(position) FROM events WHERE version = 2 AND typeof(subject) = 'blob')").await;
    let archived = |order_id| Submission::new(Input::new(Body::Archived { order_id, version: 3 }));
    let results = shop.backend.ledger.submit(Source::Results, ids.iter().copied().map(archived).collect()).await;
    assert!(is_not_committed(&results[0]), "{results:?}");
    assert!(results[1].as_ref().is_ok_and(|outcome| outcome.changed), "{results:?}");
    assert_eq!(shop.backend.ledger.ready().await, Ok(()), "the disk is fine");
    assert!(shop.backend.queries.order(ids[0]).await.is_err());
}

#[tokio::test]
async fn inputs_that_write_nothing_neither_heal_nor_hide_that_it_healed() {
    let place = Place::new();
    let shop = Shop::open(&place).await;
    shop.sell("apple", 100_000).await;
    let known = shop.placing(&[("apple", 1)]).with_key(Some(key("key-1", "one apple")));
    shop.ask(known.clone()).await.expect("taken");
    let nothing = [known, shop.placing(&[("pear", 1)]), Input::new(Body::Nothing)];
    // A fault that ends without the writer being asked anything.
    let stop = |table| {
        let when = "WHEN EXISTS (SELECT 1 FROM fault) BEGIN SELECT RAISE(ABORT, 'stopped'); END";
        format!("CREATE TEMP TRIGGER stop_{table} BEFORE INSERT ON main.{table} {when};")
    };
    let fault = "CREATE TABLE fault (x); INSERT INTO fault VALUES (1);";
    place.on_writer(&format!("{fault} {} {}", stop("events"), stop("probe"))).await;
    let result = shop.backend.ledger.submit_one(Source::Live, shop.placing(&[("apple", 1)])).await;
    assert!(is_not_committed(&result), "{result:?}");
    let ask = async || {
        let inputs = nothing.iter().cloned().map(Submission::new).collect();
        let results = shop.backend.ledger.submit(Source::Results, inputs).await;
        assert!(results[0].as_ref().is_ok_and(|outcome| outcome.replayed), "{results:?}");
        assert!(matches!(results[1], Err(SubmitError::Refused(_))), "{results:?}");
        assert!(results[2].is_ok(), "{results:?}");
    };
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(2_500) {
        ask().await;
        assert!(shop.backend.ledger.ready().await.is_err(), "nothing can be written still");
    }
    place.sql("DELETE FROM fault");
    let began = Instant::now();
    // Never a pause between inputs that is long enough for the writer to look by itself.
    while shop.backend.ledger.ready().await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(10), "the writer finds out between two commits");
        ask().await;
    }
    assert!(shop.place(&[("apple", 1)]).await.version > 0);
}

#[tokio::test]
async fn a_ledger_without_its_writer_has_failed_for_good() {
    let place = Place::new();
    let shop = Shop::open(&place).await;
    shop.sell("apple", 100).await;
    let ledger = place.ledger();
    let failed = tokio::spawn({
        let ledger = ledger.clone();
        async move { ledger.failed().await }
    });
    tokio::time::sleep(QUIET).await;
    assert!(!failed.is_finished(), "it works");
    assert!(ledger.shared().lanes.command(Command::Defect));
    let limit = Duration::from_secs(10);
    let reason = tokio::time::timeout(limit, failed).await.expect("it is told").expect("no panic");
    assert!(reason.contains("defect"), "{reason}");
    assert_eq!(tokio::time::timeout(limit, ledger.failed()).await, Ok(reason), "who asks late is told as well");
    assert!(ledger.ready().await.is_err());
    tokio::time::timeout(limit, ledger.close()).await.expect("nobody waits for a writer that is gone");
    assert!(tokio::time::timeout(limit, ledger.failed()).await.is_ok(), "closing it does not mend it");
}

#[tokio::test]
async fn a_closed_ledger_has_not_failed() {
    let place = Place::new();
    let shop = Shop::open(&place).await;
    shop.sell("apple", 100).await;
    let ledger = place.ledger();
    let failed = tokio::spawn({
        let ledger = ledger.clone();
        async move { ledger.failed().await }
    });
    tokio::time::sleep(QUIET).await;
    ledger.close().await;
    assert!(tokio::time::timeout(QUIET * 4, failed).await.is_err(), "who asked before");
    assert!(tokio::time::timeout(QUIET, ledger.failed()).await.is_err(), "who asks now");
}
