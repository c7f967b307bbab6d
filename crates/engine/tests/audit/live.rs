//! A ledger that is written while it is audited: the outside may be newer than the first snapshot.

use ordermill_core::invariant::Invariant;
use ordermill_core::order::Status;

use super::world::Shop;

#[tokio::test]
async fn what_is_newer_than_the_first_snapshot_is_no_finding() {
    let mut shop = Shop::open().await;
    let begun = shop.place("begun", "kettle", 1, "ok", true).await;
    shop.drive(begun, Some(Status::Authorized)).await;
    let done = shop.place("done", "kettle", 1, "ok", true).await;
    shop.drive(done, None).await;
    let before = shop.look().records;
    shop.drive(begun, None).await;
    shop.submit(ordermill_core::input::Body::Cancel { order_id: done, reason: "changed my mind".into() }).await;
    shop.drive(done, None).await;
    let new = shop.place("new", "kettle", 1, "ok", true).await;
    shop.drive(new, None).await;
    let after = shop.look();
    let (totals, findings) =
        after.audit_with(&mut |opened| if opened == 0 { before.clone() } else { after.records.clone() });
    assert_eq!(findings, []);
    assert_eq!(totals.orders, 2, "the totals are those of one moment");
    assert_eq!(totals.mails.values().sum::<u64>(), 1, "mails behind that moment are not counted");
}

#[tokio::test]
async fn what_the_second_snapshot_does_not_explain_either_is_a_finding() {
    let mut shop = Shop::open().await;
    let done = shop.place("done", "kettle", 1, "ok", true).await;
    shop.drive(done, None).await;
    let before = shop.look().records;
    let new = shop.place("new", "kettle", 1, "ok", true).await;
    shop.drive(new, None).await;
    let after = shop.look();
    let (_, findings) = after.audit_with(&mut |_| before.clone());
    assert_eq!(findings.len(), 2, "{findings:#?}");
    assert!(
        findings.iter().all(|finding| finding.invariant == Invariant::ProviderAgrees && finding.order_id == Some(new))
    );
}

#[tokio::test]
async fn an_object_with_more_events_than_the_ledger_is_a_finding() {
    let mut shop = Shop::open().await;
    let done = shop.place("done", "kettle", 1, "ok", true).await;
    shop.drive(done, None).await;
    let before = shop.look().records;
    shop.submit(ordermill_core::input::Body::Cancel { order_id: done, reason: "changed my mind".into() }).await;
    shop.drive(done, None).await;
    let mut after = shop.look();
    // Only the archive is from later: events that it holds are gone from the ledger.
    after.provider.truncate(2);
    let (_, findings) = after.audit_with(&mut |_| before.clone());
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0].invariant, Invariant::ArchiveAgrees);
}
