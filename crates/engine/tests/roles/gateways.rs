//! Gateways, a ledger, a bus and a clock that do as a test tells them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use ordermill_core::Timestamp;
use ordermill_core::id::ProviderRef;
use ordermill_core::input::{Body, PaymentAnswer};
use ordermill_core::payment::{PaymentKey, PaymentRequest};
use ordermill_core::process::Role;
use ordermill_embedded::memory::MemoryLedger;
use ordermill_ports::bus::{BusError, DeadLetter, Lag};
use ordermill_ports::clock::SystemClock;
use ordermill_ports::mailer::{Mail, MailError, Receipt};
use ordermill_ports::objects::ObjectError;
use ordermill_ports::payments::PaymentError;
use ordermill_ports::{
    Bus, Clock, Delivery, Ledger, Mailer, Objects, Outcome, Payments, Source, Submission, SubmitError,
};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::world::SOON;

type Script = dyn Fn(&PaymentRequest, u32) -> Result<PaymentAnswer, PaymentError> + Send + Sync;

/// A provider that answers from a script: the request, and how often this key was asked before.
pub struct Provider {
    pub script: Box<Script>,
    pub asked: Mutex<BTreeMap<PaymentKey, u32>>,
    /// How long calls of orders paid by `slow` take.
    pub slow: Duration,
    /// How many calls are under way under keys that were asked before, and the most that there were.
    pub asking_again: AtomicU32,
    pub asking_again_most: AtomicU32,
}

impl Provider {
    pub fn new(
        script: impl Fn(&PaymentRequest, u32) -> Result<PaymentAnswer, PaymentError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            script: Box::new(script),
            asked: Mutex::default(),
            slow: Duration::from_secs(30),
            asking_again: AtomicU32::default(),
            asking_again_most: AtomicU32::default(),
        }
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
        if before > 0 {
            let under_way = self.asking_again.fetch_add(1, Ordering::SeqCst) + 1;
            self.asking_again_most.fetch_max(under_way, Ordering::SeqCst);
        }
        if request.method.as_str() == "slow" {
            tokio::time::sleep(self.slow).await;
        }
        if before > 0 {
            self.asking_again.fetch_sub(1, Ordering::SeqCst);
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
    /// How many mails it takes at once, if not as few as usual.
    pub large_batches: AtomicBool,
}

#[async_trait]
impl Mailer for Postbox {
    async fn deliver(&self, mails: &[Mail]) -> Vec<Result<Receipt, MailError>> {
        let failing = count_down(&self.failures);
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
        if self.large_batches.load(Ordering::SeqCst) { 10_000 } else { 64 }
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
    /// How many calls still fail.
    pub failures: AtomicU32,
    /// How many calls still panic.
    pub panics: AtomicU32,
    /// How long a call takes, in milliseconds.
    pub delay_ms: AtomicU64,
    /// How many calls have begun.
    pub begun: AtomicU32,
}

#[async_trait]
impl Objects for Shelf {
    async fn put(&self, objects: Vec<(String, Bytes)>) -> Vec<Result<(), ObjectError>> {
        assert!(!count_down(&self.panics), "a defect of the shelf");
        self.begun.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(self.delay_ms.load(Ordering::SeqCst))).await;
        let failing = count_down(&self.failures);
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

    async fn create(&self, key: &str, data: Bytes) -> Result<bool, ObjectError> {
        assert!(!count_down(&self.panics), "a defect of the shelf");
        self.begun.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(self.delay_ms.load(Ordering::SeqCst))).await;
        if count_down(&self.failures) {
            return Err(ObjectError("the shelf is full".to_owned()));
        }
        let mut objects = self.objects.lock();
        let Entry::Vacant(place) = objects.entry(key.to_owned()) else { return Ok(false) };
        place.insert(data);
        self.writes.fetch_add(1, Ordering::SeqCst);
        Ok(true)
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, ObjectError> {
        Ok(self.objects.lock().get(key).cloned())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        Ok(self.objects.lock().keys().filter(|key| key.starts_with(prefix)).cloned().collect())
    }
}

/// A shelf whose writes come late: they wait until they are let through.
pub struct Late {
    pub shelf: Arc<Shelf>,
    pub gate: Semaphore,
    /// How many writes have come to the gate.
    pub writes: AtomicU32,
}

impl Late {
    pub fn over(shelf: &Arc<Shelf>) -> Arc<Self> {
        Arc::new(Self { shelf: Arc::clone(shelf), gate: Semaphore::new(0), writes: AtomicU32::new(0) })
    }

    async fn pass(&self) {
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
    }

