//! A few orders among many.

use std::sync::Arc;

use ordermill_core::input::{Admission, Body, Input};
use ordermill_core::intake::{OrderDraft, ProductDraft};
use ordermill_ports::clock::SystemClock;
use ordermill_ports::{Ledger, Source};
use serde_json::json;

use super::super::{Options, SqliteLedger};
use super::*;

async fn place(ledger: &SqliteLedger, number: u8) -> OrderId {
    let draft = json!({"customer_id": "c-1", "lines": [{"product_id": "kettle", "quantity": 1}]});
    let draft: OrderDraft = serde_json::from_value(draft).expect("a draft");
    let id = OrderId::from_bytes([number; 16]);
    let order = draft.check(id, Admission::Refuse).expect("a sound order");
    ledger.submit_one(Source::Live, Input::new(Body::Place(Box::new(order)))).await.expect("an order");
    let cancel = Body::Cancel { order_id: id, reason: "changed my mind".into() };
    ledger.submit_one(Source::Live, Input::new(cancel)).await.expect("a cancel");
    id
}

fn read(path: &Path, ids: &[OrderId]) -> Vec<OrderHistory> {
    let mut found = Vec::new();
    let mut snapshot = Snapshot::open(path).expect("a ledger");
    let read = snapshot.each_order_of(ids, &mut |history| {
        found.push(history);
        Ok(())
    });
    read.expect("readable orders");
    found
}

#[tokio::test]
async fn a_few_orders_are_found_also_when_a_trail_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ordermill.db");
    let ledger = SqliteLedger::open(Options::new(path.clone(), Arc::new(SystemClock))).expect("a new ledger");
    let draft = json!({"name": "Kettle", "price": {"amount_minor": 100, "currency": "USD"}, "stock": 9});
    let draft: ProductDraft = serde_json::from_value(draft).expect("a draft");
    let product = draft.check(Some("kettle"), None).expect("a sound product");
    ledger.submit_one(Source::Live, Input::new(Body::PutProduct(product))).await.expect("a product");
    let mut ids = Vec::new();
    for number in 1..=3 {
        ids.push(place(&ledger, number).await);
    }
    ledger.close().await;
    drop(ledger);
    let wanted = [ids[0], ids[2], OrderId::from_bytes([9; 16])];
    let before = read(&path, &wanted);
    assert_eq!(before.iter().map(|history| history.id).collect::<Vec<_>>(), wanted[..2]);
    assert!(before.iter().all(|history| history.events.len() == 2 && history.row.is_some()));
    let conn = Connection::open(&path).expect("the database");
    for table in ["open_orders", "closed_orders"] {
        let sql = format!("UPDATE {table} SET trail = x'7f' WHERE id = ?1");
        conn.execute(&sql, [ids[2].as_bytes()]).expect("an update");
    }
    let after = read(&path, &wanted);
    assert_eq!(after.len(), 2);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((before.id, &before.row, &before.events), (after.id, &after.row, &after.events));
    }
}
