//! A ledger in memory with roles on it, and gateways that do as a test tells them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ordermill_core::Timestamp;
use ordermill_core::event::{Event, EventType};
use ordermill_core::id::OrderId;
use ordermill_core::input::{Admission, Body, Input, PutProduct};
use ordermill_core::intake::OrderDraft;
use ordermill_core::order::{Order, Status};
use ordermill_core::policy::Policy;
use ordermill_core::process::Role;
use ordermill_embedded::memory::MemoryLedger;
use ordermill_engine::{Parts, Running, Settings, Templates, start};
use ordermill_ports::clock::SystemRandom;
use ordermill_ports::{Bus, Ledger, Outcome, Queries, Random, Source};
use serde_json::json;

use crate::gateways::{Ahead, Postbox, Provider, Shelf, Shuffled, Unreliable};
use crate::reads::Reads;

/// Whatever has to happen happens within this time, also on a busy machine.
pub const SOON: Duration = Duration::from_secs(60);

/// Roles that a test runs.
pub const ROLES: [Role; 7] =
    [Role::Payments, Role::Inventory, Role::Notifications, Role::Tracking, Role::Archive, Role::Records, Role::Sweeper];

/// Everything together.
pub struct World {
    pub memory: Arc<MemoryLedger>,
    pub ledger: Arc<Unreliable>,
    pub provider: Arc<Provider>,
    pub postbox: Arc<Postbox>,
    pub shelf: Arc<Shelf>,
    pub clock: Arc<Ahead>,
    pub reads: Arc<Reads>,
    running: Option<Running>,
}

impl World {
    /// Roles at work on an empty ledger with one product, `P1`.
    pub async fn with(provider: Provider, policy: Policy) -> Self {
        Self::with_settings(provider, policy, Self::settings()).await
    }

    /// Times that suit a test.
    pub fn settings() -> Settings {
        Settings {
            archive_settle: Duration::from_millis(300),
            sweep_interval: Duration::from_millis(20),
            ..Settings::default()
        }
    }

    pub async fn with_settings(provider: Provider, policy: Policy, settings: Settings) -> Self {
        let mut world = Self::idle(provider, policy).await;
        world.start(settings);
        world
    }

    /// The same with no roles at work yet.
    pub async fn idle(provider: Provider, policy: Policy) -> Self {
        let clock: Arc<Ahead> = Arc::default();
        let memory = MemoryLedger::new(policy, Arc::clone(&clock) as _, 10_000);
        let world = Self {
            ledger: Arc::new(Unreliable::over(Arc::clone(&memory))),
            reads: Arc::new(Reads::of(Arc::clone(&memory))),
            memory,
            provider: Arc::new(provider),
            postbox: Arc::default(),
            shelf: Arc::default(),
            clock,
            running: None,
        };
        world.put_product().await;
        world
    }

    pub fn start(&mut self, settings: Settings) {
        self.start_roles(settings, &ROLES);
    }

    pub fn start_roles(&mut self, settings: Settings, roles: &[Role]) {
        self.running = Some(start(self.parts(), settings, roles));
    }

    /// Starts the roles on a bus that doubles and reverses what it hands out.
    pub fn start_shuffled(&mut self) {
        let parts = Parts { bus: Arc::new(Shuffled(Arc::clone(&self.memory))), ..self.parts() };
        self.running = Some(start(parts, Self::settings(), &ROLES));
    }

    pub fn parts(&self) -> Parts {
        Parts {
            ledger: Arc::clone(&self.ledger) as _,
            queries: Arc::clone(&self.reads) as _,
            bus: Arc::clone(&self.memory) as _,
            payments: Arc::clone(&self.provider) as _,
            mailer: Arc::clone(&self.postbox) as _,
            objects: Arc::clone(&self.shelf) as _,
            clock: Arc::clone(&self.clock) as _,
            random: Arc::new(SystemRandom::default()),
            templates: Arc::new(Templates::load(None).unwrap()),
            publisher: None,
        }
    }

    async fn put_product(&self) {
        let put = PutProduct {
            product_id: "P1".parse().unwrap(),
            name: "Tea".into(),
            price: serde_json::from_value(json!({ "amount_minor": 1000, "currency": "USD" })).unwrap(),
            description: None,
            active: true,
            opening_stock: Some(1_000),
            expected_version: None,
        };
        self.submit(Body::PutProduct(put)).await;
    }

    pub async fn submit(&self, body: Body) -> Outcome {
        self.memory.submit_one(Source::Live, Input::new(body)).await.unwrap()
    }

    /// Places an order of one unit.
    pub async fn place(&self, payment_method: &str) -> OrderId {
        self.place_for(payment_method, Some("c@example.com")).await
    }

    /// The same by a customer with this address, or without one.
    pub async fn place_for(&self, payment_method: &str, email: Option<&str>) -> OrderId {
        self.place_as(payment_method, email, None).await
    }

    /// The same under a reference of the shop.
    pub async fn place_as(&self, payment_method: &str, email: Option<&str>, order_ref: Option<&str>) -> OrderId {
        let draft: OrderDraft = serde_json::from_value(json!({
            "customer_id": "c",
            "customer_email": email,
            "order_ref": order_ref,
            "payment_method": payment_method,
            "lines": [{ "product_id": "P1", "quantity": 1 }],
        }))
        .unwrap();
        let id = SystemRandom::default().order_id(Timestamp::now());
        self.submit(Body::Place(Box::new(draft.check(id, Admission::Refuse).unwrap()))).await;
        id
    }

    pub async fn order(&self, id: OrderId) -> Arc<Order> {
        self.memory.order(id).await.unwrap().unwrap()
    }

    pub async fn events(&self, id: OrderId) -> Vec<EventType> {
        let events = self.memory.order_events(id, 0).await.unwrap();
        events.iter().map(|event| event.recorded.event.kind()).collect()
    }

    /// Waits until the role has dealt with everything there is for it.
    pub async fn wait_until_done(&self, role: Role) {
        let deadline = Instant::now() + SOON;
        loop {
            let lag = self.memory.lag(role).await.unwrap();
            if lag.events == 0 && lag.parked == 0 {
                return;
            }
            assert!(Instant::now() < deadline, "{role:?} is behind: {lag:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the order is as wanted.
    pub async fn wait_for(&self, id: OrderId, wanted: impl Fn(&Order) -> bool) -> Arc<Order> {
        let deadline = Instant::now() + SOON;
        loop {
            let order = self.order(id).await;
            if wanted(&order) {
                return order;
            }
            assert!(Instant::now() < deadline, "not what was waited for: {order:#?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn wait_for_status(&self, id: OrderId, status: Status) -> Arc<Order> {
        self.wait_for(id, |order| order.status == status).await
    }

    /// Stops the roles and shows that they left nothing behind: every role has settled everything that concerns it.
    pub async fn stop(mut self) -> Self {
        self.running.take().unwrap().stop().await;
        self
    }

    /// How often this order's events hold this type.
    pub async fn count(&self, id: OrderId, kind: EventType) -> usize {
        self.events(id).await.into_iter().filter(|found| *found == kind).count()
    }
}

/// Whether an event is one of the archive's own.
pub fn is_archived(event: &Event) -> bool {
    matches!(event, Event::OrderArchived(_))
}
