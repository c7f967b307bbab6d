//! Ledgers of every schema this program ever wrote, as SQL text: the newest code opens them, and they are as they were.
//!
//! `UPDATE_GOLDEN=1 cargo test -p ordermill-embedded --test golden` writes the one of the present schema. Do that once, when a
//! migration is added, and never again for the same number.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ordermill_core::customer::Customer;
use ordermill_core::event::RecordReceived;
use ordermill_core::id::{IdempotencyKey, OrderId, RecordId};
use ordermill_core::input::{
    Admission, Body, Input, Key, MailResult, ParcelReport, PaymentAnswer, PaymentResult, PutCustomer, PutProduct,
    TakeRecord,
};
use ordermill_core::intake::OrderDraft;
use ordermill_core::mail::{Email, MailKind};
use ordermill_core::order::{Order, Status};
use ordermill_core::parcel::{Parcel, ParcelStatus};
use ordermill_core::payment::{DeclineReason, due_request};
use ordermill_core::process::Role;
use ordermill_core::product::Product;
use ordermill_core::record::{Record, Stored};
use ordermill_core::{Timestamp, invariant};
use ordermill_embedded::sqlite::{Options, Snapshot, SqliteLedger};
use ordermill_ports::audit::{LedgerSnapshot, ParcelRow, RecordRow};
use ordermill_ports::conformance::ManualClock;
use ordermill_ports::queries::{Deleted, RecordFilter};
use ordermill_ports::{Bus, Ledger, Queries, Source, Submission};
use rusqlite::Connection;
use rusqlite::types::Value;
use serde_json::json;

/// The schema that this program writes.
const SCHEMA: i64 = 2;

fn golden(schema: i64) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/ledger.v{schema}.sql"))
}

fn order_id(number: u8) -> OrderId {
    let mut bytes = [0; 16];
    // Version 7 and variant 2, as every id has.
    (bytes[5], bytes[6], bytes[8], bytes[15]) = (1, 0x70, 0x80, number);
    OrderId::from_bytes(bytes)
}

fn record_id(number: u8) -> RecordId {
    RecordId::from_bytes(*order_id(number).as_bytes())
}

fn put(id: &str, opening_stock: Option<i64>) -> Body {
    Body::PutProduct(PutProduct {
        product_id: id.parse().unwrap(),
        name: "Tea".into(),
        price: serde_json::from_value(json!({ "amount_minor": 1050, "currency": "EUR" })).unwrap(),
        description: Some("Green; loose.".into()),
        active: true,
        opening_stock,
        expected_version: None,
    })
}

struct Shop(Arc<SqliteLedger>);

impl Shop {
    fn open(path: &Path) -> Self {
        Self(SqliteLedger::open(Options::new(path, Arc::new(ManualClock::default()))).unwrap())
    }

    async fn submit(&self, body: Body) {
        self.0.submit_one(Source::Results, Input::new(body)).await.unwrap();
    }

    async fn place(&self, number: u8, quantity: i64) -> OrderId {
        let draft: OrderDraft = serde_json::from_value(json!({
            "customer_id": "c-1", "customer_email": "c@example.com", "order_ref": format!("ref-{number}"),
            "shipping_address": { "street": "1 \"Quoted' Street" },
            "lines": [{ "product_id": "P1", "quantity": quantity }],
        }))
        .unwrap();
        let request = draft.check(order_id(number), Admission::Refuse).unwrap();
        let fingerprint = request.fingerprint();
        let key = Key { key: IdempotencyKey::new(&format!("key-{number}")).unwrap(), fingerprint };
        let input = Input::new(Body::Place(Box::new(request))).with_key(Some(key));
        self.0.submit_one(Source::Live, input).await.unwrap();
        order_id(number)
    }

    /// The provider answers what is due.
    async fn answer(&self, id: OrderId, answer: PaymentAnswer) {
        let order = self.0.order(id).await.unwrap().unwrap();
        let key = due_request(&order).unwrap().key;
        self.submit(Body::PaymentResult(PaymentResult { key, answer })).await;
    }

