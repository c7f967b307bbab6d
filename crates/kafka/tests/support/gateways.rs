//! What a role needs that talks to nobody outside but the broker.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use ordermill_core::input::PaymentAnswer;
use ordermill_core::payment::{PaymentKey, PaymentRequest};
use ordermill_engine::{Parts, Templates};
use ordermill_ports::clock::{SystemClock, SystemRandom};
use ordermill_ports::mailer::{Mail, MailError, Mailer, Receipt};
use ordermill_ports::objects::{ObjectError, Objects};
use ordermill_ports::payments::{PaymentError, Payments};
use ordermill_ports::{Bus, Ledger, Publisher, Queries};

/// Whoever asks for anything is wrong.
struct Nobody;

#[async_trait]
impl Payments for Nobody {
    async fn perform(&self, request: &PaymentRequest) -> Result<PaymentAnswer, PaymentError> {
        panic!("the relay asks for no payment: {request:?}")
    }

    async fn look_up(&self, key: &PaymentKey) -> Result<Option<PaymentAnswer>, PaymentError> {
        panic!("the relay asks for no payment: {key:?}")
    }
}

#[async_trait]
impl Mailer for Nobody {
    async fn deliver(&self, mails: &[Mail]) -> Vec<Result<Receipt, MailError>> {
        panic!("the relay sends no mail: {}", mails.len())
    }

    fn batch_max(&self) -> usize {
        1
    }
}

#[async_trait]
impl Objects for Nobody {
    async fn put(&self, objects: Vec<(String, Bytes)>) -> Vec<Result<(), ObjectError>> {
        panic!("the relay writes no objects: {}", objects.len())
    }

    async fn create(&self, key: &str, _: Bytes) -> Result<bool, ObjectError> {
        panic!("the relay writes no objects: {key}")
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, ObjectError> {
        panic!("the relay reads no objects: {key}")
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        panic!("the relay reads no objects: {prefix}")
    }
}

/// What the relay works with.
pub fn parts<A: Ledger + Queries + Bus + 'static>(ledger: &Arc<A>, publisher: Arc<dyn Publisher>) -> Parts {
    Parts {
        ledger: Arc::clone(ledger) as _,
        queries: Arc::clone(ledger) as _,
        bus: Arc::clone(ledger) as _,
        payments: Arc::new(Nobody),
        mailer: Arc::new(Nobody),
        objects: Arc::new(Nobody),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom::default()),
        templates: Arc::new(Templates::load(None).expect("the templates of the program are sound")),
        publisher: Some(publisher),
    }
}
