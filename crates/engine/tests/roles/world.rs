//! A ledger in memory with roles on it, and gateways that do as a test tells them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use ordermill_core::event::{Event, EventType};
use ordermill_core::id::{OrderId, ProviderRef};
use ordermill_core::input::{Admission, Body, Input, PaymentAnswer, PutProduct};
use ordermill_core::intake::OrderDraft;
use ordermill_core::order::{Order, Status};
use ordermill_core::payment::{PaymentKey, PaymentRequest};
use ordermill_core::policy::Policy;
use ordermill_core::process::Role;
use ordermill_embedded::memory::MemoryLedger;
use ordermill_engine::{Parts, Running, Settings, Templates, start};
use ordermill_ports::clock::{SystemClock, SystemRandom};
use ordermill_ports::mailer::{Mail, MailError, Receipt};
use ordermill_ports::objects::ObjectError;
use ordermill_ports::payments::PaymentError;
use ordermill_ports::{Ledger, Mailer, Objects, Outcome, Payments, Queries, Random, Source, Submission, SubmitError};
use parking_lot::Mutex;
use serde_json::json;

/// Roles that a test runs.
pub const ROLES: [Role; 5] = [Role::Payments, Role::Inventory, Role::Notifications, Role::Archive, Role::Sweeper];

type Script = dyn Fn(&PaymentRequest, u32) -> Result<PaymentAnswer, PaymentError> + Send + Sync;

/// A provider that answers from a script: the request, and how often this key was asked before.
pub struct Provider {
    pub script: Box<Script>,
    pub asked: Mutex<BTreeMap<PaymentKey, u32>>,
    /// How long calls of orders paid by `slow` take.
    pub slow: Duration,
}

impl Provider {
    pub fn new(
        script: impl Fn(&PaymentRequest, u32) -> Result<PaymentAnswer, PaymentError> + Send + Sync + 'static,
    ) -> Self {
        Self { script: Box::new(script), asked: Mutex::default(), slow: Duration::from_secs(30) }
    }

    pub fn willing() -> Self {
        Self::new(|_, _| Ok(yes()))
    }
}

pub fn yes() -> PaymentAnswer {
    PaymentAnswer::Succeeded { provider_ref: ProviderRef::new("p-1").unwrap() }
}

#[async_trait]
impl Payments for Provider {
    async fn perform(&self, request: &PaymentRequest) -> Result<PaymentAnswer, PaymentError> {
        let before = {
            let mut asked = self.asked.lock();
            let count = asked.entry(request.key).or_default();
            *count += 1;
            *count - 1
        };
        if request.method.as_str() == "slow" {
            tokio::time::sleep(self.slow).await;
        }
        (self.script)(request, before)
    }

    async fn look_up(&self, _: &PaymentKey) -> Result<Option<PaymentAnswer>, PaymentError> {
        Ok(None)
    }
}

/// A mail store in memory that can be told to fail, and that counts its length as a mail file does.
#[derive(Default)]
pub struct Postbox {
    pub mails: Mutex<Vec<String>>,
    /// How many calls are still answered "not now".
    pub failures: AtomicU32,
    pub rolled_back: AtomicU32,
}

#[async_trait]
impl Mailer for Postbox {
    async fn deliver(&self, mails: &[Mail]) -> Vec<Result<Receipt, MailError>> {
        let failing =
            self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        let deliver = |mail: &Mail| {
            if failing {
                return Err(MailError::Unavailable("the postbox is full".to_owned()));
            }
            let mut stored = self.mails.lock();
            stored.push(mail.message_id.clone());
            Ok(Receipt { mailbox_end: Some(stored.len() as u64) })
        };
        mails.iter().map(deliver).collect()
    }

    async fn roll_back(&self, mailbox_end: Option<u64>) -> Result<(), MailError> {
        self.rolled_back.fetch_add(1, Ordering::SeqCst);
        self.mails.lock().truncate(usize::try_from(mailbox_end.unwrap_or(0)).unwrap());
        Ok(())
    }

