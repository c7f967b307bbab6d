//! Each test damages one record, and the audit names exactly the rule that is broken by it.

use ordermill_core::event::{Event, StockAdjustedBy};
use ordermill_core::id::OrderId;
use ordermill_core::invariant::Invariant;
use ordermill_core::mail::{MailKind, message_id};
use ordermill_core::order::Status;
use ordermill_engine::archive_object::ArchiveObject;
use ordermill_ports::audit::StoredMail;
use serde_json::json;

use super::world::{World, customer, healthy, raise};

/// Damages a healthy world, and expects findings of this one rule.
pub async fn breaks(invariant: Invariant, damage: impl FnOnce(&mut World)) {
    let mut world = healthy().await;
    damage(&mut world);
    let (totals, findings) = world.audit();
    assert!(!findings.is_empty(), "nothing was found");
    assert!(findings.iter().all(|finding| finding.invariant == invariant), "{findings:#?}");
    assert_eq!(totals.findings.get(invariant.as_str()), Some(&(findings.len() as u64)));
    assert!(!totals.is_clean());
}

#[tokio::test]
async fn more_voided_than_authorized() {
    breaks(Invariant::AuthorizedMoney, |world| {
        let id = world.id("released");
        world.records.rewrite(id, "payment.voided", |data| raise(&mut data["amount_minor"]));
    })
    .await;
}

#[tokio::test]
async fn more_refunded_than_captured() {
    breaks(Invariant::CapturedMoney, |world| {
        let id = world.id("refunded");
        world.records.rewrite(id, "payment.refunded", |data| raise(&mut data["amount_minor"]));
    })
    .await;
}

