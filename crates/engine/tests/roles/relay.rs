//! The relay on a broker that takes some events and not others, and on a ledger that cannot read all of them.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ordermill_core::event::Subject;
use ordermill_core::id::OrderId;
use ordermill_core::policy::Policy;
use ordermill_core::process::Role;
use ordermill_core::{Timestamp, channel};
use ordermill_engine::{Parts, Running, Settings, Templates, start};
use ordermill_ports::bus::{BusError, DeadLetter, Lag};
use ordermill_ports::clock::SystemRandom;
use ordermill_ports::ledger::OutcomeSubject;
use ordermill_ports::publisher::{Announcement, Answer, PublishError, Publisher};
use ordermill_ports::queries::Committed;
use ordermill_ports::{
    Bus, Clock, Delivery, Ledger, Outcome, Position, Queries, Settle, Source, Submission, SubmitError,
};
use parking_lot::Mutex;

use crate::gateways::{Ahead, Provider};
use crate::reads::Flaw;
use crate::told::Errors;
use crate::world::World;

/// What the relay has of the feed, and what it has said of it.
#[derive(Default)]
struct Line {
    read: u64,
    back: VecDeque<Delivery>,
    parked: BTreeMap<Position, (Timestamp, Delivery)>,
    acknowledged: BTreeSet<Position>,
    dead: Vec<(Position, String)>,
    /// How often it was left to others.
    left: u32,
}

/// A bus for the relay, and the ledger that it settles with: what is given back goes before what is due, and that before what is new.
struct Feed {
    queries: Arc<dyn Queries>,
    clock: Arc<Ahead>,
    line: Mutex<Line>,
}

impl Feed {
    fn next(&self, events: Vec<Committed>, max: usize) -> Vec<Delivery> {
        let role = Role::Relay;
        let mut line = self.line.lock();
        let given_back = line.back.len().min(max);
        let mut deliveries: Vec<Delivery> = line.back.drain(..given_back).collect();
        let now = self.clock.now();
        let due = line.parked.iter().filter(|(_, (due, _))| *due <= now).map(|(position, _)| *position);
        for position in due.take(max - deliveries.len()).collect::<Vec<_>>() {
            deliveries.extend(line.parked.remove(&position).map(|(_, delivery)| delivery));
        }
        let room = max - deliveries.len();
        for event in events.into_iter().take(room) {
            line.read = event.position.0;
            let (kind, recorded) = (event.recorded.event.kind(), event.recorded);
            if channel::relayed().contains(&kind) {
                let (subject, version, at) = (recorded.subject, recorded.version, recorded.at);
                deliveries.push(Delivery { role, position: event.position, subject, version, kind, at, tries: 0 });
            }
        }
        deliveries
    }
}

