use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ordermill_core::event::RecordReceived;
use ordermill_core::id::RecordId;
use ordermill_core::input::{Body, TakeRecord};
use ordermill_core::policy::Policy;
use ordermill_core::process::Role;
use ordermill_core::record::Record;
use ordermill_engine::record_object::{PREFIX, RecordObject};
use ordermill_engine::{BatchLimits, Parts, RecordsLayout, Settings, start};
use ordermill_ports::bus::DeadLetter;
use ordermill_ports::{Bus, Queries};
use serde_json::{Value, json};

use crate::gateways::{Late, Provider};
use crate::world::{SOON, World};

/// Long enough never to be over in a test.
const NEVER: Duration = Duration::from_secs(3_600);

/// Many records in one object, by these limits.
fn batches(records: usize, bytes: usize, age: Duration) -> Settings {
    let layout = RecordsLayout::Batch(BatchLimits { records, bytes, age });
    Settings { records_layout: layout, ..World::settings() }
}

fn data(number: u32) -> Value {
    json!({"email_subject": format!("number {number}"), "email_timestream": "2023-01-01T00:00:00Z"})
}

impl World {
    async fn records_with(settings: Settings) -> Self {
        Self::with_settings(Provider::willing(), Policy::default(), settings).await
    }

    pub async fn take(&self, number: u32) -> RecordId {
        let record_id = RecordId::from_uuid(uuid::Uuid::now_v7());
        let received = RecordReceived { data: data(number), occurred_at: None, correlation_id: None };
        self.submit(Body::TakeRecord(Box::new(TakeRecord { record_id, received }))).await;
        record_id
    }

    pub async fn record(&self, id: RecordId) -> Arc<Record> {
        self.memory.record(id).await.unwrap().unwrap()
    }

