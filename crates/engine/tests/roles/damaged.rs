//! What cannot be read keeps nobody else back, and nothing is lost of it.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ordermill_core::channel::Channel;
use ordermill_core::event::Subject;
use ordermill_core::order::Status;
use ordermill_core::parcel::ParcelStatus::PickedUp;
use ordermill_core::policy::Policy;
use ordermill_core::process::Role;
use ordermill_ports::Bus;

use crate::gateways::Provider;
use crate::world::{SOON, World};

/// Waits until so many deliveries of the role are put off, and all others are dealt with.
async fn wait_for_parked(world: &World, role: Role, parked: u64) {
    let deadline = Instant::now() + SOON;
    loop {
        let lag = world.memory.lag(role).await.unwrap();
        if lag.events == 0 && lag.parked == parked {
            return;
        }
        assert!(Instant::now() < deadline, "{lag:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_damaged_order_or_reference_keeps_no_other_parcel_back() {
    let mut world = World::idle(Provider::willing(), Policy::default()).await;
    let sound = world.place_as("ok", None, Some("SOUND")).await;
    let by_id = world.place_as("ok", None, None).await;
    let by_ref = world.place_as("ok", None, Some("BROKEN")).await;
    world.start(World::settings());
    for id in [sound, by_id, by_ref] {
        world.wait_for_status(id, Status::Confirmed).await;
    }
    let damaged = [Subject::Order(by_id), Subject::Parcel("BROKEN".parse().unwrap())];
    world.reads.damaged.lock().extend(damaged);
    for parcel in ["SOUND", &by_id.to_string(), "BROKEN", "unknown"] {
        world.track(parcel, &[(PickedUp, 1)]).await;
    }
    world.wait_for_status(sound, Status::Shipped).await;
    wait_for_parked(&world, Role::Tracking, 2).await;
    assert_eq!(world.order(by_id).await.status, Status::Confirmed);
    world.reads.damaged.lock().clear();
    world.clock.advance(Duration::from_secs(60));
    for id in [by_id, by_ref] {
        world.wait_for_status(id, Status::Shipped).await;
    }
    world.wait_until_done(Role::Tracking).await;
    world.stop().await;
}

/// Among the dead letters of its channel, with the reason, and not tried for ever where nobody sees it.
#[tokio::test]
async fn a_report_of_a_damaged_parcel_is_given_up_and_can_be_sent_again() {
    let mut world = World::idle(Provider::willing(), Policy::default()).await;
    let id = world.place_as("ok", None, Some("BROKEN")).await;
    world.start(World::settings());
    world.wait_for_status(id, Status::Confirmed).await;
    world.reads.damaged.lock().insert(Subject::Parcel("BROKEN".parse().unwrap()));
    world.track("BROKEN", &[(PickedUp, 1)]).await;
    let letter = world.wait_for_dead_letter().await;
    assert_eq!((letter.delivery.role, letter.reason.contains("it is damaged")), (Role::Tracking, true), "{letter:?}");
    let channel = Channel::find_by_dead_letters("order-tracking.events.dlt").unwrap();
    assert!(channel.delivers(letter.delivery.role, letter.delivery.kind));
    world.reads.damaged.lock().clear();
    assert_eq!(world.memory.redrive(&[letter.id]).await.unwrap(), [letter.id]);
    world.wait_for_status(id, Status::Shipped).await;
    world.stop().await;
}

#[tokio::test]
async fn a_damaged_record_keeps_no_other_back() {
    let mut world = World::idle(Provider::willing(), Policy::default()).await;
    let (broken, sound) = (world.take(1).await, world.take(2).await);
    world.reads.damaged.lock().insert(Subject::Record(broken));
    world.start(World::settings());
    world.wait_until_stored(sound).await;
    wait_for_parked(&world, Role::Records, 1).await;
    assert_eq!(world.record(broken).await.stored, None);
    world.reads.damaged.lock().clear();
    world.clock.advance(Duration::from_secs(60));
    let record = world.wait_until_stored(broken).await;
    assert_eq!(record.stored.as_ref().map(|stored| stored.attempts), Some(2));
    world.stop().await;
}

#[tokio::test]
async fn a_ledger_that_is_down_for_a_moment_loses_no_report_and_no_record() {
    let world = World::with(Provider::willing(), Policy::default()).await;
    let id = world.place_as("ok", None, Some("SHOP")).await;
    world.wait_for_status(id, Status::Confirmed).await;
    world.reads.down.store(true, Ordering::SeqCst);
    world.track("SHOP", &[(PickedUp, 1)]).await;
    let record = world.take(1).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!((world.order(id).await.status, world.record(record).await.stored.clone()), (Status::Confirmed, None));
    world.reads.down.store(false, Ordering::SeqCst);
    world.wait_for_status(id, Status::Shipped).await;
    let record = world.wait_until_stored(record).await;
    assert_eq!(record.stored.as_ref().map(|stored| stored.attempts), Some(1), "no try is counted");
    world.stop().await;
}
