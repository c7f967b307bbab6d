//! A limit on how long a call may take.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use ordermill_core::input::PaymentAnswer;
use ordermill_core::payment::{PaymentKey, PaymentRequest};

use crate::objects::{ObjectError, Objects};
use crate::payments::{PaymentError, Payments};

/// Gives up waiting after a while. What was asked may be carried out all the same: that is what [`PaymentError::Timeout`] says.
///
/// Not for mailers: one that hands over a batch exactly once must be waited for, and one that talks to a server knows better than
/// a wrapper which mails of a batch the server took before time was over.
pub struct Timeout<G: ?Sized> {
    inner: Arc<G>,
    limit: Duration,
}

impl<G: ?Sized> Timeout<G> {
    /// Limits every call to `inner`. The limit should be longer than the provider's own, so that its answer is heard.
    #[must_use]
    pub const fn new(inner: Arc<G>, limit: Duration) -> Self {
        Self { inner, limit }
    }
}

impl<G: ?Sized> fmt::Debug for Timeout<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeout").field("limit", &self.limit).finish_non_exhaustive()
    }
}

#[async_trait]
impl Payments for Timeout<dyn Payments> {
    async fn perform(&self, request: &PaymentRequest) -> Result<PaymentAnswer, PaymentError> {
        limited(self.limit, self.inner.perform(request)).await.unwrap_or(Err(PaymentError::Timeout))
    }

    async fn look_up(&self, key: &PaymentKey) -> Result<Option<PaymentAnswer>, PaymentError> {
        limited(self.limit, self.inner.look_up(key)).await.unwrap_or(Err(PaymentError::Timeout))
    }
}

#[async_trait]
impl Objects for Timeout<dyn Objects> {
    /// Writing an object again replaces it, so one that was written after the time was over does no harm.
    async fn put(&self, objects: Vec<(String, Bytes)>) -> Vec<Result<(), ObjectError>> {
        let count = objects.len();
        let results = limited(self.limit, self.inner.put(objects)).await;
        results.unwrap_or_else(|| vec![Err(self.over()); count])
    }

    /// An object that was created after the time was over is found when it is created again.
    async fn create(&self, key: &str, data: Bytes) -> Result<bool, ObjectError> {
        limited(self.limit, self.inner.create(key, data)).await.unwrap_or_else(|| Err(self.over()))
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, ObjectError> {
        limited(self.limit, self.inner.get(key)).await.unwrap_or_else(|| Err(self.over()))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        limited(self.limit, self.inner.list(prefix)).await.unwrap_or_else(|| Err(self.over()))
    }
}

impl Timeout<dyn Objects> {
    fn over(&self) -> ObjectError {
        ObjectError(format!("no answer within {} ms", self.limit.as_millis()))
    }
}

async fn limited<F: Future>(limit: Duration, call: F) -> Option<F::Output> {
    tokio::time::timeout(limit, call).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decorator::faulty::tests::{Provider, request};

    #[tokio::test(start_paused = true)]
    async fn an_answer_in_time_is_heard_and_a_late_one_is_a_timeout() {
        for (wait_ms, expected) in [(99, true), (101, false)] {
            let inner: Arc<dyn Payments> = Arc::new(Provider::slow(Duration::from_millis(wait_ms)));
            let limited = Timeout::new(inner, Duration::from_millis(100));
            assert_eq!(limited.perform(&request(1)).await.is_ok(), expected);
            assert_eq!(limited.look_up(&request(1).key).await.is_ok(), expected);
        }
    }
}