    pub async fn wait_until_stored(&self, id: RecordId) -> Arc<Record> {
        let deadline = Instant::now() + SOON;
        loop {
            let record = self.record(id).await;
            if record.stored.is_some() {
                return record;
            }
            assert!(Instant::now() < deadline, "not stored: {record:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What lies below `processed/`, by key.
    fn objects(&self) -> Vec<(String, Vec<RecordObject>)> {
        let objects = self.shelf.objects.lock();
        let mine = objects.iter().filter(|(key, _)| key.starts_with(PREFIX));
        mine.map(|(key, bytes)| (key.clone(), RecordObject::parse_all(bytes).unwrap())).collect()
    }

    /// Lets time go by until a delivery is given up.
    pub async fn wait_for_dead_letter(&self) -> DeadLetter {
        let deadline = Instant::now() + Duration::from_secs(40);
        loop {
            if let Some(letter) = self.memory.dead_letters(None, 1).await.unwrap().pop() {
                return letter;
            }
            assert!(Instant::now() < deadline, "not given up");
            self.clock.advance(Duration::from_secs(660));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn a_record_becomes_one_object_with_a_key_of_its_own() {
    let world = World::records_with(World::settings()).await;
    let id = world.take(1).await;
    let record = world.wait_until_stored(id).await;
    let key = RecordObject::key(id, record.received_at);
    let stored = record.stored.as_ref().unwrap();
    assert_eq!((&*stored.key, stored.attempts), (key.as_str(), 1));
    let object = RecordObject { message_id: id, received_at: record.received_at, attempts: 1, data: data(1) };
    assert_eq!(world.objects(), [(key, vec![object])]);
    world.stop().await;
}

#[tokio::test]
async fn many_records_become_as_many_objects() {
    let settings = Settings { records_batch: 16, records_concurrency: 3, ..World::settings() };
    let world = World::records_with(settings).await;
    let mut ids = Vec::new();
    for number in 0..300 {
        ids.push(world.take(number).await);
    }
    for id in &ids {
        world.wait_until_stored(*id).await;
    }
    assert_eq!(world.objects().len(), 300);
    assert_eq!(world.shelf.writes.load(Ordering::SeqCst), 300, "each was written once");
    world.stop().await;
}

#[tokio::test]
async fn a_store_that_fails_for_a_moment_gets_the_record_later() {
    let world = World::records_with(World::settings()).await;
    world.shelf.failures.store(1, Ordering::SeqCst);
    let id = world.take(1).await;
    let record = world.wait_until_stored(id).await;
    assert_eq!(record.stored.as_ref().map(|stored| stored.attempts), Some(2));
    assert_eq!(world.objects()[0].1[0].attempts, 2);
    world.stop().await;
}

#[tokio::test]
async fn a_store_that_fails_for_good_makes_a_dead_letter_that_can_be_sent_again() {
    for settings in [World::settings(), batches(1, usize::MAX, NEVER)] {
        let world = World::records_with(settings).await;
        world.shelf.failures.store(u32::MAX, Ordering::SeqCst);
        let id = world.take(1).await;
        let letter = world.wait_for_dead_letter().await;
        assert_eq!(
            (letter.delivery.role, letter.reason.as_str()),
            (Role::Records, "the object store failed: the shelf is full")
        );
        assert_eq!(u32::MAX - world.shelf.failures.load(Ordering::SeqCst), 12, "as often as the step says");
        assert_eq!((world.record(id).await.stored.clone(), world.objects()), (None, Vec::new()));
        world.shelf.failures.store(0, Ordering::SeqCst);
        assert_eq!(world.memory.redrive(&[letter.id]).await.unwrap(), [letter.id]);
        world.wait_until_stored(id).await;
        world.stop().await;
    }
}

#[tokio::test]
async fn a_record_that_is_delivered_again_is_still_one_object() {
    for settings in [World::settings(), batches(1, usize::MAX, NEVER)] {
        let world = World::records_with(settings.clone()).await;
        // The object is written, and the commit that says so is lost.
        world.ledger.record_failures.store(2, Ordering::SeqCst);
        let id = world.take(1).await;
        let record = world.wait_until_stored(id).await;
        // Many records in one object: what is there already is found there.
        let writes = if settings.records_layout == RecordsLayout::Object { 3 } else { 1 };
        assert_eq!(world.shelf.writes.load(Ordering::SeqCst), writes);
        let objects = world.objects();
        assert_eq!((objects.len(), objects[0].1.len()), (1, 1), "{objects:?}");
        assert_eq!(objects[0].0, *record.stored.as_ref().unwrap().key);
        world.stop().await;
    }
}

#[tokio::test]
async fn deliveries_doubled_and_reversed_make_one_object_each() {
    let mut world = World::idle(Provider::willing(), Policy::default()).await;
    let ids = [world.take(1).await, world.take(2).await, world.take(3).await];
    world.start_shuffled();
    for id in ids {
        assert_eq!(world.wait_until_stored(id).await.version, 2);
    }
    world.wait_until_done(Role::Records).await;
    assert_eq!(world.objects().len(), 3);
    world.stop().await;
}

#[tokio::test]
async fn a_store_that_panics_costs_a_try_and_nothing_else() {
    for settings in [World::settings(), batches(1, usize::MAX, NEVER)] {
        let world = World::records_with(settings).await;
        world.shelf.panics.store(1, Ordering::SeqCst);
        let id = world.take(1).await;
        let record = world.wait_until_stored(id).await;
        assert_eq!(record.stored.as_ref().map(|stored| stored.attempts), Some(2));
        world.stop().await;
    }
}

#[tokio::test]
async fn records_come_together_until_there_are_enough_and_a_stop_writes_the_rest() {
    let world = World::records_with(batches(3, usize::MAX, NEVER)).await;
    let mut ids = Vec::new();
    for number in 0..7 {
        ids.push(world.take(number).await);
    }
    for id in &ids[..6] {
        world.wait_until_stored(*id).await;
    }
    assert_eq!(world.record(ids[6]).await.stored, None, "it waits for others");
    let world = world.stop().await;
    assert!(world.record(ids[6]).await.stored.is_some(), "a stop writes what was taken");
    let objects = world.objects();
    assert_eq!(objects.iter().map(|(_, lines)| lines.len()).collect::<Vec<_>>(), [3, 3, 1]);
    for (key, lines) in &objects {
        let first = lines.iter().map(|line| line.message_id).min().unwrap();
        assert_eq!(*key, RecordObject::batch_key(first, lines[0].received_at));
        for line in lines {
            let record = world.record(line.message_id).await;
            assert_eq!(&*record.stored.as_ref().unwrap().key, key);
            assert_eq!(line.data, record.received.data);
        }
    }
    let written: BTreeSet<RecordId> = objects.iter().flat_map(|(_, lines)| lines).map(|line| line.message_id).collect();
    assert_eq!(written, ids.into_iter().collect());
}

#[tokio::test]
async fn records_are_written_once_they_are_large_enough_together() {
    let world = World::records_with(batches(1_000, 400, NEVER)).await;
    let ids = [world.take(1).await, world.take(2).await, world.take(3).await];
    for id in ids {
        world.wait_until_stored(id).await;
    }
    world.stop().await;
}

#[tokio::test]
async fn a_record_waits_for_others_only_so_long() {
    let world = World::records_with(batches(1_000, usize::MAX, Duration::from_millis(200))).await;
    let began = Instant::now();
    let id = world.take(1).await;
    world.wait_until_stored(id).await;
    assert!(began.elapsed() >= Duration::from_millis(200), "{:?}", began.elapsed());
    world.stop().await;
}

#[tokio::test]
async fn records_of_two_hours_lie_in_two_objects() {
    let world = World::records_with(batches(2, usize::MAX, NEVER)).await;
    let first = world.take(1).await;
    world.clock.advance(Duration::from_secs(3_600));
    let second = world.take(2).await;
    for id in [first, second] {
        let record = world.wait_until_stored(id).await;
        assert_eq!(*record.stored.as_ref().unwrap().key, *RecordObject::batch_key(id, record.received_at));
    }
    assert_eq!(world.objects().len(), 2);
    world.stop().await;
}

/// The commit of a batch was lost in part: the records that are in the object and are said to be must stay in it.
#[tokio::test]
async fn an_object_that_is_there_already_loses_no_line() {
    let world = World::records_with(batches(2, usize::MAX, NEVER)).await;
    let first = world.take(1).await;
    let record = world.record(first).await;
    let key = RecordObject::batch_key(first, record.received_at);
    let committed = Record { id: RecordId::from_uuid(uuid::Uuid::now_v7()), ..Record::clone(&record) };
    let present = [RecordObject::of(&record, 1), RecordObject::of(&committed, 1)].concat();
    world.shelf.objects.lock().insert(key.clone(), present.into());
    let second = world.take(2).await;
    world.wait_until_stored(second).await;
    let ids = |(key, lines): (String, Vec<RecordObject>)| (key, lines.iter().map(|line| line.message_id).collect());
    let objects: Vec<(String, Vec<RecordId>)> = world.objects().into_iter().map(ids).collect();
    let second_key = RecordObject::batch_key(second, world.record(second).await.received_at);
    assert_eq!(objects, [(key.clone(), vec![first, committed.id]), (second_key, vec![second])]);
    assert_eq!(world.record(first).await.stored.as_ref().map(|stored| &*stored.key), Some(key.as_str()));
    world.stop().await;
}

/// A process that was replaced while it wrote comes late, behind the commit of the one that has its place.
#[tokio::test]
async fn a_late_write_takes_nothing_from_an_object() {
    let world = World::idle(Provider::willing(), Policy::default()).await;
    let mut ids = Vec::new();
    for number in 0..10 {
        ids.push(world.take(number).await);
    }
    let late = Late::over(&world.shelf);
    let grace = Duration::from_secs(60);
    let settings = Settings { stop_grace: grace, ..batches(10, usize::MAX, NEVER) };
    let replaced = start(Parts { objects: Arc::clone(&late) as _, ..world.parts() }, settings, &[Role::Records]);
    late.is_reached().await;
    let replaced = tokio::spawn(replaced.stop());
    for number in 10..20 {
        ids.push(world.take(number).await);
    }
    world.memory.reclaim(Role::Records).await;
    let other = start(world.parts(), batches(20, usize::MAX, NEVER), &[Role::Records]);
    for id in &ids {
        world.wait_until_stored(*id).await;
    }
    late.gate.add_permits(100);
    replaced.await.unwrap();
    other.stop().await;
    let objects: BTreeMap<String, Vec<RecordObject>> = world.objects().into_iter().collect();
    for id in ids {
        let key = world.record(id).await.stored.as_ref().unwrap().key.to_string();
        let holds = objects[&key].iter().any(|line| line.message_id == id);
        assert!(holds, "{key} does not hold {id}");
    }
}

#[tokio::test]
async fn an_interval_between_two_looks_is_kept() {
    let interval = Duration::from_millis(300);
    let settings = Settings { records_poll_interval: interval, ..World::settings() };
    let world = World::records_with(settings).await;
    let began = Instant::now();
    for number in 0..3 {
        let id = world.take(number).await;
        world.wait_until_stored(id).await;
    }
    assert!(began.elapsed() >= interval * 2, "{:?}", began.elapsed());
    world.stop().await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_the_interval() {
    let grace = Duration::from_secs(30);
    let settings = Settings { records_poll_interval: NEVER, stop_grace: grace, ..World::settings() };
    let world = World::records_with(settings).await;
    let began = Instant::now();
    world.stop().await;
    assert!(began.elapsed() < grace, "the role had to be cut off");
}

#[tokio::test]
async fn a_stop_ends_the_writes_that_have_begun() {
    let world = World::records_with(World::settings()).await;
    world.shelf.delay_ms.store(500, Ordering::SeqCst);
    let id = world.take(1).await;
    let deadline = Instant::now() + SOON;
    while world.shelf.begun.load(Ordering::SeqCst) == 0 {
        assert!(Instant::now() < deadline, "the write does not begin");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(world.record(id).await.stored, None);
    let world = world.stop().await;
    assert!(world.record(id).await.stored.is_some());
}
