//! Records damaged in the database: the auditor names the rule that is broken, and the shop goes on with the others.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::profile::connect;
use crate::support::{Server, Shop, doctor, wait_for_mails};

/// A shop with one order that was paid and archived, under a reference and a key.
async fn open_shop(data: &std::path::Path) -> (Server, Shop, String) {
    let server = Server::start_with(data, &[("ORDERMILL_ARCHIVE__SETTLE", "50ms")]);
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1000, 10).await;
    let mut order = Shop::order("P1", 2);
    order["order_ref"] = Value::from("first");
    let headers = [("Prefer", "wait=30"), ("Idempotency-Key", "the-key")];
    let paid = shop.send(reqwest::Method::POST, "/v1/orders", &headers, Some(order)).await.order_id();
    wait_for_mails(data, 1);
    shop.wait_for_event(&paid, "order.archived").await;
    (server, shop, paid)
}

#[tokio::test]
async fn each_damaged_record_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (server, _shop, paid) = open_shop(&data).await;
    assert!(server.terminate().success());
    let client = connect(&data).await;
    let id = paid.trim_start_matches("ord_");
    let event = |kind: &str| format!("WHERE subject = '\\x{id}' AND type = '{kind}'");
    let of_order = format!("WHERE id = '{id}'");
    // What breaks which rules, and what mends it again.
    let damages: [(&[&str], String, String); 7] = [
        (
            &["stock_balance"],
            "UPDATE stock SET available = available + 1".to_owned(),
            "UPDATE stock SET available = available - 1".to_owned(),
        ),
        (
            &["product_matches_events"],
            "UPDATE products SET amount_minor = amount_minor + 1".to_owned(),
            "UPDATE products SET amount_minor = amount_minor - 1".to_owned(),
        ),
        (
            &["order_matches_events"],
            format!("UPDATE orders SET version = version + 1 {of_order}"),
            format!("UPDATE orders SET version = version - 1 {of_order}"),
        ),
        (
            &["keys_lead_to_orders"],
            "UPDATE order_refs SET ref = 'another' WHERE ref = 'first'".to_owned(),
            "UPDATE order_refs SET ref = 'first' WHERE ref = 'another'".to_owned(),
        ),
        (
            &["authorized_money"],
            format!("UPDATE events SET data = replace(data, '2000', '2001') {}", event("payment.captured")),
            format!("UPDATE events SET data = replace(data, '2001', '2000') {}", event("payment.captured")),
        ),
        (
            &["events_without_gap"],
            format!("UPDATE events SET version = 99 {}", event("order.archived")),
            format!("UPDATE events SET version = (SELECT version FROM orders {of_order}) {}", event("order.archived")),
        ),
        (
            &["storage_intact"],
            "UPDATE feed_head SET position = position + 1".to_owned(),
            "UPDATE feed_head SET position = position - 1".to_owned(),
        ),
    ];
    doctor(&data).assert_clean();
    for (invariants, damage, repair) in &damages {
        assert_eq!(client.execute(damage.as_str(), &[]).await.unwrap(), 1, "{damage}");
        let diagnosis = doctor(&data);
        assert_eq!(client.execute(repair.as_str(), &[]).await.unwrap(), 1, "{repair}");
        assert_eq!(diagnosis.exit_code, Some(4), "{damage}: {diagnosis:#?}");
        let found: BTreeSet<&str> = diagnosis.invariants().into_iter().collect();
        assert_eq!(found, invariants.iter().copied().collect(), "{damage}: {diagnosis:#?}");
    }
    doctor(&data).assert_clean();
}

