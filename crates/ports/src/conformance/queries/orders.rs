//! Orders by id, and their events.

use std::sync::Arc;

use ordermill_core::event::Event;
use ordermill_core::input::{Body, Input, MailResult};
use ordermill_core::mail::MailKind;
use ordermill_core::order::{Order, Status};

use crate::conformance::Harness;
use crate::conformance::shop::Shop;
use crate::ledger::{Source, Submission};
use crate::queries::Counts;

/// Many orders are given in the order of the ids asked for, with a gap where there is none, and twice where asked twice.
pub async fn orders_come_as_asked(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let (first, second) = (shop.place(&[("apple", 1)]).await, shop.place(&[("apple", 2)]).await);
    let ids = [second.id, shop.order_id(), first.id, second.id];
    let read = shop.backend.queries.orders(&ids).await.expect("orders can be read");
    assert_eq!(read, [Some(Arc::clone(&second)), None, Some(first), Some(second)]);
    assert_eq!(shop.backend.queries.orders(&[]).await.expect("orders can be read"), []);
    assert_eq!(shop.backend.queries.order(ids[1]).await.expect("orders can be read"), None);
}

/// An order reads the same whether it is under way or was done with long ago, with everything a caller sent.
pub async fn every_field_comes_back(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let mut request = shop.request_ref(&[("apple", 1), ("apple", 2)], "Größe 7/ß");
    request.customer_email = Some(ordermill_core::mail::Email::new("someone@example.com").expect("a sound address"));
    request.shipping_address = Some(serde_json::json!({"street": "Hauptstraße 1", "floor": null, "lines": [1, 2.5]}));
    request.metadata = Some(serde_json::json!({"gift": true, "note": "\u{1F381} \"quoted\"\n"}));
    request.placed_at = Some("2020-02-29T23:59:59.999999Z".parse().expect("an instant"));
    request.correlation_id = Some("trace me".parse().expect("a sound id"));
    request.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
    let placed = shop.place_request(request.clone()).await;
    assert_eq!(placed.placement.metadata, request.metadata);
    assert_eq!(placed.placement.shipping_address, request.shipping_address);
    assert_eq!(placed.placement.customer_email, request.customer_email);
    assert_eq!((placed.placement.placed_at, placed.created_at), (request.placed_at, shop.now()));
    assert_eq!(placed.placement.correlation_id, request.correlation_id);
    assert_eq!(placed.placement.traceparent, request.traceparent);
    let order_id = placed.id;
    shop.drive(order_id, Status::Delivered).await;
    for kind in [MailKind::Confirmed, MailKind::Shipped, MailKind::Delivered] {
        let mail = Body::MailResult { order_id, kind, version: 1, result: MailResult::Sent { mailbox_end: None } };
        shop.ask_order(mail).await;
    }
    let done = shop.order(order_id).await;
    assert!(!done.is_open());
    assert_eq!(done.placement, placed.placement);
    shop.audit().await;
}

/// An order's events are all of its own, oldest first, and begin behind the version asked for.
pub async fn events_begin_behind_a_version(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let order = shop.place(&[("apple", 1)]).await;
    let other = shop.place(&[("apple", 1)]).await;
    shop.drive(other.id, Status::Confirmed).await;
    let order = shop.drive(order.id, Status::Confirmed).await;
    let queries = &shop.backend.queries;
    let all = queries.order_events(order.id, 0).await.expect("events can be read");
    let folded = Order::fold(order.id, all.iter().map(|event| (&event.recorded.event, event.recorded.at)));
    assert_eq!(folded.as_ref(), Some(&*order));
    assert!(matches!(all[0].recorded.event, Event::OrderPlaced(_)));
    for after in 0..=order.version + 1 {
        let events = queries.order_events(order.id, after).await.expect("events can be read");
        let versions: Vec<u32> = events.iter().map(|event| event.recorded.version).collect();
        assert_eq!(versions, (after + 1..=order.version).collect::<Vec<_>>());
    }
    assert!(queries.order_events(shop.order_id(), 0).await.expect("events can be read").is_empty());
}

/// Every commit that was answered is seen by whoever reads next, also while others commit.
pub async fn reads_see_every_answered_commit(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10_000).await;
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..8 {
        let shop = shop.share();
        callers.spawn(async move {
            for number in 0..25 {
                let request = shop.request_ref(&[("apple", 1)], &format!("{caller}/{number}"));
                let (id, order_ref) = (request.order_id, request.order_ref.clone().expect("it has one"));
                let input = Input::new(Body::Place(Box::new(request)));
                let placed = shop.backend.ledger.submit_one(Source::Live, input).await.expect("taken");
                let queries = &shop.backend.queries;
                assert_eq!(queries.order(id).await.expect("readable").as_ref(), placed.order());
                assert_eq!(queries.order_by_ref(&order_ref).await.expect("readable"), Some(id));
                assert_eq!(queries.order_events(id, 0).await.expect("readable").len(), 1);
                let newest = queries.list_orders(&Default::default(), None, 400).await.expect("readable");
                assert!(newest.entries.iter().any(|order| order.id == id), "it is listed");
                let cancel = Body::Cancel { order_id: id, reason: "no".into() };
                let cancel = vec![Submission::new(Input::new(cancel))];
                assert!(shop.backend.ledger.submit(Source::Live, cancel).await[0].is_ok());
                assert_eq!(shop.order(id).await.status, Status::Cancelled);
            }
        });
    }
    callers.join_all().await;
    shop.audit().await;
}

/// Orders are counted by state, states without orders left out, and those that wait for a person beside.
pub async fn orders_are_counted(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let counts = async || shop.backend.queries.counts().await.expect("orders can be counted");
    assert_eq!(counts().await, Counts::default());
    shop.sell("apple", 10).await;
    for status in [Status::Placed, Status::Placed, Status::Reserved, Status::Delivered] {
        let id = shop.place(&[("apple", 1)]).await.id;
        shop.drive(id, status).await;
    }
    let given_up = shop.place(&[("apple", 1)]).await.id;
    let step = ordermill_core::process::Step::Authorize;
    shop.ask_order(Body::GiveUp { order_id: given_up, step, reason: "no provider".into() }).await;
    let by_status = vec![(Status::Placed, 3), (Status::Reserved, 1), (Status::Delivered, 1)];
    assert_eq!(counts().await, Counts { by_status, attention: 1 });
    shop.cancel(given_up).await;
    let remedy = ordermill_core::event::Remedy::Resolved;
    shop.ask_order(Body::ClearAttention { order_id: given_up, remedy, note: None }).await;
    let by_status = vec![(Status::Placed, 2), (Status::Reserved, 1), (Status::Delivered, 1), (Status::Cancelled, 1)];
    assert_eq!(counts().await, Counts { by_status, attention: 0 });
}

/// The end of the local mail file is that of the last mail that has one.
pub async fn the_end_of_the_mailbox_is_kept(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let end = async || shop.backend.queries.mailbox_end().await.expect("the mailbox's end can be read");
    assert_eq!(end().await, None);
    for (mailbox_end, expected) in [(Some(700), Some(700)), (None, Some(700)), (Some(1_500), Some(1_500))] {
        let order_id = shop.place(&[("apple", 1)]).await.id;
        shop.cancel(order_id).await;
        let result = MailResult::Sent { mailbox_end };
        shop.ask_order(Body::MailResult { order_id, kind: MailKind::Cancelled, version: 1, result }).await;
        assert_eq!(end().await, expected);
    }
}
