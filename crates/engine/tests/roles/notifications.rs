use std::sync::atomic::Ordering;

use ordermill_core::event::EventType;
use ordermill_core::input::Body;
use ordermill_core::order::Status;
use ordermill_core::policy::Policy;
use ordermill_core::process::Role;
use ordermill_engine::Settings;

use crate::gateways::Provider;
use crate::world::World;

#[tokio::test]
async fn a_mail_whose_commit_failed_is_taken_back_and_sent_once() {
    for is_overloaded in [false, true] {
        let world = World::with(Provider::willing(), Policy::default()).await;
        world.ledger.is_overloaded.store(is_overloaded, Ordering::SeqCst);
        world.ledger.failures.store(2, Ordering::SeqCst);
        let id = world.place("ok").await;
        world.wait_for(id, |order| order.status == Status::Confirmed && order.due_mails().next().is_none()).await;
        let mails = world.postbox.mails.lock().clone();
        assert_eq!(mails.len(), 1, "{mails:?}");
        assert_eq!(world.postbox.rolled_back.load(Ordering::SeqCst), 2);
        assert_eq!(world.count(id, EventType::NotificationSent).await, 1);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_postbox_that_is_full_for_a_moment_gets_the_mail_later() {
    let world = World::with(Provider::willing(), Policy::default()).await;
    world.postbox.failures.store(1, Ordering::SeqCst);
    let id = world.place("ok").await;
    world.wait_for(id, |order| order.status == Status::Confirmed && order.due_mails().next().is_none()).await;
    assert_eq!(world.postbox.mails.lock().len(), 1);
    assert_eq!(world.count(id, EventType::OrderAttention).await, 0);
    world.stop().await;
}

#[tokio::test]
async fn many_orders_have_one_mail_each() {
    let world = World::with(Provider::willing(), Policy::default()).await;
    let mut ids = Vec::new();
    for _ in 0..300 {
        ids.push(world.place("ok").await);
    }
    for id in &ids {
        world.wait_for(*id, |order| order.status == Status::Confirmed && order.due_mails().next().is_none()).await;
    }
    let mut mails = world.postbox.mails.lock().clone();
    mails.sort_unstable();
    mails.dedup();
    assert_eq!(mails.len(), 300);
    world.stop().await;
}

/// A round is written while the one before is committed. What fails in between is taken back, and is in no other round.
#[tokio::test(flavor = "multi_thread")]
async fn rounds_one_behind_the_other_send_each_mail_once() {
    let settings = Settings { mail_batch: 4, ..World::settings() };
    let world = World::with_settings(Provider::willing(), Policy::default(), settings).await;
    let mut ids = Vec::new();
    for number in 0..60 {
        if number % 20 == 10 {
            world.ledger.failures.fetch_add(1, Ordering::SeqCst);
        }
        ids.push(world.place("ok").await);
    }
    for id in &ids {
        world.submit(Body::Cancel { order_id: *id, reason: "changed my mind".into() }).await;
    }
    for id in &ids {
        world.wait_for(*id, |order| !order.is_open()).await;
        let order = world.order(*id).await;
        assert!(
            order.mails.iter().all(|mail| mail.state == ordermill_core::mail::MailState::Sent),
            "{:?}",
            order.mails
        );
    }
    let mut mails = world.postbox.mails.lock().clone();
    let count = mails.len();
    mails.sort_unstable();
    mails.dedup();
    assert_eq!(mails.len(), count, "a mail is there twice");
    world.stop().await;
}

/// A round smaller than what one order owes is no dead end.
#[tokio::test]
async fn an_order_that_owes_more_mails_than_fit_into_a_round() {
    let settings = Settings { mail_batch: 1, ..World::settings() };
    let world = World::with_settings(Provider::willing(), Policy::default(), settings).await;
    world.postbox.failures.store(1, Ordering::SeqCst);
    let id = world.place("ok").await;
    world.wait_for_status(id, Status::Confirmed).await;
    world.submit(Body::Cancel { order_id: id, reason: "changed my mind".into() }).await;
    world.wait_for(id, |order| order.payment.kept() == 0 && order.due_mails().next().is_none()).await;
    assert_eq!(world.postbox.mails.lock().len(), 3, "confirmed, cancelled, refunded");
    world.stop().await;
}

/// Without an address nothing is sent, however much is due and however small a round is.
#[tokio::test]
async fn an_order_without_an_address_owes_nothing_in_the_end() {
    let settings = Settings { mail_batch: 1, ..World::settings() };
    let world = World::with_settings(Provider::willing(), Policy::default(), settings).await;
    // The role is kept busy until two mails are due at once.
    world.ledger.failures.store(4, Ordering::SeqCst);
    let id = world.place_for("ok", None).await;
    world.wait_for_status(id, Status::Confirmed).await;
    world.submit(Body::Cancel { order_id: id, reason: "changed my mind".into() }).await;
    world.wait_for(id, |order| order.payment.kept() == 0 && order.due_mails().next().is_none()).await;
    assert_eq!(world.count(id, EventType::NotificationSkipped).await, 3, "confirmed, cancelled, refunded");
    assert!(world.postbox.mails.lock().is_empty());
    world.stop().await;
}

/// What many orders without an address owe is more than one commit takes; it goes in several, and no mail of others goes with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_of_orders_without_an_address_drains() {
    const ORDERS: usize = 400;
    let mut world = World::idle(Provider::willing(), Policy::default()).await;
    world.start_roles(World::settings(), &[Role::Payments, Role::Inventory]);
    let mut ids = Vec::new();
    for _ in 0..ORDERS {
        ids.push(world.place_for("ok", None).await);
    }
    ids.push(world.place("ok").await);
    for id in &ids {
        world.wait_for_status(*id, Status::Confirmed).await;
        world.submit(Body::Cancel { order_id: *id, reason: "changed my mind".into() }).await;
    }
    for id in &ids {
        world.wait_for(*id, |order| order.payment.kept() == 0).await;
    }
    let mut world = world.stop().await;
    world.postbox.large_batches.store(true, Ordering::SeqCst);
    world.start_roles(World::settings(), &[Role::Notifications]);
    world.wait_until_done(Role::Notifications).await;
    for id in &ids[..ORDERS] {
        assert_eq!(world.count(*id, EventType::NotificationSkipped).await, 3, "confirmed, cancelled, refunded");
    }
    assert_eq!(world.postbox.mails.lock().len(), 3, "of the one with an address");
    assert_eq!(world.postbox.rolled_back.load(Ordering::SeqCst), 0, "no commit failed");
    world.stop().await;
}
