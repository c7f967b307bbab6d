//! A ledger that fails when told to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ordermill_ports::{Ledger, Outcome, Source, Submission, SubmitError};

const A_WHILE: Duration = Duration::from_millis(20);

/// What it does instead of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    NotCommitted,
    Overloaded,
    Closing,
    Panic,
    /// Carries it out after a while, if it is waited for so long.
    Slow,
    /// Panics after a while.
    SlowPanic,
    /// Carries it out and never answers.
    Silent,
    /// Carries it out once without knowing it, and works from then on.
    LostOnce,
}

pub struct FaultyLedger {
    inner: Arc<dyn Ledger>,
    fault: Mutex<Option<Fault>>,
}

impl FaultyLedger {
    pub fn new(inner: Arc<dyn Ledger>) -> Self {
        Self { inner, fault: Mutex::new(None) }
    }

    pub fn set(&self, fault: Option<Fault>) {
        *self.fault.lock().unwrap() = fault;
    }

    fn fault(&self) -> Option<Fault> {
        *self.fault.lock().unwrap()
    }
}

#[async_trait]
impl Ledger for FaultyLedger {
    async fn submit(&self, source: Source, submissions: Vec<Submission>) -> Vec<Result<Outcome, SubmitError>> {
        let reason = || "the disk at /secret/path is full".to_owned();
        let each = |error: SubmitError| submissions.iter().map(|_| Err(error.clone())).collect();
        match self.fault() {
            None => self.inner.submit(source, submissions).await,
            Some(Fault::NotCommitted) => each(SubmitError::NotCommitted { reason: reason() }),
            Some(Fault::Overloaded) => each(SubmitError::Overloaded { retry_after: Duration::from_millis(1_500) }),
            Some(Fault::Closing) => each(SubmitError::Closing),
            Some(Fault::Panic) => panic!("the secret is 42"),
            Some(Fault::Slow) => {
                tokio::time::sleep(A_WHILE).await;
                self.inner.submit(source, submissions).await
            }
            Some(Fault::SlowPanic) => {
                tokio::time::sleep(A_WHILE).await;
                panic!("the secret is 42")
            }
            Some(Fault::Silent) => {
                self.inner.submit(source, submissions).await;
                std::future::pending().await
            }
            Some(Fault::LostOnce) => {
                self.set(None);
                self.inner.submit(source, submissions.clone()).await;
                each(SubmitError::Unknown { reason: reason() })
            }
        }
    }

    async fn ready(&self) -> Result<(), String> {
        match self.fault() {
            None => self.inner.ready().await,
            Some(_) => Err("the disk at /secret/path is full".to_owned()),
        }
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