#[async_trait]
impl Bus for Feed {
    async fn receive(&self, role: Role, max: usize) -> Result<Vec<Delivery>, BusError> {
        assert_eq!(role, Role::Relay);
        loop {
            let from = self.line.lock().read;
            let events =
                self.queries.feed(Position(from), max).await.map_err(|error| BusError::Ledger(error.to_string()))?;
            let deliveries = self.next(events, max);
            if !deliveries.is_empty() {
                return Ok(deliveries);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn give_back(&self, deliveries: Vec<Delivery>) {
        self.line.lock().back.extend(deliveries);
    }

    async fn reclaim(&self, _: Role) {}

    /// What it has not settled is another's by then.
    async fn leave(&self, role: Role) {
        assert_eq!(role, Role::Relay);
        self.line.lock().left += 1;
    }

    async fn dead_letters(&self, _: Option<u64>, _: usize) -> Result<Vec<DeadLetter>, BusError> {
        Ok(Vec::new())
    }

    async fn redrive(&self, _: &[u64]) -> Result<Vec<u64>, BusError> {
        Ok(Vec::new())
    }

    async fn lag(&self, _: Role) -> Result<Lag, BusError> {
        Ok(Lag::default())
    }
}

#[async_trait]
impl Ledger for Feed {
    async fn submit(&self, _: Source, submissions: Vec<Submission>) -> Vec<Result<Outcome, SubmitError>> {
        let mut line = self.line.lock();
        let mut settle = |submission: Submission| {
            let settlement = submission.settles.expect("the relay settles, and decides nothing");
            let (position, tries) = (settlement.delivery.position, settlement.delivery.tries + 1);
            match settlement.how {
                Settle::Ack => assert!(line.acknowledged.insert(position), "it is acknowledged once"),
                Settle::Retry { due, .. } => {
                    line.parked.insert(position, (due, Delivery { tries, ..settlement.delivery }));
                }
                Settle::DeadLetter { reason } => line.dead.push((position, reason)),
            }
            let subject = OutcomeSubject::Nothing;
            Ok(Outcome { subject, changed: false, replayed: false, key_expires_at: None })
        };
        submissions.into_iter().map(&mut settle).collect()
    }

    async fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    async fn close(&self) {}
}

/// What a broker says to the events of an order.
#[derive(Debug, Clone, Copy)]
enum Says {
    No,
    /// For what it is.
    Never,
    Nothing,
}

/// A broker that takes everything but what a test tells it not to.
#[derive(Default)]
struct Broker {
    says: Mutex<HashMap<OrderId, Says>>,
    /// To orders that it is not told about.
    says_to_new: Mutex<Option<Says>>,
    is_away: Mutex<bool>,
    is_out_of_reach: Mutex<bool>,
    handed: Mutex<HashMap<OrderId, u32>>,
}

#[async_trait]
impl Publisher for Broker {
    async fn publish(&self, events: Vec<Announcement>) -> Vec<Answer> {
        let answer = |event: Announcement| -> Answer {
            let Subject::Order(id) = event.event.recorded.subject else { return Box::pin(async { Ok(()) }) };
            *self.handed.lock().entry(id).or_default() += 1;
            let no = |is_for_good| PublishError { reason: "no".to_owned(), is_told_to_roles: false, is_for_good };
            let mut says = self.says.lock();
            let says_to_new = *self.says_to_new.lock();
            if let Some(new) = says_to_new {
                says.entry(id).or_insert(new);
            }
            match says.get(&id) {
                _ if *self.is_away.lock() => Box::pin(async move { Err(no(false)) }),
                None => Box::pin(async { Ok(()) }),
                Some(Says::No) => Box::pin(async move { Err(no(false)) }),
                Some(Says::Never) => Box::pin(async move { Err(no(true)) }),
                Some(Says::Nothing) => Box::pin(std::future::pending()),
            }
        };
        events.into_iter().map(answer).collect()
    }

    async fn is_there(&self) -> bool {
        !*self.is_out_of_reach.lock()
    }
}

struct Relay {
    world: World,
    feed: Arc<Feed>,
    broker: Arc<Broker>,
    running: Running,
}

impl Relay {
    async fn start() -> Self {
        Self::over(World::idle(Provider::willing(), Policy::default()).await)
    }

    fn over(world: World) -> Self {
        let (queries, clock) = (Arc::clone(&world.memory) as _, Arc::clone(&world.clock));
        let feed = Arc::new(Feed { queries, clock, line: Mutex::default() });
        let broker: Arc<Broker> = Arc::default();
        let parts = Parts {
            ledger: Arc::clone(&feed) as _,
            queries: Arc::clone(&world.reads) as _,
            bus: Arc::clone(&feed) as _,
            payments: Arc::clone(&world.provider) as _,
            mailer: Arc::clone(&world.postbox) as _,
            objects: Arc::clone(&world.shelf) as _,
            clock: Arc::clone(&world.clock) as _,
            random: Arc::new(SystemRandom::default()),
            templates: Arc::new(Templates::load(None).unwrap()),
            publisher: Some(Arc::clone(&broker) as _),
        };
        let running = start(parts, Settings::default(), &[Role::Relay]);
        Self { world, feed, broker, running }
    }

    async fn place(&self) -> Position {
        let id = self.world.place("ok").await;
        self.position(id).await
    }

    async fn position(&self, id: OrderId) -> Position {
        self.world.memory.order_events(id, 0).await.unwrap()[0].position
    }

    async fn until(&self, what: &str, holds: impl Fn(&Line) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !holds(&self.feed.line.lock()) {
            assert!(Instant::now() < deadline, "{what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn until_acknowledged(&self, positions: &[Position]) {
        self.until("all are acknowledged", |line| positions.iter().all(|one| line.acknowledged.contains(one))).await;
    }
}

#[tokio::test]
async fn an_event_that_is_never_answered_for_keeps_no_other_back() {
    let relay = Relay::start().await;
    *relay.broker.says_to_new.lock() = Some(Says::Nothing);
    let mut stuck = BTreeSet::new();
    for count in 1..=6 {
        // Each in a batch of its own.
        stuck.insert(relay.place().await);
        let deadline = Instant::now() + Duration::from_secs(5);
        while relay.broker.handed.lock().len() < count && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    *relay.broker.says_to_new.lock() = None;
    let mut healthy = Vec::new();
    for _ in 0..20 {
        healthy.push(relay.place().await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    relay.until_acknowledged(&healthy).await;
    assert!(relay.feed.line.lock().acknowledged.is_disjoint(&stuck));
    let begun = Instant::now();
    relay.running.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(9), "the end does not wait for what never comes");
    let line = relay.feed.line.lock();
    let left = line.back.iter().map(|delivery| delivery.position).chain(line.parked.keys().copied());
    assert_eq!(left.collect::<BTreeSet<_>>(), stuck, "they are for whoever comes next");
}

#[tokio::test]
async fn events_that_the_broker_refuses_are_put_off_for_longer_each_time_and_starve_nobody() {
    let world = World::idle(Provider::willing(), Policy::default()).await;
    let mut refused = BTreeSet::new();
    let mut ids = Vec::new();
    for _ in 0..5_000 {
        ids.push(world.place("ok").await);
    }
    let relay = Relay::over(world);
    relay.broker.says.lock().extend(ids.iter().map(|id| (*id, Says::No)));
    for id in &ids {
        refused.insert(relay.position(*id).await);
    }
    // Others are taken meanwhile, so the broker is there.
    let deadline = Instant::now() + Duration::from_secs(60);
    while !refused.iter().all(|one| relay.feed.line.lock().parked.contains_key(one)) {
        assert!(Instant::now() < deadline, "they are put off");
        let healthy = relay.place().await;
        relay.until_acknowledged(&[healthy]).await;
        let tries = relay.broker.handed.lock().values().copied().max().unwrap();
        assert!(tries < 60, "it is not tried all the time: {tries}");
    }
    relay.broker.says.lock().clear();
    relay.world.clock.advance(Duration::from_secs(60));
    relay.until_acknowledged(&refused.into_iter().collect::<Vec<_>>()).await;
    assert_eq!(relay.feed.line.lock().dead, []);
    relay.running.stop().await;
}

#[tokio::test]
async fn a_broker_that_is_away_parks_nothing_in_the_ledger() {
    let relay = Relay::start().await;
    *relay.broker.is_away.lock() = true;
    let mut placed = Vec::new();
    for _ in 0..50 {
        placed.push(relay.place().await);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let counts = |line: &Line| (line.acknowledged.len(), line.parked.len(), line.dead.len());
    assert_eq!(counts(&relay.feed.line.lock()), (0, 0, 0));
    *relay.broker.is_away.lock() = false;
    relay.until_acknowledged(&placed).await;
    assert_eq!(relay.feed.line.lock().parked.len(), 0);
    relay.running.stop().await;
}

#[tokio::test]
async fn only_what_is_damaged_is_given_up() {
    let world = World::idle(Provider::willing(), Policy::default()).await;
    let mut positions = Vec::new();
    for flaw in [None, Some(Flaw::Newer), Some(Flaw::Damaged), None, Some(Flaw::Down), None] {
        let id = world.place("ok").await;
        let position = world.memory.order_events(id, 0).await.unwrap()[0].position;
        world.reads.flaws.lock().extend(flaw.map(|flaw| (position, flaw)));
        positions.push(position);
    }
    let relay = Relay::over(world);
    relay.until_acknowledged(&[positions[0], positions[3]]).await;
    relay.until("the newer one is put off", |line| line.parked.contains_key(&positions[1])).await;
    assert_eq!(relay.feed.line.lock().dead, [(positions[2], "it is damaged".to_owned())]);
    assert!(!relay.feed.line.lock().acknowledged.contains(&positions[4]));
    // The ledger is back, and this program is the newer one now.
    relay.world.reads.flaws.lock().clear();
    relay.world.clock.advance(Duration::from_secs(120));
    relay.until_acknowledged(&[positions[1], positions[4], positions[5]]).await;
    assert_eq!(relay.feed.line.lock().dead.len(), 1);
    relay.running.stop().await;
}

#[tokio::test]
async fn an_event_that_the_broker_refuses_for_what_it_is_becomes_a_dead_letter_after_a_while() {
    let relay = Relay::start().await;
    *relay.broker.says_to_new.lock() = Some(Says::Never);
    let unfit = relay.place().await;
    relay.until("it is tried again", |line| line.parked.contains_key(&unfit)).await;
    *relay.broker.says_to_new.lock() = None;
    for tries in 1..8 {
        let is_parked = |line: &Line| line.parked.get(&unfit).is_some_and(|(_, delivery)| delivery.tries == tries);
        relay.until("whoever changes the topic has some minutes", is_parked).await;
        relay.world.clock.advance(Duration::from_secs(90));
    }
    relay.until("it is given up", |line| line.dead == [(unfit, "no".to_owned())]).await;
    let healthy = relay.place().await;
    relay.until_acknowledged(&[healthy]).await;
    relay.running.stop().await;
}

#[tokio::test]
async fn many_events_that_are_given_up_do_not_fill_the_log() {
    let relay = Relay::start().await;
    let (errors, _guard) = Errors::listen();
    *relay.broker.says_to_new.lock() = Some(Says::Never);
    for _ in 0..20 {
        relay.place().await;
    }
    for tries in 1..8 {
        let is_parked =
            |line: &Line| line.parked.values().filter(|(_, delivery)| delivery.tries == tries).count() == 20;
        relay.until("all of them are tried again", is_parked).await;
        relay.world.clock.advance(Duration::from_secs(90));
    }
    relay.until("they are given up", |line| line.dead.len() == 20).await;
    // One of these, and one of events that are published again.
    assert!(errors.count() <= 4, "{} errors", errors.count());
    relay.running.stop().await;
}

#[tokio::test]
async fn a_process_that_is_cut_off_from_the_broker_leaves_its_share_to_others_once() {
    let relay = Relay::start().await;
    (*relay.broker.is_away.lock(), *relay.broker.is_out_of_reach.lock()) = (true, true);
    let mut placed = vec![relay.place().await];
    let is_left = |line: &Line| (line.left, line.back.len(), line.parked.len()) == (1, 1, 0);
    relay.until("it leaves with empty hands", is_left).await;
    for _ in 0..5 {
        placed.push(relay.place().await);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(is_left(&relay.feed.line.lock()), "it takes no more");
    assert_eq!(relay.broker.handed.lock().values().sum::<u32>(), 1);
    (*relay.broker.is_away.lock(), *relay.broker.is_out_of_reach.lock()) = (false, false);
    relay.until_acknowledged(&placed).await;
    // A broker that is within reach and takes nothing takes nothing of others either.
    *relay.broker.is_away.lock() = true;
    relay.place().await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(relay.feed.line.lock().left, 1);
    relay.running.stop().await;
}
