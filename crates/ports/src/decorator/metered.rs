//! Counts calls, measures how long they take, and says in the log when they begin to fail and when they work again.

mod trouble;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use metrics::{Counter, Histogram};
use ordermill_core::input::PaymentAnswer;
use ordermill_core::payment::{OperationKind, PaymentKey, PaymentRequest};

use self::trouble::Trouble;
use crate::mailer::{Mail, MailError, Mailer, Receipt};
use crate::objects::{ObjectError, Objects};
use crate::payments::{PaymentError, Payments};

/// Calls to a gateway, by `gateway`, `operation` and `result`. Mails and objects that go in batches are counted one by one.
pub const CALLS_TOTAL: &str = "ordermill_gateway_calls_total";

/// How long calls to a gateway take, in seconds, by `gateway`, `operation` and `result`; a batch is one call.
pub const CALL_SECONDS: &str = "ordermill_gateway_call_seconds";

/// One operation of a gateway: its counters and histograms, in the order of the results they are for.
struct Meter {
    results: Vec<(Counter, Histogram)>,
}

impl Meter {
    fn new(gateway: &'static str, operation: &'static str, results: &[&'static str]) -> Self {
        let handles = |result: &&'static str| {
            let labels = [("gateway", gateway), ("operation", operation), ("result", *result)];
            (metrics::counter!(CALLS_TOTAL, &labels), metrics::histogram!(CALL_SECONDS, &labels))
        };
        Self { results: results.iter().map(handles).collect() }
    }

    fn count(&self, result: usize) {
        self.results[result].0.increment(1);
    }

    fn time(&self, result: usize, begun: Instant) {
        self.results[result].1.record(begun.elapsed());
    }

    fn record(&self, result: usize, begun: Instant) {
        self.count(result);
        self.time(result, begun);
    }
}

/// Measures a gateway under [`CALLS_TOTAL`] and [`CALL_SECONDS`], and says once in the log, with the reason, that it fails, and once that it
/// works again.
///
/// The handles are made once, so a recorder has to be installed before. Time is taken from the machine, not from the clock of the
/// process: it is a measurement, and no decision follows from it.
pub struct Metered<G: ?Sized> {
    inner: Arc<G>,
    meters: Vec<Meter>,
    /// One for each operation that may fail while the others work.
    troubles: Vec<Trouble>,
}

impl<G: ?Sized> fmt::Debug for Metered<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metered").finish_non_exhaustive()
    }
}

/// Single calls of a payment provider fail now and then, also to be tried on purpose: so many in a row mean something.
const PAYMENTS_TOLERANCE: u64 = 5;

const PAYMENT_OPERATIONS: [OperationKind; 4] =
    [OperationKind::Authorize, OperationKind::Capture, OperationKind::Void, OperationKind::Refund];
const LOOK_UP: usize = PAYMENT_OPERATIONS.len();
const PAYMENT_RESULTS: [&str; 6] = ["succeeded", "refused", "not_found", "timeout", "unavailable", "breaker_open"];

impl Metered<dyn Payments> {
    /// Measures a payment provider, as the gateway `payments`.
    #[must_use]
    pub fn payments(inner: Arc<dyn Payments>) -> Self {
        let operations = PAYMENT_OPERATIONS.map(OperationKind::as_str).into_iter().chain(["look_up"]);
        let meters = operations.map(|operation| Meter::new("payments", operation, &PAYMENT_RESULTS));
        Self { inner, meters: meters.collect(), troubles: vec![Trouble::new("payments", None, PAYMENTS_TOLERANCE)] }
    }

    fn judge(&self, error: Option<&PaymentError>) {
        match error {
            None => self.troubles[0].worked(),
            Some(error @ (PaymentError::Unavailable(_) | PaymentError::Timeout)) => self.troubles[0].failed(1, error),
            // Nobody was asked; the breaker has told why.
            Some(PaymentError::BreakerOpen) => {}
        }
    }
}

fn payment_result(result: Result<Option<&PaymentAnswer>, &PaymentError>) -> usize {
    match result {
        Ok(Some(PaymentAnswer::Succeeded { .. })) => 0,
        Ok(Some(PaymentAnswer::Refused { .. })) => 1,
        Ok(None) => 2,
        Ok(Some(PaymentAnswer::Unknown)) | Err(PaymentError::Timeout) => 3,
        Err(PaymentError::Unavailable(_)) => 4,
        Err(PaymentError::BreakerOpen) => 5,
    }
}