    async fn confirm(&self, id: OrderId) {
        let yes = || PaymentAnswer::Succeeded { provider_ref: "p-1".parse().unwrap() };
        self.answer(id, yes()).await;
        self.submit(Body::Reserve { order_id: id }).await;
        self.answer(id, yes()).await;
    }
}

/// A small shop with a bit of everything: orders at rest and under way, one waiting for a person, a parked delivery, a dead letter.
async fn fill(path: &Path) {
    let shop = Shop::open(path);
    shop.submit(put("P1", Some(10))).await;
    let confirmed = shop.place(1, 2).await;
    shop.confirm(confirmed).await;
    let sent = MailResult::Sent { mailbox_end: Some(1234) };
    shop.submit(Body::MailResult { order_id: confirmed, kind: MailKind::Confirmed, version: 1, result: sent }).await;
    shop.submit(Body::Archived { order_id: confirmed, version: 6 }).await;
    let declined = shop.place(2, 1).await;
    shop.answer(declined, PaymentAnswer::Refused { reason: DeclineReason::InsufficientFunds }).await;
    let cancelled = shop.place(3, 3).await;
    shop.confirm(cancelled).await;
    shop.submit(Body::Cancel { order_id: cancelled, reason: "changed my mind".into() }).await;
    shop.answer(cancelled, PaymentAnswer::Refused { reason: DeclineReason::Declined }).await;
    shop.place(4, 1).await;
    let adjust = Body::AdjustStock {
        product_id: "P1".parse().unwrap(),
        delta: -1,
        reason: "broken".into(),
        expected_version: None,
    };
    shop.submit(adjust).await;
    let mut deliveries = shop.0.receive(Role::Payments, 10).await.unwrap().into_iter();
    let later = Timestamp::from_second(2_000_000_000).unwrap();
    let retry = deliveries.next().unwrap().retry(later, "no answer".to_owned());
    let dead = deliveries.next().unwrap().dead_letter("given up".to_owned());
    let settlements = vec![Submission::settle(retry), Submission::settle(dead)];
    shop.0.submit(Source::Results, settlements).await;
    fill_subjects(&shop).await;
    shop.0.close().await;
}

/// What the second schema added.
async fn fill_subjects(shop: &Shop) {
    shop.submit(put("P2", None)).await;
    shop.submit(Body::DeleteProduct { product_id: "P2".parse().unwrap(), expected_version: None }).await;
    for id in ["c-1", "P1"] {
        let customer = PutCustomer {
            customer_id: id.parse().unwrap(),
            name: "O'Hara".into(),
            email: Some(Email::new("c@example.com").unwrap()),
            address: Some(json!({ "street": "1 \"Quoted' Street" })),
            metadata: None,
            expected_version: None,
        };
        shop.submit(Body::PutCustomer(Box::new(customer))).await;
    }
    shop.submit(Body::DeleteCustomer { customer_id: "P1".parse().unwrap(), expected_version: Some(1) }).await;
    for (parcel, status, minutes) in reports() {
        let seen_at = Timestamp::from_second(1_800_000_000 + 60 * minutes).unwrap();
        let parcel_id = parcel.parse().unwrap();
        shop.submit(Body::Track(ParcelReport { parcel_id, status, seen_at, correlation_id: None })).await;
    }
    for number in [1, 2] {
        let received = RecordReceived { data: json!({ "number": number }), occurred_at: None, correlation_id: None };
        let take = TakeRecord { record_id: record_id(number), received };
        shop.submit(Body::TakeRecord(Box::new(take))).await;
    }
    shop.submit(Body::RecordStored { record_id: record_id(1), stored: stored() }).await;
}

