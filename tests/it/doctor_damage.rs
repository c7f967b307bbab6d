//! The auditor on a damaged shop: each damaged record is found under the name of the rule it breaks.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{PATIENCE, Server, Shop, doctor, wait_for_mails};

/// A stopped shop whose orders have gone every way: paid, paid without an address, called off after it was paid, short.
struct Stopped {
    directory: tempfile::TempDir,
    paid: String,
    mute: String,
    cancelled: String,
    short: String,
}

impl Stopped {
    async fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::start_with(&directory.path().join("shop"), &[("ORDERMILL_ARCHIVE__SETTLE", "50ms")]);
        let shop = Shop::of(&server);
        shop.stock_product("kettle", 1999, 10).await;
        shop.stock_product("teapot", 2999, 1).await;
        let with_ref = |order: Value, order_ref: &str| {
            let mut order = order;
            order["order_ref"] = order_ref.into();
            order
        };
        let headers = [("Prefer", "wait=30"), ("Idempotency-Key", "the-key")];
        let order = with_ref(Shop::order("kettle", 2), "first");
        let paid = shop.send(Method::POST, "/v1/orders", &headers, Some(order)).await.order_id();
        let mut order = Shop::order("kettle", 1);
        order.as_object_mut().unwrap().remove("customer_email");
        let mute = shop.place_and_wait(order).await.order_id();
        let cancelled = shop.place_and_wait(with_ref(Shop::order("kettle", 3), "second")).await.order_id();
        let answer = shop.post(&format!("/v1/orders/{cancelled}/cancel"), json!({ "reason": "changed my mind" })).await;
        assert!(answer.status.is_success(), "{answer:?}");
        let short = shop.place_and_wait(Shop::order("teapot", 2)).await.order_id();
        shop.wait_for_event(&cancelled, "payment.refunded").await;
        shop.wait_for_event(&short, "payment.voided").await;
        // Confirmed, rejected; confirmed, cancelled and refunded.
        wait_for_mails(&server.data, 5);
        for id in [&paid, &mute, &cancelled, &short] {
            wait_until_archived(&shop, id).await;
        }
        assert!(server.terminate().success());
        Self { directory, paid, mute, cancelled, short }
    }

    fn data(&self) -> std::path::PathBuf {
        self.directory.path().join("shop")
    }

    /// Damages a copy of the shop, and expects findings of exactly these rules.
    fn breaks(&self, invariants: &[&str], damage: impl FnOnce(&Path)) {
        let copy = tempfile::tempdir().unwrap();
        copy_directory(&self.data(), copy.path());
        damage(copy.path());
        let diagnosis = doctor(copy.path());
        assert_eq!(diagnosis.exit_code, Some(4), "{invariants:?}: {diagnosis:#?}");
        let found: BTreeSet<&str> = diagnosis.invariants().into_iter().collect();
        assert_eq!(found, invariants.iter().copied().collect(), "{diagnosis:#?}");
    }

    /// The same by a statement on the ledger's database that must hit one row.
    fn breaks_by_sql(&self, invariants: &[&str], sql: &str) {
        self.breaks(invariants, |data| {
            let changed = rusqlite::Connection::open(data.join("ordermill.db")).unwrap().execute(sql, []).unwrap();
            assert_eq!(changed, 1, "{sql}");
        });
    }

    /// The condition for the one event of an order of this type.
    fn event(&self, order: &str, kind: &str) -> String {
        format!(
            "subject = x'{}' AND type = (SELECT code FROM event_types WHERE name = '{kind}')",
            order.trim_start_matches("ord_")
        )
    }

    /// Adds one to an amount in an event's data.
    fn raise(&self, order: &str, kind: &str, field: &str) -> String {
        let event = self.event(order, kind);
        format!(
            "UPDATE events SET data = json_set(data, '$.{field}', json_extract(data, '$.{field}') + 1) WHERE {event}"
        )
    }
}

