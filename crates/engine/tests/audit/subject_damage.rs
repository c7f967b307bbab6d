//! The same as in `damage`, for customers, parcels, records and deleted products.

use ordermill_core::event::{Empty, Event};
use ordermill_core::id::RecordId;
use ordermill_core::idempotency::Answer;
use ordermill_core::invariant::Invariant;
use ordermill_core::parcel::ParcelStatus;
use ordermill_engine::audit::Finding;
use ordermill_ports::audit::CustomerHistory;

use super::damage::breaks;
use super::subjects::{ALONE, FIRST, QUEUED, SECOND, WRITTEN};
use super::world::{Shop, World, healthy};

const NOBODY: RecordId = RecordId::from_bytes([0xee; 16]);

fn key_of(world: &World, id: RecordId) -> String {
    let id = id.to_string();
    world.record_objects.keys().find(|key| key.contains(&id)).expect("the record is written").clone()
}

#[tokio::test]
async fn a_deleted_product_whose_row_does_not_say_so() {
    breaks(Invariant::ProductMatchesEvents, |world| {
        world.records.product("voucher").product.as_mut().unwrap().deleted = false;
    })
    .await;
    breaks(Invariant::ProductMatchesEvents, |world| {
        world.records.product("voucher").events.pop();
    })
    .await;
}

#[tokio::test]
async fn customers_whose_rows_differ_from_their_events() {
    let damages: [fn(&mut CustomerHistory); 6] = [
        |history| history.row.as_mut().unwrap().name = "Eve".into(),
        |history| history.row.as_mut().unwrap().deleted = true,
        |history| history.row.as_mut().unwrap().version += 1,
        |history| history.row = None,
        |history| history.events.clear(),
        |history| {
            history.events.pop();
        },
    ];
    for damage in damages {
        breaks(Invariant::CustomerMatchesEvents, |world| damage(world.records.customer("c-1"))).await;
    }
    breaks(Invariant::CustomerMatchesEvents, |world| {
        world.records.customer("c-2").row.as_mut().unwrap().deleted = false;
    })
    .await;
    breaks(Invariant::CustomerMatchesEvents, |world| {
        let history = world.records.customer("c-1");
        history.row = None;
        history.events.truncate(1);
        history.events[0].event = Event::CustomerDeleted(Empty {});
    })
    .await;
}