    fn batch_max(&self) -> usize {
        64
    }

    fn is_exactly_once(&self) -> bool {
        true
    }
}

/// An object store in memory that counts its writes.
#[derive(Default)]
pub struct Shelf {
    pub objects: Mutex<BTreeMap<String, Bytes>>,
    pub writes: AtomicU32,
    pub failures: AtomicU32,
}

#[async_trait]
impl Objects for Shelf {
    async fn put(&self, objects: Vec<(String, Bytes)>) -> Vec<Result<(), ObjectError>> {
        let failing =
            self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        let put = |(key, bytes)| {
            if failing {
                return Err(ObjectError("the shelf is full".to_owned()));
            }
            self.writes.fetch_add(1, Ordering::SeqCst);
            self.objects.lock().insert(key, bytes);
            Ok(())
        };
        objects.into_iter().map(put).collect()
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, ObjectError> {
        Ok(self.objects.lock().get(key).cloned())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        Ok(self.objects.lock().keys().filter(|key| key.starts_with(prefix)).cloned().collect())
    }
}

/// A ledger whose commits of mail results can be made to fail.
pub struct Unreliable {
    pub inner: Arc<MemoryLedger>,
    /// How many such commits still fail.
    pub failures: AtomicU32,
    /// How many reservations still panic.
    pub panics: AtomicU32,
}

#[async_trait]
impl Ledger for Unreliable {
    async fn submit(&self, source: Source, submissions: Vec<Submission>) -> Vec<Result<Outcome, SubmitError>> {
        let is_mail = |entry: &Submission| matches!(entry.input.body, Body::MailResult { .. });
        let fail = submissions.iter().any(is_mail)
            && self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if fail {
            let lost = |_| Err(SubmitError::NotCommitted { reason: "the disk is full".to_owned() });
            return submissions.into_iter().map(lost).collect();
        }
        let is_reservation = |entry: &Submission| matches!(entry.input.body, Body::Reserve { .. });
        let panics = submissions.iter().any(is_reservation)
            && self.panics.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        assert!(!panics, "a defect of the ledger");
        self.inner.submit(source, submissions).await
    }

    async fn ready(&self) -> Result<(), String> {
        self.inner.ready().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

/// Everything together.
pub struct World {
    pub memory: Arc<MemoryLedger>,
    pub ledger: Arc<Unreliable>,
    pub provider: Arc<Provider>,
    pub postbox: Arc<Postbox>,
    pub shelf: Arc<Shelf>,
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
        let memory = MemoryLedger::new(policy, Arc::new(SystemClock), 10_000);
        let ledger =
            Arc::new(Unreliable { inner: Arc::clone(&memory), failures: AtomicU32::new(0), panics: AtomicU32::new(0) });
        let mut world = Self {
            memory,
            ledger,
            provider: Arc::new(provider),
            postbox: Arc::default(),
            shelf: Arc::default(),
            running: None,
        };
        world.put_product().await;
        world.running = Some(start(world.parts(), settings, &ROLES));
        world
    }

    fn parts(&self) -> Parts {
        Parts {
            ledger: Arc::clone(&self.ledger) as _,
            queries: Arc::clone(&self.memory) as _,
            bus: Arc::clone(&self.memory) as _,
            payments: Arc::clone(&self.provider) as _,
            mailer: Arc::clone(&self.postbox) as _,
            objects: Arc::clone(&self.shelf) as _,
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom::default()),
            templates: Arc::new(Templates::load(None).unwrap()),
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
        let draft: OrderDraft = serde_json::from_value(json!({
            "customer_id": "c",
            "customer_email": email,
            "payment_method": payment_method,
            "lines": [{ "product_id": "P1", "quantity": 1 }],
        }))
        .unwrap();
        let id = SystemRandom::default().order_id(ordermill_core::Timestamp::now());
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

    /// Waits until the order is as wanted.
    pub async fn wait_for(&self, id: OrderId, wanted: impl Fn(&Order) -> bool) -> Arc<Order> {
        let deadline = Instant::now() + Duration::from_secs(20);
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
