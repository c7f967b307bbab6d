//! Customers, parcels, records and deleted products: failed commits, damaged rows, and what the views say.

use ordermill_core::event::EventType;
use ordermill_core::input::{Body, Input};
use ordermill_core::parcel::{ParcelStatus, Verdict};
use ordermill_ports::audit::LedgerSnapshot;
use ordermill_ports::conformance::shop::{Shop, customer, parcel, product, report, stored, verdict};
use ordermill_ports::queries::{Deleted, RecordFilter};
use ordermill_ports::{Source, Submission};
use rusqlite::Connection;

use super::super::codec::parcel_status_code;
use super::super::{Snapshot, schema};
use super::{Place, is_not_committed};

/// A bit of everything: two parcels, two records, two customers, two products.
async fn busy_shop(place: &Place) -> Shop {
    let shop = Shop::open(place).await;
    for id in ["apple", "pear"] {
        shop.sell(id, 10).await;
        shop.put_customer(shop.customer(id)).await;
        shop.track(id, ParcelStatus::PickedUp, 1).await;
        let record = shop.take_record(id).await;
        shop.ask_record(Body::RecordStored { record_id: record.id, stored: stored(1) }).await;
    }
    shop
}

#[tokio::test]
async fn a_failed_commit_leaves_nothing_of_any_subject() {
    let place = Place::new();
    let shop = busy_shop(&place).await;
    let record = shop.record("new");
    let put = |id: &str| Body::PutCustomer(Box::new(shop.customer(id)));
    let inputs = || -> Vec<Submission> {
        let deleted = Body::DeleteProduct { product_id: product("pear"), expected_version: None };
        let gone = Body::DeleteCustomer { customer_id: customer("pear"), expected_version: None };
        let bodies = [Body::TakeRecord(Box::new(record.clone())), put("new"), gone, deleted];
        let reports = [report("new", ParcelStatus::PickedUp, 2), report("pear", ParcelStatus::Delivered, 2)];
        let moved = report("pear", ParcelStatus::OutForDelivery, 1);
        let all = [moved].into_iter().chain(reports).chain(bodies.into_iter().map(Input::new));
        all.map(Submission::new).collect()
    };
    let queries = &shop.backend.queries;
    let head = queries.head().await.expect("readable");
    // The first of the rows, and the last.
    for table in ["events", "records"] {
        let stop = "BEGIN SELECT RAISE(ABORT, 'stopped'); END";
        place.on_writer(&format!("CREATE TEMP TRIGGER stop BEFORE INSERT ON main.{table} {stop}")).await;
        let results = shop.backend.ledger.submit(Source::Live, inputs()).await;
        assert!(results.len() == 7 && results.iter().all(is_not_committed), "{results:?}");
        place.on_writer("DROP TRIGGER temp.stop").await;
        assert_eq!(queries.head().await.expect("readable"), head);
        assert_eq!(queries.parcel(&parcel("new")).await.expect("readable"), None);
        assert_eq!(queries.customer(&customer("new")).await.expect("readable"), None);
        assert_eq!(queries.record(record.record_id).await.expect("readable"), None);
        assert_eq!(shop.list_parcels(&[ParcelStatus::PickedUp], 9).await.len(), 2);
        assert_eq!(shop.list_customers(Deleted::Hidden, 9).await.len(), 2);
        assert_eq!(shop.list_records(RecordFilter::default(), 9).await.len(), 2);
        assert_eq!(queries.list_products(None, Deleted::Hidden, 9).await.expect("readable").entries.len(), 2);
        shop.audit().await;
    }
    let results = shop.backend.ledger.submit(Source::Live, inputs()).await;
    let outcomes: Vec<_> = results.into_iter().map(|result| result.expect("taken")).collect();
    assert!(outcomes.iter().all(|outcome| outcome.changed), "each is new");
    assert!(outcomes[..3].iter().all(|outcome| verdict(outcome).1 == Verdict::Moved));
    shop.audit().await;
    let shop = shop.reopen(&place).await;
    shop.audit().await;
    assert_eq!(shop.list_parcels(&[ParcelStatus::Delivered], 9).await.len(), 1);
}

