//! The auditor: all is well in a healthy shop, and each damaged record is found under the name of the rule it breaks.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected is to end there")]

mod damage;
mod live;
mod records;
mod subject_damage;
mod subjects;
mod world;

use world::healthy;

#[tokio::test]
async fn a_healthy_ledger_has_no_findings_and_its_totals_add_up() {
    let world = healthy().await;
    let (totals, findings) = world.audit();
    assert_eq!(findings, []);
    assert!(totals.is_clean());
    let status = |name: &str| totals.by_status[name];
    assert_eq!(totals.orders, world.orders.len() as u64);
    assert_eq!((status("confirmed"), status("rejected"), status("cancelled")), (2, 2, 3));
    assert_eq!((status("delivered"), status("reserved"), status("placed")), (1, 2, 1));
    assert_eq!(totals.rejected, [("out_of_stock", 1), ("payment_declined", 1)].into());
    assert_eq!((totals.attention, totals.open), (1, 3));
    assert_eq!((totals.order_refs, totals.idempotency_keys), (11, 13));
    let money = totals.money["USD"];
    assert_eq!(money.authorized, money.held + money.captured + money.voided + money.expired);
    assert_eq!(money.captured, money.kept + money.refunded);
    // paid 2, mute 1, returned 2 are kept; refunded 5 went back; released 4 and short 3 were voided; stuck 1, held 3, lost 1 held.
    assert_eq!((money.kept, money.refunded, money.voided, money.held), (5 * 1999, 5 * 1999, 7 * 1999, 5 * 1999));
    let stock = totals.stock;
    assert_eq!(stock.brought_in + stock.returned, stock.available + stock.reserved + stock.sold);
    assert_eq!((stock.products, stock.brought_in, stock.returned, stock.reserved, stock.sold), (3, 94, 1, 4, 5));
    assert_eq!(totals.mails.values().sum::<u64>(), world.mails.len() as u64);
    assert_eq!(totals.archive_objects, world.objects.len() as u64);
    assert_eq!(totals.provider_entries, world.provider.len() as u64);
    assert_eq!((totals.customers, totals.parcels), (2, 2));
    assert_eq!((totals.records, totals.records_stored, totals.record_objects), (5, 3, 3));
    assert!(totals.not_compared.is_empty());
}