#[async_trait]
impl Payments for Metered<dyn Payments> {
    async fn perform(&self, request: &PaymentRequest) -> Result<PaymentAnswer, PaymentError> {
        let begun = Instant::now();
        let result = self.inner.perform(request).await;
        let operation = match request.key.operation.kind {
            OperationKind::Authorize => 0,
            OperationKind::Capture => 1,
            OperationKind::Void => 2,
            OperationKind::Refund => 3,
        };
        self.meters[operation].record(payment_result(result.as_ref().map(Some)), begun);
        self.judge(result.as_ref().err());
        result
    }

    async fn look_up(&self, key: &PaymentKey) -> Result<Option<PaymentAnswer>, PaymentError> {
        let begun = Instant::now();
        let result = self.inner.look_up(key).await;
        self.meters[LOOK_UP].record(payment_result(result.as_ref().map(Option::as_ref)), begun);
        self.judge(result.as_ref().err());
        result
    }
}

const MAIL_RESULTS: [&str; 3] = ["delivered", "refused", "unavailable"];

impl Metered<dyn Mailer> {
    /// Measures a mailer, as the gateway `mail`.
    #[must_use]
    pub fn mailer(inner: Arc<dyn Mailer>) -> Self {
        let meters = vec![Meter::new("mail", "deliver", &MAIL_RESULTS)];
        Self { inner, meters, troubles: vec![Trouble::new("mail", Some("deliver"), 1)] }
    }
}

#[async_trait]
impl Mailer for Metered<dyn Mailer> {
    /// The time of a batch goes to its worst result.
    async fn deliver(&self, mails: &[Mail]) -> Vec<Result<Receipt, MailError>> {
        let begun = Instant::now();
        let results = self.inner.deliver(mails).await;
        let meter = &self.meters[0];
        let mut worst = 0;
        let mut unavailable = Vec::new();
        for result in &results {
            let result = match result {
                Ok(_) => 0,
                // Speaks of the mail, not of the gateway.
                Err(MailError::Refused(_)) => 1,
                Err(error @ MailError::Unavailable(_)) => {
                    unavailable.push(error);
                    2
                }
            };
            meter.count(result);
            worst = worst.max(result);
        }
        if !results.is_empty() {
            meter.time(worst, begun);
            self.troubles[0].judge(&unavailable);
        }
        results
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

const OBJECT_RESULTS: [&str; 3] = ["done", "not_found", "failed"];

impl Metered<dyn Objects> {
    /// Measures an object store, as the gateway `objects`.
    #[must_use]
    pub fn objects(inner: Arc<dyn Objects>) -> Self {
        let operations = ["put", "get", "list"];
        let meters = operations.map(|operation| Meter::new("objects", operation, &OBJECT_RESULTS));
        let troubles = operations.map(|operation| Trouble::new("objects", Some(operation), 1));
        Self { inner, meters: meters.into(), troubles: troubles.into() }
    }
}

#[async_trait]
impl Objects for Metered<dyn Objects> {
    /// The time of a batch goes to its worst result.
    async fn put(&self, objects: Vec<(String, Bytes)>) -> Vec<Result<(), ObjectError>> {
        let begun = Instant::now();
        let results = self.inner.put(objects).await;
        let result = |failed| if failed { 2 } else { 0 };
        results.iter().for_each(|written| self.meters[0].count(result(written.is_err())));
        if !results.is_empty() {
            let errors: Vec<_> = results.iter().filter_map(|written| written.as_ref().err()).collect();
            self.meters[0].time(result(!errors.is_empty()), begun);
            self.troubles[0].judge(&errors);
        }
        results
    }

    /// Counts as a write, also where another is there already.
    async fn create(&self, key: &str, data: Bytes) -> Result<bool, ObjectError> {
        let begun = Instant::now();
        let created = self.inner.create(key, data).await;
        self.meters[0].record(if created.is_ok() { 0 } else { 2 }, begun);
        self.troubles[0].judge(created.as_ref().err().as_slice());
        created
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, ObjectError> {
        let begun = Instant::now();
        let found = self.inner.get(key).await;
        let result = match &found {
            Ok(Some(_)) => 0,
            Ok(None) => 1,
            Err(_) => 2,
        };
        self.meters[1].record(result, begun);
        self.troubles[1].judge(found.as_ref().err().as_slice());
        found
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        let begun = Instant::now();
        let found = self.inner.list(prefix).await;
        self.meters[2].record(if found.is_ok() { 0 } else { 2 }, begun);
        self.troubles[2].judge(found.as_ref().err().as_slice());
        found
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