/// A finding names the customer by id, and nothing that the customer told us.
#[tokio::test]
async fn a_finding_about_a_customer_names_no_person() {
    let mut world = healthy().await;
    world.records.customer("c-1").row.as_mut().unwrap().name = "Eve".into();
    let (_, findings) = world.audit();
    let text = serde_json::to_string(&findings).unwrap();
    assert!(text.contains(r#""customer_id":"c-1""#), "{text}");
    assert!(!text.contains("Ada") && !text.contains("Eve") && !text.contains("Ulm"), "{text}");
}

#[tokio::test]
async fn parcels_whose_rows_differ_from_their_events() {
    breaks(Invariant::ParcelMatchesEvents, |world| {
        world.records.parcel("p-1").row.as_mut().unwrap().status = ParcelStatus::Delivered;
    })
    .await;
    breaks(Invariant::ParcelMatchesEvents, |world| world.records.parcel("p-1").row.as_mut().unwrap().version += 1)
        .await;
    breaks(Invariant::ParcelMatchesEvents, |world| world.records.parcel("p-1").row = None).await;
    breaks(Invariant::ParcelMatchesEvents, |world| {
        world.records.parcel("p-1").events.pop();
    })
    .await;
    breaks(Invariant::ParcelMatchesEvents, |world| world.records.parcel("p-2").events.clear()).await;
    breaks(Invariant::ParcelMatchesEvents, |world| {
        world.records.parcel("p-2").events[0].event = Event::CustomerDeleted(Empty {});
    })
    .await;
}

#[tokio::test]
async fn records_whose_rows_differ_from_their_events() {
    breaks(Invariant::RecordMatchesEvents, |world| world.records.record(ALONE).row.as_mut().unwrap().version += 1)
        .await;
    breaks(Invariant::RecordMatchesEvents, |world| world.records.record(ALONE).row.as_mut().unwrap().stored = None)
        .await;
    breaks(Invariant::RecordMatchesEvents, |world| world.records.record(ALONE).row = None).await;
    breaks(Invariant::RecordMatchesEvents, |world| {
        world.records.record(ALONE).events.pop();
    })
    .await;
    breaks(Invariant::RecordMatchesEvents, |world| world.records.record(QUEUED).events.clear()).await;
}

#[tokio::test]
async fn events_of_the_new_subjects_that_are_gone() {
    breaks(Invariant::EventsWithoutGap, |world| {
        world.records.customer("c-1").events.remove(0);
    })
    .await;
    for index in 0..2 {
        breaks(Invariant::EventsWithoutGap, |world| {
            world.records.parcel("p-1").events.remove(index);
        })
        .await;
    }
    breaks(Invariant::EventsWithoutGap, |world| {
        world.records.record(ALONE).events.remove(0);
    })
    .await;
    breaks(Invariant::EventsWithoutGap, |world| {
        let event = world.records.parcel("p-2").events[0].clone();
        world.records.record(QUEUED).events[0] = event;
    })
    .await;
}

#[tokio::test]
async fn a_key_that_leads_to_no_record() {
    breaks(Invariant::KeysLeadToOrders, |world| {
        let key = world.records.keys.iter_mut().find(|(key, _)| key == "key-record").unwrap();
        key.1.answer = Answer::Record(NOBODY);
    })
    .await;
}

#[tokio::test]
async fn objects_of_records_that_are_missing_or_changed() {
    for id in [FIRST, ALONE] {
        breaks(Invariant::RecordsAgree, |world| {
            let key = key_of(world, id);
            world.record_objects.remove(&key);
        })
        .await;
    }
    let changes = [
        ("email_content", "email_subject"),
        ("0.30000000000000004", "0.3"),
        ("\"received_at\":\"2", "\"received_at\":\"1"),
        ("{", "["),
    ];
    for (from, to) in changes {
        for id in [FIRST, ALONE] {
            breaks(Invariant::RecordsAgree, |world| {
                let key = key_of(world, id);
                let text = String::from_utf8(world.record_objects[&key].clone()).unwrap();
                assert!(text.contains(from), "{text}");
                world.record_objects.insert(key, text.replacen(from, to, 1).into_bytes());
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_line_that_is_gone_is_missed_by_its_record_alone() {
    let mut world = healthy().await;
    let key = key_of(&world, FIRST);
    let object = world.record_objects.get_mut(&key).unwrap();
    let end = object.iter().position(|byte| *byte == b'\n').unwrap();
    object.truncate(end + 1);
    let (_, findings) = world.audit();
    let found: Vec<(Invariant, Option<RecordId>)> =
        findings.iter().map(|finding: &Finding| (finding.invariant, finding.record_id)).collect();
    assert_eq!(found, [(Invariant::RecordsAgree, Some(SECOND))]);
}

#[tokio::test]
async fn objects_of_no_record() {
    for name in [format!("{NOBODY}.json"), format!("{NOBODY}.ndjson"), "readme.txt".to_owned()] {
        breaks(Invariant::RecordsAgree, |world| {
            world.record_objects.insert(format!("processed/2026/01/01/00/{name}"), b"{}".to_vec());
        })
        .await;
    }
    // A copy of a good object in the wrong place.
    breaks(Invariant::RecordsAgree, |world| {
        let object = world.record_objects[&key_of(world, ALONE)].clone();
        world.record_objects.insert(format!("processed/2020/01/01/00/{ALONE}.json"), object);
    })
    .await;
}

#[tokio::test]
async fn an_object_whose_commit_was_lost_is_no_finding() {
    let mut world = healthy().await;
    let key = key_of(&world, WRITTEN);
    assert_eq!(world.audit().0.record_objects, 3);
    world.record_objects.remove(&key);
    assert_eq!(world.audit().1, []);
}

#[tokio::test]
async fn a_record_taken_after_the_first_snapshot_is_no_finding() {
    let mut shop = Shop::open().await;
    let before = shop.look().records;
    shop.take(ALONE, None).await;
    shop.store(&[ALONE], true).await;
    let after = shop.look();
    let (totals, findings) =
        after.audit_with(&mut |opened| if opened == 0 { before.clone() } else { after.records.clone() });
    assert_eq!(findings, []);
    assert_eq!((totals.records, totals.record_objects), (0, 1));
    let (_, findings) = after.audit_with(&mut |_| before.clone());
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!((findings[0].invariant, findings[0].record_id), (Invariant::RecordsAgree, Some(ALONE)));
}
