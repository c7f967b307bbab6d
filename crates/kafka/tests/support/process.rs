//! One process of an installation: a ledger, the relay, and a consumer for each of its roles.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ordermill_core::process::Role;
use ordermill_engine::Running;
use ordermill_kafka::{KafkaBus, KafkaLedger, KafkaPublisher};
use ordermill_ports::bus::Lag;
use ordermill_ports::conformance::shop::Shop;
use ordermill_ports::conformance::{Backend, Harness, Settings};
use ordermill_ports::ledger::{Outcome, Source, Submission, SubmitError};
use ordermill_ports::{Bus, Clock, Delivery, Ledger, Position, Queries};
use ordermill_postgres::PgLedger;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep};

use super::{Place, gateways};

/// Whatever has to happen happens within this time, also on a busy machine.
pub const SOON: Duration = Duration::from_secs(60);

/// Looks again and again until it holds.
///
/// # Panics
/// When it does not hold soon.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "within {} s {what}", SOON.as_secs());
        sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until the relay has nothing left to publish, and has said so.
pub async fn until_published(store: &PgLedger) {
    let deadline = Instant::now() + SOON;
    while store.lag(Role::Relay).await.is_ok_and(|lag| lag.events > 0) {
        assert!(Instant::now() < deadline, "everything is published within {} s", SOON.as_secs());
        sleep(Duration::from_millis(2)).await;
    }
}

/// A process.
pub struct Process {
    pub store: Arc<PgLedger>,
    pub ledger: Arc<KafkaLedger>,
    pub bus: Arc<KafkaBus>,
    pub publisher: Arc<KafkaPublisher>,
    relay: Mutex<Option<Running>>,
}

impl Process {
    /// Opens the ledger, runs the relay, and joins the groups of these roles. What was there before has been read when it returns.
    pub async fn start(place: &Place, settings: &Settings, roles: &[Role], is_relay: bool) -> Arc<Self> {
        let clock = Arc::clone(&settings.clock) as Arc<dyn Clock>;
        let mut options = ordermill_postgres::Options::from_url(&place.ledger(), clock).expect("a sound URL");
        options.policy = settings.policy.clone();
        options.undecided_max = settings.undecided_max;
        options.is_relayed = true;
        // Longer than a process stands still for a moment: no test waits for one to run out.
        options.lease = Duration::from_secs(15);
        let store = PgLedger::open(options).await.expect("the ledger opens");
        let publisher = KafkaPublisher::open(place.options()).await.expect("the broker answers");
        let mut relay = None;
        if is_relay {
            let parts = gateways::parts(&store, Arc::clone(&publisher) as _);
            relay = Some(ordermill_engine::start(parts, ordermill_engine::Settings::default(), &[Role::Relay]));
            until_published(&store).await;
        }
        let (inner, queries) = (Arc::clone(&store) as Arc<dyn Bus>, Arc::clone(&store) as Arc<dyn Queries>);
        let bus = KafkaBus::open(&place.options(), inner, queries, Arc::clone(&publisher), roles)
            .await
            .expect("the broker answers");
        let ledger = KafkaLedger::new(Arc::clone(&store) as Arc<dyn Ledger>, Arc::clone(&bus));
        Arc::new(Self { store, ledger, bus, publisher, relay: Mutex::new(relay) })
    }

    /// Ends the relay.
    pub async fn stop_relay(&self) {
        if let Some(relay) = self.relay.lock().await.take() {
            relay.stop().await;
        }
    }

    /// Ends the process as it should.
    pub async fn close(&self) {
        self.stop_relay().await;
        self.ledger.close().await;
    }
}

/// A backend for the suites: they look at once for what is committed, and a broker takes its time. So an answer waits until what was
/// committed has reached the process's consumers.
pub struct Patient {
    process: Arc<Process>,
    /// Up to here everything has.
    seen: AtomicU64,
    is_closing: watch::Sender<bool>,
}