/// Which parcel was where, and when in minutes: one is handed over, after a late report and an impossible one; one was just seen.
fn reports() -> [(&'static str, ParcelStatus, i64); 6] {
    [
        ("ref-1", ParcelStatus::OutForDelivery, 10),
        ("P1", ParcelStatus::PickedUp, 11),
        ("ref-1", ParcelStatus::PickedUp, 5),
        ("ref-1", ParcelStatus::PickedUp, 12),
        ("ref-1", ParcelStatus::Delivered, 20),
        ("ref-1", ParcelStatus::Delivered, 20),
    ]
}

fn stored() -> Stored {
    Stored { key: "processed/1.json".into(), attempts: 2 }
}

/// The whole database as SQL text.
fn dump(path: &Path) -> String {
    let conn = Connection::open(path).unwrap();
    let schema: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(schema, SCHEMA, "a migration was added: set SCHEMA, and write the golden file of the new schema");
    let mut sql =
        "-- Generated by crates/embedded/tests/golden.rs (UPDATE_GOLDEN=1); never edited, never written again.\n"
            .to_owned();
    let application: i64 = conn.query_row("PRAGMA application_id", [], |row| row.get(0)).unwrap();
    writeln!(sql, "PRAGMA application_id = {application};\nPRAGMA user_version = {schema};").unwrap();
    let mut objects = conn
        .prepare("SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY type = 'table' DESC, rowid")
        .unwrap();
    let objects: Vec<(String, String, String)> =
        objects.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap().map(Result::unwrap).collect();
    for (kind, name, text) in objects {
        writeln!(sql, "{text};").unwrap();
        if kind == "table" {
            dump_rows(&conn, &name, &mut sql);
        }
    }
    sql
}

fn dump_rows(conn: &Connection, table: &str, sql: &mut String) {
    let mut rows = conn.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let columns = rows.column_count();
    let mut rows = rows.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let values: Vec<String> = (0..columns).map(|column| literal(row.get(column).unwrap())).collect();
        writeln!(sql, "INSERT INTO {table} VALUES ({});", values.join(", ")).unwrap();
    }
}

fn literal(value: Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Blob(bytes) => bytes.iter().fold("x'".to_owned(), |text, byte| format!("{text}{byte:02x}")) + "'",
    }
}

#[tokio::test]
async fn a_ledger_of_every_earlier_schema_opens_and_is_as_it_was() {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ordermill.db");
        fill(&path).await;
        std::fs::write(golden(SCHEMA), dump(&path)).unwrap();
    }
    for schema in 1..=SCHEMA {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ordermill.db");
        let sql = std::fs::read_to_string(golden(schema)).unwrap();
        Connection::open(&path).unwrap().execute_batch(&sql).unwrap();
        check(&path, schema).await;
    }
}

