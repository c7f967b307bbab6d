//! What the auditor sees of a damaged database.

use ordermill_core::order::Status;
use ordermill_ports::audit::{LedgerSnapshot, OrderHistory};
use ordermill_ports::conformance::shop::Shop;

use super::super::Snapshot;
use super::{Place, place_many, put_to_rest};

async fn damaged(sql: &str) -> (Vec<OrderHistory>, Vec<String>) {
    let place = Place::new();
    let shop = Shop::open(&place).await;
    shop.sell("apple", 100).await;
    let ids = place_many(&shop, 3, 1).await;
    put_to_rest(&shop, &ids[..2]).await;
    shop.drive(ids[2], Status::Confirmed).await;
    let mut snapshot = Snapshot::open(&place.path()).expect("it opens");
    assert_eq!(snapshot.storage_problems().expect("readable"), Vec::<String>::new());
    drop(snapshot);
    shop.backend.ledger.close().await;
    drop(shop);
    place.sql(sql);
    let mut snapshot = Snapshot::open(&place.path()).expect("it opens");
    let mut histories = Vec::new();
    let visit = snapshot.each_order(&mut |history| {
        histories.push(history);
        Ok(())
    });
    visit.expect("the orders can be read");
    let problems = snapshot.storage_problems().expect("readable");
    (histories, problems)
}

#[tokio::test]
async fn events_without_a_row_are_seen() {
    let (histories, problems) = damaged("DELETE FROM open_orders; DELETE FROM closed_orders").await;
    assert_eq!(histories.len(), 3);
    assert!(histories.iter().all(|history| history.row.is_none() && !history.events.is_empty()));
    assert_eq!(problems, Vec::<String>::new());
}

#[tokio::test]
async fn a_row_without_events_is_seen() {
    let (histories, problems) = damaged("DELETE FROM events WHERE typeof(subject) = 'blob'").await;
    assert!(histories.len() == 3 && histories.iter().all(|history| history.row.is_some() && history.events.is_empty()));
    assert_eq!(problems.len(), 3, "{problems:?}");
}

#[tokio::test]
async fn a_row_that_leads_to_other_events_is_seen() {
    let sql = "UPDATE closed_orders SET trail = (SELECT trail FROM open_orders)";
    let (histories, problems) = damaged(sql).await;
    assert!(histories.iter().all(|history| history.row.is_some() && !history.events.is_empty()));
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems.iter().all(|problem| problem.contains("does not lead to its events")), "{problems:?}");
}

#[tokio::test]
async fn an_order_missing_from_the_index_is_seen() {
    let (_, problems) = damaged("DELETE FROM customer_recent").await;
    assert_eq!(problems, ["2 orders are not in the index by customer"]);
}
