//! A gateway that fails now and then, on purpose: for the demonstration's flaky provider, and for tests.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use ordermill_core::input::PaymentAnswer;
use ordermill_core::payment::{PaymentKey, PaymentRequest};

use crate::mailer::{Mail, MailError, Mailer, Receipt};
use crate::objects::{ObjectError, Objects};
use crate::payments::{PaymentError, Payments};

/// How often which fault happens, each a share of the calls in `0.0..=1.0`. At most one happens to a call; together they should
/// not exceed 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rates {
    /// Fails before anything is sent.
    pub fail_before: f64,
    /// Is carried out, but its answer gets lost.
    pub lose_answer: f64,
    /// Is carried out after a wait of `slow_for`.
    pub slow: f64,
    /// How long a slow call waits.
    pub slow_for: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    FailBefore,
    LoseAnswer,
    Slow,
}

/// Makes calls fail by chance, from a seed: the same seed and the same sequence of calls give the same faults.
///
/// - Payments: fails before as `Unavailable`, loses answers as `Timeout`. Look-ups fail before, or are slow.
/// - Mail: a whole batch fails before, or is slow. No answer gets lost, as a mailer that hands over exactly once relies on its
///   answers to be heard.
/// - Objects: all three; a lost answer is an error like the others.
pub struct Faulty<G: ?Sized> {
    inner: Arc<G>,
    seed: u64,
    rates: Rates,
    calls: AtomicU64,
}

impl<G: ?Sized> Faulty<G> {
    /// Puts faults in front of `inner`.
    #[must_use]
    pub const fn new(inner: Arc<G>, seed: u64, rates: Rates) -> Self {
        Self { inner, seed, rates, calls: AtomicU64::new(0) }
    }

    fn fault(&self) -> Fault {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let roll = unit(mixed(self.seed ^ mixed(call)));
        let Rates { fail_before, lose_answer, slow, .. } = self.rates;
        if roll < fail_before {
            Fault::FailBefore
        } else if roll < fail_before + lose_answer {
            Fault::LoseAnswer
        } else if roll < fail_before + lose_answer + slow {
            Fault::Slow
        } else {
            Fault::None
        }
    }

    async fn wait_if(&self, fault: Fault) {
        if fault == Fault::Slow {
            tokio::time::sleep(self.rates.slow_for).await;
        }
    }
}

/// The output function of SplitMix64 (Steele, Lea and Flood, 2014): every bit of the result depends on every bit of the number.
const fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// The upper 53 bits as a number in `0.0..1.0`.
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

impl<G: ?Sized> fmt::Debug for Faulty<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty").field("seed", &self.seed).field("rates", &self.rates).finish_non_exhaustive()
    }
}

const PROBLEM: &str = "a fault on purpose";

#[async_trait]
impl Payments for Faulty<dyn Payments> {
    async fn perform(&self, request: &PaymentRequest) -> Result<PaymentAnswer, PaymentError> {
        let fault = self.fault();
        if fault == Fault::FailBefore {
            return Err(PaymentError::Unavailable(PROBLEM.to_owned()));
        }
        self.wait_if(fault).await;
        let result = self.inner.perform(request).await;
        if fault == Fault::LoseAnswer { Err(PaymentError::Timeout) } else { result }
    }

    async fn look_up(&self, key: &PaymentKey) -> Result<Option<PaymentAnswer>, PaymentError> {
        let fault = self.fault();
        if fault == Fault::FailBefore {
            return Err(PaymentError::Unavailable(PROBLEM.to_owned()));
        }
        self.wait_if(fault).await;
        self.inner.look_up(key).await
    }
}

#[async_trait]
impl Mailer for Faulty<dyn Mailer> {
    async fn deliver(&self, mails: &[Mail]) -> Vec<Result<Receipt, MailError>> {
        let fault = self.fault();
        if fault == Fault::FailBefore {
            return vec![Err(MailError::Unavailable(PROBLEM.to_owned())); mails.len()];
        }
        self.wait_if(fault).await;
        self.inner.deliver(mails).await
    }

    async fn roll_back(&self, mailbox_end: Option<u64>) -> Result<(), MailError> {
        self.inner.roll_back(mailbox_end).await
    }

    fn batch_max(&self) -> usize {
        self.inner.batch_max()
    }

    fn is_exactly_once(&self) -> bool {
        self.inner.is_exactly_once()
    }
}

#[async_trait]
impl Objects for Faulty<dyn Objects> {
    async fn put(&self, objects: Vec<(String, Bytes)>) -> Vec<Result<(), ObjectError>> {
        let (fault, count) = (self.fault(), objects.len());
        let failed = || vec![Err(ObjectError(PROBLEM.to_owned())); count];
        if fault == Fault::FailBefore {
            return failed();
        }
        self.wait_if(fault).await;
        let results = self.inner.put(objects).await;
        if fault == Fault::LoseAnswer { failed() } else { results }
    }

    async fn create(&self, key: &str, data: Bytes) -> Result<bool, ObjectError> {
        let (fault, failed) = (self.fault(), || Err(ObjectError(PROBLEM.to_owned())));
        if fault == Fault::FailBefore {
            return failed();
        }
        self.wait_if(fault).await;
        let created = self.inner.create(key, data).await;
        if fault == Fault::LoseAnswer { failed() } else { created }
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, ObjectError> {
        self.read(self.inner.get(key)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        self.read(self.inner.list(prefix)).await
    }
}

impl Faulty<dyn Objects> {
    async fn read<T>(&self, call: impl Future<Output = Result<T, ObjectError>> + Send) -> Result<T, ObjectError> {
        let fault = self.fault();
        if matches!(fault, Fault::FailBefore | Fault::LoseAnswer) {
            return Err(ObjectError(PROBLEM.to_owned()));
        }
        self.wait_if(fault).await;
        call.await
    }
}

#[cfg(test)]
pub(crate) mod tests;
