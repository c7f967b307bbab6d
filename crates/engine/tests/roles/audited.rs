//! What the roles leave behind stands up to the auditor.

use std::time::Duration;

use ordermill_core::order::Status;
use ordermill_core::parcel::ParcelStatus::{Delivered, OutForDelivery, PickedUp};
use ordermill_core::policy::Policy;
use ordermill_core::process::Role;
use ordermill_engine::audit::{self, Parts, RecordStore, Totals};
use ordermill_engine::{BatchLimits, RecordsLayout, Settings};

use crate::gateways::Provider;
use crate::world::World;

/// Audits the ledger and the shelf; the provider and the postbox here keep no books.
fn audit(world: &World) -> Totals {
    let objects = world.shelf.objects.lock().clone();
    let read = |keys: &[String]| Ok(keys.iter().map(|key| objects.get(key).map(|bytes| bytes.to_vec())).collect());
    let mut parts = Parts {
        ledger: Box::new(|| Ok(Box::new(world.memory.snapshot()))),
        provider: None,
        mails: None,
        archive: Some(Box::new(read)),
        records: Some(RecordStore {
            read: Box::new(read),
            list: Box::new(|prefix, visit| {
                objects.keys().filter(|key| key.starts_with(prefix)).cloned().try_for_each(visit)
            }),
        }),
    };
    let mut findings = Vec::new();
    let totals = audit::run(&mut parts, &mut |_| {}, &mut |finding| findings.push(finding.clone())).unwrap();
    assert_eq!(findings, []);
    assert_eq!(totals.not_compared, ["provider", "mails"]);
    totals
}

#[tokio::test]
async fn orders_parcels_and_records_agree_with_their_objects() {
    let limits = BatchLimits { records: 4, bytes: usize::MAX, age: Duration::from_millis(50) };
    for layout in [RecordsLayout::Object, RecordsLayout::Batch(limits)] {
        let settings = Settings { records_layout: layout, ..World::settings() };
        let world = World::with_settings(Provider::willing(), Policy::default(), settings).await;
        world.ledger.record_failures.store(1, std::sync::atomic::Ordering::SeqCst);
        let id = world.place_as("ok", Some("c@example.com"), Some("SHOP")).await;
        world.wait_for_status(id, Status::Confirmed).await;
        for number in 0..10 {
            world.take(number).await;
        }
        world.track("SHOP", &[(PickedUp, 1), (OutForDelivery, 2), (Delivered, 3), (PickedUp, 0), (PickedUp, 9)]).await;
        world.track("nobody", &[(Delivered, 3)]).await;
        world.wait_for(id, |order| order.status == Status::Delivered && !order.is_archive_due()).await;
        for role in [Role::Records, Role::Tracking] {
            world.wait_until_done(role).await;
        }
        let totals = audit(&world);
        assert_eq!((totals.orders, totals.parcels, totals.records, totals.records_stored), (1, 2, 10, 10));
        let objects = if layout == RecordsLayout::Object { 10..=10 } else { 3..=5 };
        assert!(objects.contains(&totals.record_objects), "{} objects", totals.record_objects);
        world.stop().await;
    }
}