    /// Waits until a write has come to the gate.
    pub async fn is_reached(&self) {
        let deadline = Instant::now() + SOON;
        while self.writes.load(Ordering::SeqCst) == 0 {
            assert!(Instant::now() < deadline, "nothing is written");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[async_trait]
impl Objects for Late {
    async fn put(&self, objects: Vec<(String, Bytes)>) -> Vec<Result<(), ObjectError>> {
        self.pass().await;
        self.shelf.put(objects).await
    }

    async fn create(&self, key: &str, data: Bytes) -> Result<bool, ObjectError> {
        self.pass().await;
        self.shelf.create(key, data).await
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, ObjectError> {
        self.shelf.get(key).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        self.shelf.list(prefix).await
    }
}

/// Counts one down; `false` when there is none left.
fn count_down(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

/// A ledger whose commits of some results can be made to fail.
pub struct Unreliable {
    pub inner: Arc<MemoryLedger>,
    /// How many commits with results of mails still fail.
    pub failures: AtomicU32,
    /// Whether they fail as those do that find no connection free.
    pub is_overloaded: AtomicBool,
    /// How many commits with moves of parcels still fail.
    pub move_failures: AtomicU32,
    /// How many commits with news of stored records still fail.
    pub record_failures: AtomicU32,
    /// How many reservations still panic.
    pub panics: AtomicU32,
}

impl Unreliable {
    pub fn over(inner: Arc<MemoryLedger>) -> Self {
        let none = || AtomicU32::new(0);
        Self {
            inner,
            failures: none(),
            is_overloaded: AtomicBool::default(),
            move_failures: none(),
            record_failures: none(),
            panics: none(),
        }
    }

    fn fails(&self, body: &Body) -> bool {
        match body {
            Body::MailResult { .. } => count_down(&self.failures),
            Body::ParcelMoved { .. } => count_down(&self.move_failures),
            Body::RecordStored { .. } => count_down(&self.record_failures),
            _ => false,
        }
    }
}

#[async_trait]
impl Ledger for Unreliable {
    async fn submit(&self, source: Source, submissions: Vec<Submission>) -> Vec<Result<Outcome, SubmitError>> {
        // The first result that fails takes its whole commit with it.
        if submissions.iter().any(|entry| self.fails(&entry.input.body)) {
            let lost = |_| match self.is_overloaded.load(Ordering::SeqCst) {
                true => Err(SubmitError::Overloaded { retry_after: Duration::from_secs(1) }),
                false => Err(SubmitError::NotCommitted { reason: "the disk is full".to_owned() }),
            };
            return submissions.into_iter().map(lost).collect();
        }
        let is_reservation = |entry: &Submission| matches!(entry.input.body, Body::Reserve { .. });
        let panics = submissions.iter().any(is_reservation) && count_down(&self.panics);
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

/// The machine's clock, some time ahead.
#[derive(Default)]
pub struct Ahead(AtomicU64);

impl Ahead {
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now() + Duration::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// A bus that hands out everything twice, and the newest first.
pub struct Shuffled(pub Arc<MemoryLedger>);

#[async_trait]
impl Bus for Shuffled {
    async fn receive(&self, role: Role, max: usize) -> Result<Vec<Delivery>, BusError> {
        let deliveries = self.0.receive(role, max).await?;
        Ok(deliveries.iter().chain(&deliveries).rev().cloned().collect())
    }

    async fn give_back(&self, deliveries: Vec<Delivery>) {
        self.0.give_back(deliveries).await;
    }

    async fn reclaim(&self, role: Role) {
        self.0.reclaim(role).await;
    }

    async fn dead_letters(&self, after: Option<u64>, limit: usize) -> Result<Vec<DeadLetter>, BusError> {
        self.0.dead_letters(after, limit).await
    }

    async fn redrive(&self, ids: &[u64]) -> Result<Vec<u64>, BusError> {
        self.0.redrive(ids).await
    }

    async fn lag(&self, role: Role) -> Result<Lag, BusError> {
        self.0.lag(role).await
    }
}

/// A bus that panics the first time it is asked how far a role is behind.
pub struct Startled {
    pub inner: Arc<MemoryLedger>,
    /// How often it was asked.
    pub asked: AtomicU32,
}

#[async_trait]
impl Bus for Startled {
    async fn receive(&self, role: Role, max: usize) -> Result<Vec<Delivery>, BusError> {
        self.inner.receive(role, max).await
    }

    async fn give_back(&self, deliveries: Vec<Delivery>) {
        self.inner.give_back(deliveries).await;
    }

    async fn reclaim(&self, role: Role) {
        self.inner.reclaim(role).await;
    }

    async fn dead_letters(&self, after: Option<u64>, limit: usize) -> Result<Vec<DeadLetter>, BusError> {
        self.inner.dead_letters(after, limit).await
    }

    async fn redrive(&self, ids: &[u64]) -> Result<Vec<u64>, BusError> {
        self.inner.redrive(ids).await
    }

    async fn lag(&self, role: Role) -> Result<Lag, BusError> {
        assert!(self.asked.fetch_add(1, Ordering::SeqCst) > 0, "a defect of the bus");
        self.inner.lag(role).await
    }
}
