use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ordermill_core::event::EventType;
use ordermill_core::input::Body;
use ordermill_core::order::Status;
use ordermill_core::policy::Policy;
use ordermill_core::process::Role;
use ordermill_engine::archive_object::ArchiveObject;
use ordermill_engine::{Parts, Settings, start};
use ordermill_ports::Bus;

use crate::gateways::{Late, Provider};
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

/// A process that was replaced while it wrote comes late, behind the commit of the one that has its place.
#[tokio::test]
async fn a_late_write_does_not_stay_over_a_newer_one() {
    let mut world = World::idle(Provider::willing(), Policy::default()).await;
    world.start_roles(World::settings(), &[Role::Payments, Role::Inventory, Role::Notifications]);
    let id = world.place("ok").await;
    world.wait_for(id, |order| order.status == Status::Confirmed && order.due_mails().next().is_none()).await;
    let late = Late::over(&world.shelf);
    let settings = Settings { stop_grace: Duration::from_secs(60), ..World::settings() };
    let replaced = start(Parts { objects: Arc::clone(&late) as _, ..world.parts() }, settings, &[Role::Archive]);
    late.is_reached().await;
    let replaced = tokio::spawn(replaced.stop());
    world.submit(Body::Cancel { order_id: id, reason: "changed my mind".into() }).await;
    world.wait_for(id, |order| order.payment.kept() == 0 && order.due_mails().next().is_none()).await;
    world.memory.reclaim(Role::Archive).await;
    let other = start(world.parts(), World::settings(), &[Role::Archive]);
    let order = world.wait_for(id, |order| order.archived.is_some() && !order.is_archive_due()).await;
    late.gate.add_permits(100);
    replaced.await.unwrap();
    other.stop().await;
    let objects = world.shelf.objects.lock().clone();
    let object = ArchiveObject::parse(&objects[&ArchiveObject::key(id, order.created_at)]).unwrap();
    assert!(Some(object.version) >= order.archived, "{} lies over {:?}", object.version, order.archived);
    assert_eq!(object.status, Status::Cancelled);
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