/// What a snapshot of a damaged ledger says is wrong with its storage; and of parcels and records, how many lack a row, and events.
async fn damaged(sql: &str) -> (Vec<String>, (usize, usize)) {
    let place = Place::new();
    let shop = busy_shop(&place).await;
    shop.backend.ledger.close().await;
    drop(shop);
    place.sql(sql);
    let mut snapshot = Snapshot::open(&place.path()).expect("it opens");
    let (mut rows, mut events) = (0, 0);
    let parcels = snapshot.each_parcel(&mut |history| {
        rows += usize::from(history.row.is_none());
        events += usize::from(history.events.is_empty());
        Ok(())
    });
    parcels.expect("every parcel can be read");
    let records = snapshot.each_record(&mut |history| {
        rows += usize::from(history.row.is_none());
        events += usize::from(history.events.is_empty());
        Ok(())
    });
    records.expect("every record can be read");
    (snapshot.storage_problems().expect("readable"), (rows, events))
}

#[tokio::test]
async fn rows_without_events_and_events_without_rows_are_seen() {
    assert_eq!(damaged("").await, (Vec::new(), (0, 0)));
    assert_eq!(damaged("DELETE FROM parcels; DELETE FROM records").await, (Vec::new(), (4, 0)));
    let types = "SELECT code FROM event_types WHERE name LIKE 'tracking.%' OR name LIKE 'record.%'";
    let (problems, lacking) = damaged(&format!("DELETE FROM events WHERE type IN ({types})")).await;
    assert_eq!((problems.len(), lacking), (4, (0, 4)), "{problems:?}");
}

#[tokio::test]
async fn rows_that_lead_astray_are_seen() {
    let (problems, _) = damaged("UPDATE parcels SET trail = x'01'; UPDATE records SET trail = x'01'").await;
    assert_eq!(problems.len(), 4, "{problems:?}");
    assert!(problems.iter().all(|problem| problem.contains("does not lead to its events")), "{problems:?}");
    let (problems, _) = damaged("UPDATE parcels SET first = first + 1000 WHERE id = 'pear'").await;
    assert!(matches!(&problems[..], [one] if one.contains("parcel pear") && one.contains("stored at")), "{problems:?}");
}

#[tokio::test]
async fn the_views_know_every_type_and_status() {
    let place = Place::new();
    let shop = busy_shop(&place).await;
    shop.backend.ledger.close().await;
    drop(shop);
    let conn = Connection::open(place.path()).expect("the database opens");
    conn.execute_batch("DELETE FROM events").expect("for the test's own events");
    for kind in EventType::ALL {
        let insert = "INSERT INTO events (subject, version, type, at, data)
                      SELECT 'x', 1, code, 0, '{}' FROM event_types WHERE name = ?1 AND schema = ?2";
        assert_eq!(conn.execute(insert, (kind.name(), kind.version())), Ok(1), "{kind:?} has a code");
        let shown = conn.query_row("SELECT kind FROM history WHERE type = ?1", [kind.name()], |row| row.get(0));
        assert_eq!(shown, Ok(kind.subject_kind().as_str().to_owned()), "{kind:?}");
    }
    for status in ParcelStatus::ALL {
        let name = "SELECT name FROM parcel_statuses WHERE code = ?1";
        let stored = conn.query_row(name, [parcel_status_code(status)], |row| row.get(0));
        assert_eq!(stored, Ok(status.as_str().to_owned()));
    }
    let shown = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, String>(0)).expect("a view");
    assert_eq!(shown("SELECT group_concat(id || ' ' || status, ',') FROM tracking"), "apple picked_up,pear picked_up");
    assert!(shown("SELECT id FROM stored_records WHERE stored_key IS NOT NULL").starts_with("rec_"));
    assert_eq!(place.number("SELECT user_version FROM pragma_user_version"), schema::NEWEST);
}

#[tokio::test]
async fn whoever_waits_for_the_feed_is_told_by_the_commit() {
    let place = Place::new();
    let shop = Shop::open(&place).await;
    let head = shop.backend.queries.head().await.expect("readable");
    let waits = tokio::spawn({
        let queries = shop.backend.queries.clone();
        async move { queries.feed_grown(head).await }
    });
    let waits_on = tokio::spawn({
        let queries = shop.backend.queries.clone();
        async move { queries.parcel_changed(&parcel("new"), 0).await }
    });
    tokio::time::sleep(ordermill_ports::conformance::shop::QUIET).await;
    assert!(!waits.is_finished() && !waits_on.is_finished(), "there is no news");
    shop.track("new", ParcelStatus::PickedUp, 1).await;
    let limit = std::time::Duration::from_secs(10);
    tokio::time::timeout(limit, waits).await.expect("it is told").expect("no panic").expect("readable");
    let seen = tokio::time::timeout(limit, waits_on).await.expect("it is told").expect("no panic").expect("readable");
    assert_eq!(seen.version, 1);
}
