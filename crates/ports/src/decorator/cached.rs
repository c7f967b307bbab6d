//! Keeps secrets for a while, so that a request does not have to wait for the place they come from.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ordermill_core::secret::SecretRef;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::secrets::{Revealed, SecretError, Secrets};

/// How long a failure is repeated before the source is asked again: many callers at once are one question to it.
const FAILURE_PAUSE: Duration = Duration::from_millis(500);

/// Asks for each secret once in a while. In the second half of its time a secret is read anew by one caller while the others go on
/// with what is known, so that a source that is away for a moment is not noticed. When its time is over and it cannot be read, it
/// counts no more: what was changed or withdrawn must not be taken for ever.
pub struct Cached<S: ?Sized> {
    inner: Arc<S>,
    refresh: Duration,
    entries: Mutex<BTreeMap<SecretRef, Arc<Entry>>>,
}

/// One secret. There are as many as the configuration names, so they are kept for good.
#[derive(Default)]
struct Entry {
    /// The newest answer of the source, and when it came.
    known: Mutex<Option<(Instant, Result<Revealed, SecretError>)>>,
    /// Held by who asks the source.
    asking: tokio::sync::Mutex<()>,
}

/// What is known, for a caller.
enum Known {
    /// To be used as it is.
    Fresh(Result<Revealed, SecretError>),
    /// To be used, and read anew by whoever comes first.
    Ageing(Revealed),
    /// Nothing that counts.
    Nothing,
}

impl<S: ?Sized> Cached<S> {
    /// Keeps what `inner` gives for `refresh` at the most.
    #[must_use]
    pub fn new(inner: Arc<S>, refresh: Duration) -> Self {
        Self { inner, refresh, entries: Mutex::default() }
    }

    fn known(&self, entry: &Entry) -> Known {
        let known = entry.known.lock();
        let Some((at, answer)) = &*known else { return Known::Nothing };
        let age = at.elapsed();
        match answer {
            Err(_) if age < self.refresh.min(FAILURE_PAUSE) => Known::Fresh(answer.clone()),
            Ok(_) if age < self.refresh / 2 => Known::Fresh(answer.clone()),
            Ok(secret) if age < self.refresh => Known::Ageing(secret.clone()),
            _ => Known::Nothing,
        }
    }
}

impl<S: ?Sized> fmt::Debug for Cached<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached").field("refresh", &self.refresh).finish_non_exhaustive()
    }
}

impl Cached<dyn Secrets> {
    /// Asks the source and keeps its answer. The time counts from the question on: what was changed meanwhile is found in time.
    async fn ask(&self, reference: &SecretRef, entry: &Entry) -> Result<Revealed, SecretError> {
        let at = Instant::now();
        let answer = self.inner.reveal(reference).await;
        *entry.known.lock() = Some((at, answer.clone()));
        answer
    }

    /// Asks again before the time is over. A failure leaves what is known as it is.
    async fn renew(&self, reference: &SecretRef, entry: &Entry, present: Revealed) -> Revealed {
        let Ok(_asking) = entry.asking.try_lock() else { return present };
        let at = Instant::now();
        match self.inner.reveal(reference).await {
            Ok(secret) => {
                *entry.known.lock() = Some((at, Ok(secret.clone())));
                secret
            }
            Err(error) => {
                tracing::warn!(%error, "secret could not be read again; it counts for the rest of its time");
                present
            }
        }
    }
}

#[async_trait]
impl Secrets for Cached<dyn Secrets> {
    async fn reveal(&self, reference: &SecretRef) -> Result<Revealed, SecretError> {
        let entry = Arc::clone(self.entries.lock().entry(reference.clone()).or_default());
        match self.known(&entry) {
            Known::Fresh(answer) => return answer,
            Known::Ageing(present) => return Ok(self.renew(reference, &entry, present).await),
            Known::Nothing => {}
        }
        let _asking = entry.asking.lock().await;
        // Whoever was first may have the answer by now.
        match self.known(&entry) {
            Known::Fresh(answer) => answer,
            Known::Ageing(present) => Ok(present),
            Known::Nothing => self.ask(reference, &entry).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const REFRESH: Duration = Duration::from_secs(60);

    /// Gives what it is told to, and counts.
    #[derive(Default)]
    struct Source {
        secret: Mutex<Option<&'static str>>,
        asked: AtomicUsize,
    }

    #[async_trait]
    impl Secrets for Source {
        async fn reveal(&self, reference: &SecretRef) -> Result<Revealed, SecretError> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(10)).await;
            let secret = *self.secret.lock();
            Revealed::new(reference, secret.ok_or_else(|| SecretError::new(reference, "the source is away"))?)
        }
    }

    fn cached() -> (Arc<Source>, Cached<dyn Secrets>) {
        let source = Arc::new(Source::default());
        *source.secret.lock() = Some("one");
        let inner: Arc<dyn Secrets> = Arc::<Source>::clone(&source);
        (source, Cached::new(inner, REFRESH))
    }

    async fn reveal(cached: &Cached<dyn Secrets>) -> Option<String> {
        let reference = SecretRef::Env("TOKEN".to_owned());
        cached.reveal(&reference).await.ok().map(|secret| secret.expose().to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn many_callers_are_one_question() {
        let (source, cached) = cached();
        let answers = futures_util::future::join_all((0..20).map(|_| reveal(&cached))).await;
        assert!(answers.iter().all(|answer| answer.as_deref() == Some("one")));
        tokio::time::advance(REFRESH / 3).await;
        assert_eq!(reveal(&cached).await.as_deref(), Some("one"));
        assert_eq!(source.asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_seen_when_the_time_is_half_over() {
        let (source, cached) = cached();
        reveal(&cached).await;
        *source.secret.lock() = Some("two");
        assert_eq!(reveal(&cached).await.as_deref(), Some("one"));
        tokio::time::advance(REFRESH / 2).await;
        assert_eq!(reveal(&cached).await.as_deref(), Some("two"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_is_away_is_not_noticed_until_the_time_is_over() {
        let (source, cached) = cached();
        reveal(&cached).await;
        *source.secret.lock() = None;
        tokio::time::advance(REFRESH - Duration::from_secs(1)).await;
        assert_eq!(reveal(&cached).await.as_deref(), Some("one"));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(reveal(&cached).await, None, "it counts no more");
        let asked = source.asked.load(Ordering::Relaxed);
        assert_eq!(reveal(&cached).await, None);
        assert_eq!(source.asked.load(Ordering::Relaxed), asked, "a failure is not asked for again at once");
        *source.secret.lock() = Some("two");
        tokio::time::advance(FAILURE_PAUSE).await;
        assert_eq!(reveal(&cached).await.as_deref(), Some("two"));
    }
}