#[tokio::test]
async fn a_confirmed_order_that_was_not_paid_in_full() {
    breaks(Invariant::MoneyMatchesStatus, |world| {
        let id = world.id("paid");
        world.records.rewrite(id, "order.placed", |data| raise(&mut data["total"]["amount_minor"]));
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_order_that_still_holds_stock() {
    breaks(Invariant::StockMatchesStatus, |world| {
        let id = world.id("released");
        let recorded = world.records.event(id, "inventory.released");
        let since = recorded.at;
        let data = ordermill_core::event::Overdue { status: Status::Reserved, since };
        recorded.event = Event::OrderOverdue(data);
    })
    .await;
}

#[tokio::test]
async fn a_stock_row_that_is_off_by_one() {
    breaks(Invariant::StockBalance, |world| {
        world.records.product("kettle").stock.as_mut().unwrap().available += 1;
    })
    .await;
}

#[tokio::test]
async fn a_stock_row_with_units_moved_between_reserved_and_sold() {
    breaks(Invariant::StockBalance, |world| {
        let level = world.records.product("kettle").stock.as_mut().unwrap();
        level.reserved -= 1;
        level.sold += 1;
    })
    .await;
}

#[tokio::test]
async fn a_stock_row_that_is_gone() {
    breaks(Invariant::StockBalance, |world| world.records.product("teapot").stock = None).await;
}

#[tokio::test]
async fn an_adjustment_that_no_row_shows() {
    breaks(Invariant::StockBalance, |world| {
        let events = &mut world.records.product("kettle").events;
        let mut recorded = events.last().unwrap().clone();
        recorded.version += 1;
        recorded.event = Event::StockAdjusted(StockAdjustedBy { delta: 1, reason: "found".into() });
        events.push(recorded);
    })
    .await;
}

#[tokio::test]
async fn a_product_that_is_gone_with_its_stock() {
    let mut world = healthy().await;
    world.records.products.retain(|product| product.id.as_str() != "kettle");
    let (_, findings) = world.audit();
    let found = |invariant| findings.iter().filter(|finding| finding.invariant == invariant).count();
    // The key of its adjustment leads nowhere now, too.
    assert_eq!((found(Invariant::StockBalance), found(Invariant::KeysLeadToOrders), findings.len()), (1, 1, 2));
}

#[tokio::test]
async fn rows_that_differ_from_their_events() {
    type Damage = fn(&mut ordermill_ports::audit::OrderRow);
    let damages: [Damage; 5] = [
        |row| row.status = Status::Shipped,
        |row| row.attention = true,
        |row| row.customer_id = format!("{}-other", customer()).parse().unwrap(),
        |row| row.open = true,
        |row| row.version += 1,
    ];
    for damage in damages {
        breaks(Invariant::OrderMatchesEvents, |world| {
            let id = world.id("paid");
            damage(world.records.row(id));
        })
        .await;
    }
    breaks(Invariant::OrderMatchesEvents, |world| {
        let id = world.id("paid");
        world.records.order(id).row = None;
    })
    .await;
}

#[tokio::test]
async fn the_newest_event_is_gone() {
    breaks(Invariant::OrderMatchesEvents, |world| {
        let id = world.id("paid");
        world.records.order(id).events.pop();
    })
    .await;
}

#[tokio::test]
async fn any_earlier_event_is_gone() {
    let world = healthy().await;
    let id = world.id("paid");
    let count = world.records.clone().order(id).events.len();
    for index in 1..count - 1 {
        breaks(Invariant::EventsWithoutGap, |world| {
            world.records.order(id).events.remove(index);
        })
        .await;
    }
}

#[tokio::test]
async fn an_event_of_a_product_is_gone() {
    breaks(Invariant::EventsWithoutGap, |world| {
        world.records.product("kettle").events.remove(1);
    })
    .await;
}

#[tokio::test]
async fn a_catalogue_row_with_another_price() {
    breaks(Invariant::ProductMatchesEvents, |world| {
        world.records.product("kettle").product.as_mut().unwrap().price.amount_minor += 1;
    })
    .await;
}

#[tokio::test]
async fn references_and_keys_that_lead_astray() {
    let nowhere = OrderId::from_bytes([0xee; 16]);
    breaks(Invariant::KeysLeadToOrders, |world| world.records.refs[0].1 = nowhere).await;
    breaks(Invariant::KeysLeadToOrders, |world| {
        world.records.refs.remove(0);
    })
    .await;
    breaks(Invariant::KeysLeadToOrders, |world| {
        let other = world.records.refs[1].1;
        world.records.refs[0].1 = other;
    })
    .await;
    breaks(Invariant::KeysLeadToOrders, |world| {
        let answer = ordermill_core::idempotency::Answer::Order(nowhere);
        world.records.keys.iter_mut().find(|(key, _)| key == "key-paid").unwrap().1.answer = answer;
    })
    .await;
}

#[tokio::test]
async fn a_journal_that_lacks_a_line() {
    for (name, operation) in
        [("paid", "authorize-1"), ("paid", "capture-1"), ("released", "void-1"), ("refunded", "refund-1")]
    {
        breaks(Invariant::ProviderAgrees, |world| {
            let key = world.entry(name, operation).key;
            world.provider.retain(|entry| entry.key != key);
        })
        .await;
    }
}

#[tokio::test]
async fn a_journal_with_another_amount() {
    breaks(Invariant::ProviderAgrees, |world| world.entry("paid", "capture-1").amount_minor += 1).await;
}

#[tokio::test]
async fn a_journal_with_the_same_line_twice() {
    breaks(Invariant::ProviderAgrees, |world| {
        let twice = world.entry("paid", "capture-1").clone();
        world.provider.push(twice);
    })
    .await;
}

#[tokio::test]
async fn a_journal_that_knows_more_than_the_ledger() {
    // Called off though it is kept, refunded though nobody asked, and done though the ledger was told it was refused.
    for operation in ["void-1", "refund-1"] {
        breaks(Invariant::ProviderAgrees, |world| {
            let mut extra = world.entry("paid", "capture-1").clone();
            extra.key.operation = operation.parse().unwrap();
            world.provider.push(extra);
        })
        .await;
    }
    breaks(Invariant::ProviderAgrees, |world| world.entry("declined", "authorize-1").succeeded = true).await;
    breaks(Invariant::ProviderAgrees, |world| {
        let mut extra = world.entry("paid", "authorize-1").clone();
        extra.key.order_id = OrderId::from_bytes([0xee; 16]);
        world.provider.push(extra);
    })
    .await;
}

#[tokio::test]
async fn an_authorization_kept_and_called_off_while_the_void_is_open() {
    // The void waits for a person, so that it was carried out is no news; that a capture was too, is a contradiction.
    breaks(Invariant::ProviderAgrees, |world| {
        let mut capture = world.entry("stuck", "authorize-1").clone();
        capture.key.operation = "capture-1".parse().unwrap();
        world.provider.push(capture);
        world.entry("stuck", "void-1").succeeded = true;
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_is_open_may_be_in_the_journal_or_not() {
    let mut world = healthy().await;
    assert!(world.entry("lost", "capture-1").succeeded);
    let key = world.entry("lost", "capture-1").key;
    world.provider.retain(|entry| entry.key != key);
    assert_eq!(world.audit().1, []);
}

#[tokio::test]
async fn mails_that_are_missing_doubled_or_unknown() {
    breaks(Invariant::MailStoreAgrees, |world| {
        world.mails.remove(0);
    })
    .await;
    breaks(Invariant::MailStoreAgrees, |world| {
        let twice = world.mails[0].clone();
        world.mails.insert(1, twice);
    })
    .await;
    breaks(Invariant::MailStoreAgrees, |world| {
        let id = world.id("mute");
        let message_id = message_id(id, MailKind::Confirmed, 1);
        world.mails.insert(0, StoredMail { message_id, order_id: None, kind: None, end: Some(1) });
    })
    .await;
    breaks(Invariant::MailStoreAgrees, |world| {
        let message_id = message_id(OrderId::from_bytes([0xee; 16]), MailKind::Confirmed, 1);
        // A directory of mails has no committed end: such a mail is looked at twice.
        world.mails.push(StoredMail { message_id, order_id: None, kind: None, end: None });
    })
    .await;
    breaks(Invariant::MailStoreAgrees, |world| world.mails[0].message_id = "<x@example.com>".to_owned()).await;
    breaks(Invariant::MailStoreAgrees, |world| world.mails[0].order_id = Some(OrderId::from_bytes([0xee; 16]))).await;
}

#[tokio::test]
async fn mails_behind_the_committed_end_are_not_judged() {
    let mut world = healthy().await;
    let end = world.records.mailbox_end.map(|end| end + 1);
    assert!(end.is_some(), "the ledger knows where its mails end");
    let message_id = message_id(world.id("fresh"), MailKind::Confirmed, 1);
    world.mails.push(StoredMail { message_id, order_id: None, kind: None, end });
    assert_eq!(world.audit().1, []);
}

#[tokio::test]
async fn objects_that_are_missing_or_changed() {
    breaks(Invariant::ArchiveAgrees, |world| {
        let key = world.object_key("paid");
        world.objects.remove(&key);
    })
    .await;
    breaks(Invariant::ArchiveAgrees, |world| {
        let (key, other) = (world.object_key("paid"), world.object_key("returned"));
        let object = world.objects[&other].clone();
        world.objects.insert(key, object);
    })
    .await;
    let changes: [(&str, &str); 4] = [
        ("\"quantity\":2", "\"quantity\":3"),
        ("\"status\":\"confirmed\"", "\"status\":\"shipped\""),
        ("\"type\":\"order.confirmed\"", "\"type\":\"order.shipped\""),
        ("{", "["),
    ];
    for (from, to) in changes {
        breaks(Invariant::ArchiveAgrees, |world| {
            let key = world.object_key("paid");
            let text = String::from_utf8(world.objects[&key].clone()).unwrap();
            assert!(text.contains(from), "{text}");
            world.objects.insert(key, text.replacen(from, to, 1).into_bytes());
        })
        .await;
    }
}

#[tokio::test]
async fn an_object_that_holds_too_few_events() {
    breaks(Invariant::ArchiveAgrees, |world| {
        let key = world.object_key("paid");
        let object = ArchiveObject::parse(&world.objects[&key]).unwrap();
        let events: Vec<_> = object.events[..2]
            .iter()
            .map(|event| json!({"version": event.version, "type": event.kind, "schema": event.schema, "time": event.time, "data": event.data}))
            .collect();
        let short = json!({"order_id": object.order_id, "status": "authorized", "version": 2, "events": events});
        world.objects.insert(key, short.to_string().into_bytes());
    })
    .await;
}

#[tokio::test]
async fn a_mail_skipped_though_there_is_an_address() {
    breaks(Invariant::OutcomeWasMailed, |world| {
        let id = world.id("mute");
        world.records.rewrite(id, "order.placed", |data| data["customer_email"] = json!("c@example.com"));
    })
    .await;
}

#[tokio::test]
async fn storage_that_reports_damage() {
    breaks(Invariant::StorageIntact, |world| world.records.problems.push("row 7 missing from index".to_owned())).await;
}

/// An order that is gone from the ledger without a trace is missed by everything outside.
#[tokio::test]
async fn a_lost_order_is_missed_everywhere() {
    let mut world = healthy().await;
    let id = world.id("paid");
    world.records.orders.retain(|order| order.id != id);
    let (totals, _) = world.audit();
    let broken: Vec<&str> = totals.findings.keys().copied().collect();
    assert_eq!(broken, ["keys_lead_to_orders", "mail_store_agrees", "provider_agrees", "stock_balance"]);
}