async fn wait_until_archived(shop: &Shop, id: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let timeline = shop.timeline(id).await;
        if timeline.last().is_some_and(|kind| kind == "order.archived") {
            return;
        }
        assert!(Instant::now() < deadline, "the archive does not get done: {timeline:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn copy_directory(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&to).unwrap();
            copy_directory(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Rewrites a text file; it must change by it.
fn rewrite(path: &Path, change: impl FnOnce(&str) -> String) {
    let before = std::fs::read_to_string(path).unwrap();
    let after = change(&before);
    assert_ne!(before, after, "{}", path.display());
    std::fs::write(path, after).unwrap();
}

fn object_of(data: &Path, order: &str) -> std::path::PathBuf {
    fn find(directory: &Path, name: &str) -> Option<std::path::PathBuf> {
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).find_map(|path| {
            if path.is_dir() { find(&path, name) } else { (path.file_name()? == name).then_some(path) }
        })
    }
    find(&data.join("objects"), &format!("{order}.json")).expect("the order is archived")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_damaged_record_is_named() {
    let shop = Stopped::open().await;
    let diagnosis = doctor(&shop.data());
    diagnosis.assert_clean();
    assert_eq!(diagnosis.lines.len(), 1, "{diagnosis:#?}");
    let totals = diagnosis.totals();
    assert_eq!((&totals["confirmed"], &totals["cancelled"], &totals["rejected"]), (&json!(2), &json!(1), &json!(1)));

    money(&shop);
    stock_and_rows(&shop);
    keys(&shop);
    provider(&shop);
    mails(&shop);
    archive(&shop);
    // Every damage was done to a copy.
    doctor(&shop.data()).assert_clean();
}

fn money(shop: &Stopped) {
    shop.breaks_by_sql(&["authorized_money"], &shop.raise(&shop.short, "payment.voided", "amount_minor"));
    shop.breaks_by_sql(&["captured_money"], &shop.raise(&shop.cancelled, "payment.refunded", "amount_minor"));
    shop.breaks_by_sql(&["money_matches_status"], &shop.raise(&shop.paid, "order.placed", "total.amount_minor"));
}

fn stock_and_rows(shop: &Stopped) {
    shop.breaks_by_sql(&["stock_balance"], "UPDATE stock SET available = available + 1 WHERE product_id = 'kettle'");
    shop.breaks_by_sql(&["stock_balance"], "UPDATE stock SET sold = sold - 1 WHERE product_id = 'kettle'");
    shop.breaks(&["stock_matches_status"], |data| {
        let ledger = rusqlite::Connection::open(data.join("ordermill.db")).unwrap();
        ledger.execute("INSERT OR IGNORE INTO event_types (name, schema) VALUES ('order.overdue', 1)", []).unwrap();
        let event = shop.event(&shop.cancelled, "inventory.released");
        let overdue = "SELECT code FROM event_types WHERE name = 'order.overdue'";
        let data = r#"{"status":"reserved","since":"2026-01-01T00:00:00Z"}"#;
        let sql = format!("UPDATE events SET type = ({overdue}), data = '{data}' WHERE {event}");
        assert_eq!(ledger.execute(&sql, []).unwrap(), 1);
    });
    let paid = shop.paid.trim_start_matches("ord_");
    let shipped = "(SELECT code FROM statuses WHERE name = 'shipped')";
    shop.breaks_by_sql(
        &["order_matches_events"],
        &format!("UPDATE closed_orders SET status = {shipped} WHERE id = x'{paid}'"),
    );
    shop.breaks_by_sql(
        &["product_matches_events"],
        "UPDATE products SET amount_minor = amount_minor + 1 WHERE id = 'kettle'",
    );
    // The row leads to a place where nothing is any more, too.
    shop.breaks_by_sql(
        &["events_without_gap", "storage_intact"],
        &format!("DELETE FROM events WHERE {}", shop.event(&shop.paid, "payment.authorized")),
    );
    let other = format!("(SELECT trail FROM closed_orders WHERE id = x'{}')", shop.mute.trim_start_matches("ord_"));
    shop.breaks_by_sql(&["storage_intact"], &format!("UPDATE closed_orders SET trail = {other} WHERE id = x'{paid}'"));
    let placed = shop.event(&shop.mute, "order.placed");
    shop.breaks_by_sql(
        &["outcome_was_mailed"],
        &format!("UPDATE events SET data = json_set(data, '$.customer_email', 'c@example.com') WHERE {placed}"),
    );
}

fn keys(shop: &Stopped) {
    let keys = &["keys_lead_to_orders"];
    shop.breaks_by_sql(keys, "UPDATE order_refs SET order_id = randomblob(16) WHERE ref = 'first'");
    shop.breaks_by_sql(keys, "DELETE FROM order_refs WHERE ref = 'second'");
    shop.breaks_by_sql(keys, "UPDATE idempotency SET answer = randomblob(16) WHERE key = 'the-key'");
}

fn provider(shop: &Stopped) {
    let journal = |data: &Path| data.join("sandbox.journal");
    let hex = shop.paid.trim_start_matches("ord_");
    let capture = format!("{hex} capture-1/1");
    let is_capture = |line: &&str| line.starts_with(&capture);
    shop.breaks(&["provider_agrees"], |data| {
        rewrite(&journal(data), |text| {
            text.lines().filter(|line| !is_capture(line)).map(|line| format!("{line}\n")).collect()
        });
    });
    shop.breaks(&["provider_agrees"], |data| {
        rewrite(&journal(data), |text| text.replace(&format!("{capture} 1 3998"), &format!("{capture} 1 3997")));
    });
    shop.breaks(&["provider_agrees"], |data| {
        rewrite(&journal(data), |text| {
            let line = text.lines().find(is_capture).expect("the capture is in the journal");
            format!("{text}{}\n", line.replace("capture-1", "void-1"))
        });
    });
    shop.breaks(&["provider_agrees"], |data| {
        rewrite(&journal(data), |text| {
            let line = text.lines().find(is_capture).expect("the capture is in the journal");
            format!("{text}{}\n", line.replace(hex, &"ee".repeat(16)))
        });
    });
}

fn mails(shop: &Stopped) {
    let mailbox = |data: &Path| data.join("mail.mbox");
    let first_mail = |text: &str| text[1..].find("\nFrom ").expect("there is a second mail") + 2;
    shop.breaks(&["mail_store_agrees"], |data| {
        rewrite(&mailbox(data), |text| text[first_mail(text)..].to_owned());
    });
    shop.breaks(&["mail_store_agrees"], |data| {
        rewrite(&mailbox(data), |text| format!("{}{text}", &text[..first_mail(text)]));
    });
    shop.breaks(&["mail_store_agrees"], |data| {
        let name = format!("<{}.confirmed.1@", shop.paid);
        rewrite(&mailbox(data), |text| text.replacen(&name, &format!("<{}.confirmed.2@", shop.paid), 1));
    });
}

fn archive(shop: &Stopped) {
    shop.breaks(&["archive_agrees"], |data| std::fs::remove_file(object_of(data, &shop.paid)).unwrap());
    shop.breaks(&["archive_agrees"], |data| {
        rewrite(&object_of(data, &shop.paid), |text| text.replacen("\"quantity\":2", "\"quantity\":9", 1));
    });
}

#[test]
fn a_directory_without_a_ledger_cannot_be_audited() {
    let directory = tempfile::tempdir().unwrap();
    let diagnosis = doctor(directory.path());
    assert_eq!(diagnosis.exit_code, Some(1), "{diagnosis:#?}");
    assert!(diagnosis.complaint.contains("there is no ledger"), "{diagnosis:#?}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "the auditor makes nothing");
}
