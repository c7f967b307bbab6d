//! The ledger in front of which a broker carries the events: it knows which settlements still count.

use std::sync::Arc;

use async_trait::async_trait;
use ordermill_ports::ledger::{Outcome, Source, Submission, SubmitError};
use ordermill_ports::{Ledger, Settlement};

use crate::bus::KafkaBus;
use crate::seat::Claim;

/// A ledger with a [`KafkaBus`] before it. What is submitted goes through; a settlement goes with it only as long as its delivery is
/// handed out by this process. Its offset moves behind the commit.
pub struct KafkaLedger {
    inner: Arc<dyn Ledger>,
    bus: Arc<KafkaBus>,
}

/// Settlements that are on their way. Dropped with the call, whose caller went away, they can be settled again.
struct UnderWay {
    bus: Arc<KafkaBus>,
    claimed: Vec<Option<(Settlement, Claim)>>,
}

impl UnderWay {
    fn resolve(&mut self, index: usize, is_committed: bool) {
        if let Some((settlement, claim)) = self.claimed[index].take() {
            self.bus.resolve(&settlement, claim, is_committed);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        for index in 0..self.claimed.len() {
            self.resolve(index, false);
        }
    }
}

impl KafkaLedger {
    /// Puts the bus before the ledger it was opened with.
    #[must_use]
    pub fn new(inner: Arc<dyn Ledger>, bus: Arc<KafkaBus>) -> Arc<Self> {
        Arc::new(Self { inner, bus })
    }

    /// Takes settlements off that do not count. What they came with is taken all the same.
    fn claim(&self, submissions: &mut [Submission]) -> UnderWay {
        let claim = |submission: &mut Submission| {
            let settlement = submission.settles.as_ref()?;
            let claim = self.bus.claim(&settlement.delivery);
            if claim == Claim::Void {
                submission.settles = None;
                return None;
            }
            Some((settlement.clone(), claim))
        };
        UnderWay { bus: Arc::clone(&self.bus), claimed: submissions.iter_mut().map(claim).collect() }
    }
}

#[async_trait]
impl Ledger for KafkaLedger {
    async fn submit(&self, source: Source, mut submissions: Vec<Submission>) -> Vec<Result<Outcome, SubmitError>> {
        let mut under_way = self.claim(&mut submissions);
        let results = self.inner.submit(source, submissions).await;
        for (index, result) in results.iter().enumerate() {
            under_way.resolve(index, matches!(result, Ok(_) | Err(SubmitError::Refused(_))));
        }
        results
    }

    async fn ready(&self) -> Result<(), String> {
        self.inner.ready().await
    }

    async fn failed(&self) -> String {
        self.inner.failed().await
    }

    /// The offsets of what was settled last are committed behind the last commit.
    async fn close(&self) {
        self.inner.close().await;
        self.bus.close().await;
    }
}
