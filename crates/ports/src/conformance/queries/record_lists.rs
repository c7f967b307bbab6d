//! Records by id and in lists.

use std::sync::Arc;

use jiff::SignedDuration;
use ordermill_core::id::RecordId;
use ordermill_core::input::Body;
use ordermill_core::record::Record;

use crate::conformance::Harness;
use crate::conformance::shop::{Shop, stored};
use crate::queries::RecordFilter;

/// Ten records a minute apart, every third stored.
async fn busy_shop(harness: &dyn Harness) -> (Shop, Vec<Arc<Record>>) {
    let shop = Shop::open(harness).await;
    let mut records = Vec::new();
    for number in 0..10 {
        let mut record = shop.take_record(&format!("text {number}")).await;
        if number % 3 == 0 {
            record = shop.ask_record(Body::RecordStored { record_id: record.id, stored: stored(number) }).await.0;
        }
        records.push(record);
        shop.advance(SignedDuration::from_mins(1));
    }
    (shop, records)
}

fn ids(records: &[Arc<Record>]) -> Vec<RecordId> {
    records.iter().map(|record| record.id).collect()
}

/// What is not there is not there.
pub async fn an_unknown_record_is_none(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    assert_eq!(shop.backend.queries.record(shop.record_id()).await.expect("readable"), None);
    let page = shop.backend.queries.list_records(RecordFilter::default(), None, 10).await.expect("listable");
    assert!(page.entries.is_empty() && page.next.is_none());
}

/// Every condition picks the records it names, newest first, whatever the size of the pages.
pub async fn every_filter_picks_its_records(harness: &dyn Harness) {
    type Fits = fn(usize) -> bool;
    let (shop, records) = busy_shop(harness).await;
    let (from, to) = (Some(records[2].received_at), Some(records[8].received_at));
    let all = RecordFilter::default();
    let cases: [(RecordFilter, Fits); 7] = [
        (all, |_| true),
        (RecordFilter { stored: Some(true), ..all }, |number| number % 3 == 0),
        (RecordFilter { stored: Some(false), ..all }, |number| number % 3 != 0),
        (RecordFilter { from, ..all }, |number| number >= 2),
        (RecordFilter { to, ..all }, |number| number < 8),
        (RecordFilter { stored: Some(false), from, to }, |number| (2..8).contains(&number) && number % 3 != 0),
        (RecordFilter { from: to, to: from, ..all }, |_| false),
    ];
    for (filter, fits) in cases {
        let expected: Vec<RecordId> =
            records.iter().enumerate().filter(|(number, _)| fits(*number)).map(|(_, record)| record.id).rev().collect();
        for limit in [1, 3, 4, 10, 50] {
            assert_eq!(ids(&shop.list_records(filter, limit).await), expected, "{filter:?}");
        }
    }
    shop.audit().await;
}

/// Storing a record moves it from the one list to the other, at its old place; a page that ends with the last has no next one.
pub async fn storing_does_not_move_a_record(harness: &dyn Harness) {
    let (shop, mut records) = busy_shop(harness).await;
    let later = records[4].id;
    shop.ask_record(Body::RecordStored { record_id: later, stored: stored(4) }).await;
    let filter = |stored| RecordFilter { stored: Some(stored), ..RecordFilter::default() };
    records.reverse();
    assert_eq!(ids(&shop.list_records(RecordFilter::default(), 4).await), ids(&records));
    let is_stored = |record: &&Arc<Record>| record.stored.is_some() || record.id == later;
    let expected: Vec<RecordId> = records.iter().filter(is_stored).map(|record| record.id).collect();
    assert_eq!(ids(&shop.list_records(filter(true), 4).await), expected);
    assert!(!ids(&shop.list_records(filter(false), 4).await).contains(&later));
    let page = async |before, limit| {
        shop.backend.queries.list_records(RecordFilter::default(), before, limit).await.expect("listable")
    };
    assert_eq!(page(None, 10).await.next, None);
    assert_eq!(page(None, 9).await.next, Some(records[8].id));
    let below = page(Some(records[9].id), 10).await;
    assert_eq!((below.entries.len(), below.next), (0, None));
}
