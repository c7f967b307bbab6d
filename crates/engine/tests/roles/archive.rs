use std::sync::atomic::Ordering;

use ordermill_core::event::EventType;
use ordermill_core::input::Body;
use ordermill_core::order::Status;
use ordermill_core::policy::Policy;
use ordermill_engine::archive_object::ArchiveObject;

use crate::gateways::Provider;
use crate::world::{World, is_archived};

#[tokio::test]
async fn changes_in_quick_succession_make_one_object_and_later_ones_rewrite_it() {
    let world = World::with(Provider::willing(), Policy::default()).await;
    let id = world.place("ok").await;
    let order = world.wait_for(id, |order| order.archived.is_some()).await;
    assert_eq!(world.shelf.writes.load(Ordering::SeqCst), 1, "confirmed and mailed are one object");
    world.submit(Body::Cancel { order_id: id, reason: "changed my mind".into() }).await;
    let order = world.wait_for(id, |now| now.archived > order.archived && now.payment.kept() == 0).await;
    assert_eq!(order.status, Status::Cancelled);
    let order = world.wait_for(id, |order| !order.is_archive_due()).await;
    let objects = world.shelf.objects.lock().clone();
    assert_eq!(objects.len(), 1, "the same order is the same object");
    let (key, bytes) = objects.first_key_value().unwrap();
    assert_eq!(key, &ArchiveObject::key(id, order.created_at));
    let object = ArchiveObject::parse(bytes).unwrap();
    assert_eq!(object.status, Status::Cancelled);
    assert!(object.events.iter().all(|event| event.event().is_ok()));
    let events: Vec<_> = object.events.iter().map(|event| event.event().unwrap()).collect();
    assert!(events.iter().any(is_archived), "the first archiving is part of the timeline");
    world.stop().await;
}

#[tokio::test]
async fn an_object_store_that_fails_for_a_moment_gets_the_object_later() {
    let world = World::with(Provider::willing(), Policy::default()).await;
    world.shelf.failures.store(1, Ordering::SeqCst);
    let id = world.place("ok").await;
    world.wait_for(id, |order| order.archived.is_some()).await;
    assert_eq!(world.count(id, EventType::OrderArchived).await, 1);
    world.stop().await;
}