#[tokio::test]
async fn an_order_that_cannot_be_read_keeps_no_other_back() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (mut server, shop, damaged) = open_shop(&data).await;
    let sound = shop.place_and_wait(Shop::order("P1", 1)).await.order_id();
    server.kill();
    let client = connect(&data).await;
    let id = damaged.trim_start_matches("ord_");
    let damage = format!("UPDATE events SET data = '{{' WHERE subject = '\\x{id}' AND version = 2");
    assert_eq!(client.execute(damage.as_str(), &[]).await.unwrap(), 1);

    let server = Server::start(&data);
    let shop = Shop::of(&server);
    shop.wait_for_event(&sound, "order.archived").await;
    let answer = shop.get(&format!("/v1/orders/{damaged}")).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (500, "internal"), "{answer:?}");
    assert_eq!(shop.place_and_wait(Shop::order("P1", 1)).await.body["status"], "confirmed");
    assert!(server.terminate().success());
    let diagnosis = doctor(&data);
    assert_eq!(diagnosis.exit_code, Some(4), "{diagnosis:#?}");
    let found: BTreeSet<&str> = diagnosis.invariants().into_iter().collect();
    assert_eq!(found, BTreeSet::from(["events_without_gap", "storage_intact"]), "{diagnosis:#?}");
    assert_eq!(diagnosis.lines.last().unwrap()["orders"], 3, "it came to its end: {diagnosis:#?}");
}

/// The auditor goes on behind what it cannot read, whatever that is, and finds the rest.
#[tokio::test]
async fn what_cannot_be_read_is_named_and_the_rest_is_audited() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (server, shop, damaged) = open_shop(&data).await;
    let [undone, astray] = [1, 2].map(|count| Shop::order("P1", count));
    let undone = shop.place_and_wait(undone).await.order_id();
    let astray = shop.place_and_wait(astray).await.order_id();
    for id in [&undone, &astray] {
        shop.wait_for_event(id, "order.archived").await;
    }
    shop.stock_product("P2", 500, 1).await;
    assert!(server.terminate().success());
    let client = connect(&data).await;
    let hex = |id: &str| id.trim_start_matches("ord_").to_owned();
    let damages = [
        format!("UPDATE events SET data = '{{' WHERE subject = '\\x{}' AND version = 2", hex(&damaged)),
        // Its last event, so that there is no gap; and of a type that nobody knows.
        format!(
            "UPDATE events SET type = 'order.vanished' FROM orders \
             WHERE id = '{0}' AND subject = '\\x{0}' AND events.version = orders.version",
            hex(&undone)
        ),
        format!("UPDATE orders SET status = 'astray' WHERE id = '{}'", hex(&astray)),
        "UPDATE idempotency SET answer = '{' WHERE key = 'the-key'".to_owned(),
        // And damage that can be read, behind all of that.
        "UPDATE products SET amount_minor = amount_minor + 1 WHERE id = 'P2'".to_owned(),
    ];
    for damage in &damages {
        assert_eq!(client.execute(damage.as_str(), &[]).await.unwrap(), 1, "{damage}");
    }
    let diagnosis = doctor(&data);
    assert_eq!(diagnosis.exit_code, Some(4), "{diagnosis:#?}");
    let found: BTreeSet<&str> = diagnosis.invariants().into_iter().collect();
    let expected = ["events_without_gap", "order_matches_events", "product_matches_events", "storage_intact"];
    assert_eq!(found, BTreeSet::from(expected), "{diagnosis:#?}");
    let details: Vec<&str> = diagnosis.lines.iter().filter_map(|line| line["finding"]["detail"].as_str()).collect();
    let unread: Vec<&str> = details.into_iter().filter(|detail| detail.contains("cannot be read")).collect();
    let named = |words: &[&str]| unread.iter().any(|detail| words.iter().all(|word| detail.contains(word)));
    assert!(named(&["an event", &damaged, "version 2"]), "{unread:#?}");
    assert!(named(&[&undone, "order.vanished"]), "{unread:#?}");
    assert!(named(&["a row (order)", "astray"]) && named(&["an idempotency key"]), "{unread:#?}");
    assert_eq!(unread.len(), 4, "each is told once: {unread:#?}");
    assert_eq!(diagnosis.lines.last().unwrap()["orders"], 3, "it came to its end: {diagnosis:#?}");
}