impl Patient {
    /// Opens everything in one process.
    pub async fn open(place: &Place, settings: &Settings) -> Backend {
        let process = Process::start(place, settings, &Role::ALL, true).await;
        until("the groups give us what they have", || process.bus.is_caught_up()).await;
        let seen = AtomicU64::new(process.store.head().await.expect("readable").0);
        let (queries, bus) = (Arc::clone(&process.store) as _, Arc::clone(&process.bus) as _);
        Backend { ledger: Arc::new(Self { process, seen, is_closing: watch::Sender::new(false) }), queries, bus }
    }

    async fn flow(&self) {
        let Process { store, bus, .. } = &*self.process;
        let from = Position(self.seen.load(Ordering::SeqCst));
        let Some(events) = store.feed(from, 10_000).await.ok().filter(|events| !events.is_empty()) else { return };
        for event in &events {
            for role in Role::ALL {
                if role.reacts_to().contains(&event.recorded.event.kind()) {
                    let what = format!("{event:?} reaches {}", role.as_str());
                    until(&what, || bus.knows(role, event.position) || *self.is_closing.borrow()).await;
                }
            }
            self.seen.fetch_max(event.position.0, Ordering::SeqCst);
        }
        // The relay is stopped when the backend is closed, and what it has not said by then it says after the next start.
        let mut is_closing = self.is_closing.subscribe();
        tokio::select! {
            () = until_published(store) => {}
            _ = is_closing.wait_for(|is_closing| *is_closing) => {}
        }
    }
}

#[async_trait]
impl Ledger for Patient {
    async fn submit(&self, source: Source, submissions: Vec<Submission>) -> Vec<Result<Outcome, SubmitError>> {
        let results = self.process.ledger.submit(source, submissions).await;
        self.flow().await;
        results
    }

    async fn ready(&self) -> Result<(), String> {
        self.process.ledger.ready().await
    }

    async fn close(&self) {
        self.is_closing.send_replace(true);
        self.process.close().await;
    }
}

/// A backend that is open already.
struct Opened(Backend);

#[async_trait]
impl Harness for Opened {
    async fn open(&self, _settings: &Settings) -> Backend {
        self.0.clone()
    }
}

impl Process {
    /// The process as a backend.
    pub fn backend(&self) -> Backend {
        Backend { ledger: self.ledger.clone(), queries: self.store.clone(), bus: self.bus.clone() }
    }

    /// A shop in this process.
    pub async fn shop(&self, settings: &Settings) -> Shop {
        Shop::open_with(&Opened(self.backend()), settings.clone()).await
    }

    /// The next deliveries of a role; none when nothing comes for so long.
    pub async fn receive(&self, role: Role, wait: Duration) -> Vec<Delivery> {
        let received = tokio::time::timeout(wait, self.bus.receive(role, 1_000)).await;
        received.map(|received| received.expect("the bus works")).unwrap_or_default()
    }

    /// So many deliveries of a role, however they come, by position.
    pub async fn receive_many(&self, role: Role, count: usize) -> Vec<Delivery> {
        let deadline = Instant::now() + SOON;
        let mut all = Vec::new();
        while all.len() < count && Instant::now() < deadline {
            all.extend(self.receive(role, Duration::from_millis(100)).await);
        }
        assert_eq!(all.len(), count, "{all:?}");
        all.sort_by_key(|delivery| delivery.position);
        all
    }

    /// Waits until nothing of a role is left, by what the broker says when it answers.
    pub async fn until_settled(&self, role: Role) {
        let deadline = Instant::now() + SOON;
        loop {
            let lag = self.bus.lag(role).await;
            if lag.as_ref().is_ok_and(|lag| *lag == Lag::default()) {
                return;
            }
            assert!(Instant::now() < deadline, "{} still has {lag:?}", role.as_str());
            sleep(Duration::from_millis(50)).await;
        }
    }
}