async fn check(path: &Path, schema: i64) {
    let shop = Shop::open(path);
    let statuses = [(1, Status::Confirmed), (2, Status::Rejected), (3, Status::Cancelled), (4, Status::Placed)];
    for (number, status) in statuses {
        let order = shop.0.order(order_id(number)).await.unwrap().unwrap();
        assert_eq!(order.status, status, "order {number}");
        assert_eq!(invariant::check_order(&order), []);
        let by_ref = shop.0.order_by_ref(&format!("ref-{number}").parse().unwrap()).await.unwrap();
        assert_eq!(by_ref, Some(order.id));
    }
    let cancelled = shop.0.order(order_id(3)).await.unwrap().unwrap();
    assert_eq!(cancelled.attention.as_ref().map(|attention| attention.step.as_str()), Some("refund"));
    let stock = shop.0.stock(&"P1".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((stock.available, stock.reserved, stock.sold), (7, 0, 2));
    assert_eq!(shop.0.mailbox_end().await.unwrap(), Some(1234));
    assert_eq!(shop.0.dead_letters(None, 10).await.unwrap().len(), 1);
    assert_eq!(shop.0.lag(Role::Payments).await.unwrap().parked, 1);
    // It goes on: the order under way is taken to its end, and its key still gives the first answer.
    shop.confirm(order_id(4)).await;
    if schema >= 2 {
        check_subjects(&shop).await;
    } else {
        // A ledger that never heard of them has them from now on.
        let lag = async |role| shop.0.lag(role).await.unwrap();
        assert!(lag(Role::Records).await.events < 10, "its role does not read what cannot concern it");
        fill_subjects(&shop).await;
        assert_eq!((lag(Role::Records).await.parked, lag(Role::Tracking).await.parked), (0, 0));
        assert_eq!(shop.0.receive(Role::Records, 10).await.unwrap().len(), 2);
        assert_eq!(shop.0.receive(Role::Tracking, 10).await.unwrap().len(), 3);
        check_subjects(&shop).await;
    }
    assert_eq!(shop.place(4, 1).await, order_id(4));
    assert_eq!(shop.0.counts().await.unwrap().by_status.iter().map(|(_, count)| count).sum::<u64>(), 4);
    shop.0.close().await;
    let mut orders = 0;
    let mut snapshot = Snapshot::open(path).unwrap();
    snapshot
        .each_order(&mut |history| {
            orders += 1;
            let folded = Order::fold(history.id, history.events.iter().map(|event| (&event.event, event.at))).unwrap();
            assert_eq!(history.row.unwrap().status, folded.status);
            Ok(())
        })
        .unwrap();
    assert_eq!(orders, 4);
    assert_eq!(snapshot.storage_problems().unwrap(), Vec::<String>::new());
    check_rows(&mut snapshot);
}

async fn check_subjects(shop: &Shop) {
    let products = |deleted| async move { shop.0.list_products(None, deleted, 9).await.unwrap().entries.len() };
    assert_eq!((products(Deleted::Hidden).await, products(Deleted::Shown).await), (1, 2));
    let deleted = shop.0.product(&"P2".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((deleted.deleted, deleted.version), (true, 2));
    // The same text names a product, a customer and a parcel.
    let customer = shop.0.customer(&"P1".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((customer.deleted, customer.version, &*customer.name), (true, 2, "O'Hara"));
    let customers = shop.0.list_customers(None, Deleted::Hidden, 9).await.unwrap().entries;
    assert_eq!(customers.len(), 1);
    assert_eq!(customers[0].address, Some(json!({ "street": "1 \"Quoted' Street" })));
    assert_eq!(customers[0].email.as_ref().map(Email::as_str), Some("c@example.com"));
    let parcels = shop.0.list_parcels(&[], None, 9).await.unwrap().entries;
    let seen: Vec<_> = parcels.iter().map(|parcel| (parcel.id.as_str(), parcel.status, parcel.version)).collect();
    assert_eq!(seen, [("P1", ParcelStatus::PickedUp, 1), ("ref-1", ParcelStatus::Delivered, 4)]);
    assert_eq!((parcels[1].refused, parcels[1].sightings.len()), (1, 3));
    assert_eq!(shop.0.parcel_events(&parcels[1].id, 1).await.unwrap().len(), 3);
    let records = shop.0.list_records(RecordFilter::default(), None, 9).await.unwrap().entries;
    let kept: Vec<_> = records.iter().map(|record| (record.id, record.stored.clone(), record.version)).collect();
    assert_eq!(kept, [(record_id(2), None, 1), (record_id(1), Some(stored()), 2)]);
    assert_eq!(records[1].received.data, json!({ "number": 1 }));
}

/// Each row is the fold of its events.
fn check_rows(snapshot: &mut Snapshot) {
    let mut found = (0, 0, 0, 0);
    let visit = snapshot.each_customer(&mut |history| {
        found.0 += 1;
        let events = history.events.iter().map(|recorded| &recorded.event);
        assert_eq!(events.fold(None, Customer::after), history.row);
        Ok(())
    });
    visit.unwrap();
    let visit = snapshot.each_parcel(&mut |history| {
        found.1 += 1;
        let parcel = Parcel::fold(history.id, history.events.iter().map(|event| (&event.event, event.at))).unwrap();
        assert_eq!(history.row, Some(ParcelRow { status: parcel.status, version: parcel.version }));
        Ok(())
    });
    visit.unwrap();
    let visit = snapshot.each_record(&mut |history| {
        found.2 += 1;
        let record = Record::fold(history.id, history.events.iter().map(|event| (&event.event, event.at))).unwrap();
        assert_eq!(history.row, Some(RecordRow { stored: record.stored, version: record.version }));
        Ok(())
    });
    visit.unwrap();
    let visit = snapshot.each_product(&mut |history| {
        found.3 += 1;
        let events = history.events.iter().map(|recorded| &recorded.event);
        assert_eq!(events.fold(None, Product::after), history.product);
        Ok(())
    });
    visit.unwrap();
    assert_eq!(found, (2, 2, 2, 2));
}
