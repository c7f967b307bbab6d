//! Rows of parcels, which are written behind their events.

use std::collections::BTreeMap;

use ordermill_core::parcel::{Parcel, ParcelStatus, Verdict};
use ordermill_ports::audit::{LedgerSnapshot, ParcelRow};
use ordermill_ports::conformance::shop::{Shop, parcel, report};
use ordermill_ports::queries::Position;
use ordermill_ports::{Queries, Source, Submission};

use super::super::Snapshot;
use super::Place;

/// Parcels by name, as they should be.
type Known = BTreeMap<String, Parcel>;

/// Reports parcels in no order: each call names some of all, most of them again.
async fn report_many(shop: &Shop, calls: usize, known: &mut Known) {
    let mut number = 1_usize;
    for call in 0..calls {
        let mut inputs = Vec::new();
        for _ in 0..100 {
            // Comes by every number below 1,009 in no order.
            number = number * 11 % 1_009;
            let status = ParcelStatus::ALL[(number + call) % 4];
            let minutes = i64::try_from(call * 10 + number % 7).expect("small");
            inputs.push(Submission::new(report(&format!("parcel-{number}"), status, minutes)));
        }
        for result in shop.backend.ledger.submit(Source::Live, inputs).await {
            let outcome = result.expect("a report is always answered");
            let (parcel, _) = ordermill_ports::conformance::shop::verdict(&outcome);
            known.insert(parcel.id.to_string(), (*parcel).clone());
        }
    }
}

/// What is read by name, by list and from the feed is what was answered.
async fn assert_known(shop: &Shop, known: &Known) {
    for (name, expected) in known {
        let found = shop.backend.queries.parcel(&parcel(name)).await.expect("readable").expect("it is known");
        assert_eq!(*found, *expected);
        assert_eq!(shop.parcel_events(name).await.len(), expected.version as usize, "{name}");
    }
    let all = shop.list_parcels(&[], 97).await;
    assert_eq!(all.len(), known.len());
    for statuses in [&ParcelStatus::ALL[..1], &ParcelStatus::ALL[1..3], &ParcelStatus::ALL[3..]] {
        let fitting: Vec<_> = all.iter().filter(|parcel| statuses.contains(&parcel.status)).cloned().collect();
        assert_eq!(shop.list_parcels(statuses, 41).await, fitting, "{statuses:?}");
    }
    assert!(all.iter().all(|parcel| known[parcel.id.as_str()] == **parcel));
    shop.audit().await;
}

/// Every parcel that a snapshot shows has the row of its events.
fn assert_sound(place: &Place, parcels: usize) {
    let mut snapshot = Snapshot::open(&place.path()).expect("it opens");
    let mut seen = 0;
    let visit = snapshot.each_parcel(&mut |history| {
        seen += 1;
        let events = history.events.iter().map(|recorded| (&recorded.event, recorded.at));
        let parcel = Parcel::fold(history.id, events).expect("its first event is a move");
        assert_eq!(history.row, Some(ParcelRow { status: parcel.status, version: parcel.version }));
        Ok(())
    });
    visit.expect("every parcel can be read");
    assert_eq!(seen, parcels);
    assert_eq!(snapshot.storage_problems().expect("readable"), Vec::<String>::new());
}

#[tokio::test]
async fn a_crash_finds_every_parcel_whether_its_row_was_written_or_not() {
    let place = Place::new();
    let shop = Shop::open(&place).await;
    let mut known = Known::new();
    // So few that no row is due; then so many that the hand goes round several times.
    for calls in [2, 30] {
        report_many(&shop, calls, &mut known).await;
        assert_known(&shop, &known).await;
        assert_sound(&place, known.len());
        let crashed = place.crashed();
        let rows = "SELECT count(*) FROM parcels";
        let is_behind =
            "SELECT max(position) > (SELECT value FROM counters WHERE name = 'parcels_written') FROM events";
        assert_eq!((crashed.number(rows) == 0, crashed.number(is_behind)), (calls == 2, 1));
        assert_sound(&crashed, known.len());
        let again = Shop::open_with(&crashed, shop.settings.clone()).await;
        assert_known(&again, &known).await;
        let mut more = known.clone();
        report_many(&again, 5, &mut more).await;
        assert_known(&again, &more).await;
        again.backend.ledger.close().await;
        assert_eq!(crashed.number(rows), i64::try_from(more.len()).expect("small"));
        assert_eq!(crashed.number(is_behind), 0, "closed, nothing is behind");
        assert_sound(&crashed, more.len());
    }
    assert!(known.len() > 500, "{}", known.len());
    let shop = shop.reopen(&place).await;
    assert_known(&shop, &known).await;
}

#[tokio::test]
async fn rows_that_wait_are_written_when_many_other_events_follow() {
    let place = Place::new();
    let shop = Shop::open(&place).await;
    shop.sell("apple", 10).await;
    for number in 0..40 {
        shop.track(&format!("parcel-{number}"), ParcelStatus::PickedUp, 1).await;
    }
    assert_eq!(place.number("SELECT count(*) FROM parcels"), 0);
    for number in 0..24 {
        let adjust = |number: i64| ordermill_core::input::Body::AdjustStock {
            product_id: ordermill_ports::conformance::shop::product("apple"),
            delta: if number % 2 == 0 { 1 } else { -1 },
            reason: "counted".into(),
            expected_version: None,
        };
        let inputs = (0..100).map(|step| Submission::new(ordermill_core::input::Input::new(adjust(number + step))));
        for result in shop.backend.ledger.submit(Source::Import, inputs.collect()).await {
            result.expect("taken");
        }
    }
    assert_eq!(place.number("SELECT count(*) FROM parcels"), 40);
    let written = place.number("SELECT value FROM counters WHERE name = 'parcels_written'");
    let last = i64::try_from(shop.backend.queries.head().await.expect("readable").0).expect("small");
    assert!(last - written < 1_500, "a start after a crash reads little: {written} of {last}");
    shop.audit().await;
}

#[tokio::test]
async fn a_name_that_meets_another_in_the_index_is_told_apart() {
    let place = Place::new();
    let shop = Shop::open(&place).await;
    shop.track("one", ParcelStatus::PickedUp, 1).await;
    let first = shop.backend.queries.head().await.expect("readable");
    // Reopened, the parcel is found by its row alone.
    let shop = shop.reopen(&place).await;
    let (one, other) = (parcel("one"), parcel("other"));
    let row = i64::try_from(first.0).expect("small");
    place.ledger().shared().parcels.found([(&other, row)].into_iter());
    assert_eq!(place.ledger().parcel(&other).await.expect("readable"), None);
    assert_eq!(shop.track("other", ParcelStatus::Delivered, 2).await.1, Verdict::Moved);
    assert_eq!(shop.track("one", ParcelStatus::OutForDelivery, 3).await.1, Verdict::Moved);
    let list = shop.backend.queries.list_parcels(&[], Some(Position(first.0 + 1)), 9).await.expect("readable");
    assert_eq!(list.entries.iter().map(|parcel| &parcel.id).collect::<Vec<_>>(), [&one]);
    shop.audit().await;
}
