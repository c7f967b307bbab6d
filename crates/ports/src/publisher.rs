//! A broker that carries committed events to the roles, and to readers outside.

use std::pin::Pin;

use async_trait::async_trait;
use ordermill_core::id::CorrelationId;
use thiserror::Error;

use crate::queries::Committed;

/// What ties an event to the request that caused it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trace {
    /// Given by the caller; the order's own id stands in for it otherwise.
    pub correlation_id: Option<CorrelationId>,
    /// The W3C trace context of the request.
    pub traceparent: Option<Box<str>>,
}

/// An event as it is published.
#[derive(Debug, Clone)]
pub struct Announcement {
    /// The event, with its place in the feed, which names it.
    pub event: Committed,
    /// Of the request that placed its order, where it is about one.
    pub trace: Trace,
}

/// The broker does not have the event, or it is not known whether it has. Publishing it again is safe.
#[derive(Debug, Clone, Error)]
#[error("the broker did not take an event: {0}")]
pub struct PublishError(pub String);

/// The broker's answers, one for each event in the order given. They are waited for or not: what was handed over is on its way.
pub type Answers = Pin<Box<dyn Future<Output = Vec<Result<(), PublishError>>> + Send>>;

/// The broker.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// Hands events over, oldest first. Returns as soon as they are on their way in this order, so that what the next call brings
    /// comes behind them; waits for room where too much is under way. An answer is given only when the broker has the event as
    /// durably as it keeps anything. Events of one subject stay in their order as long as none of them fails.
    async fn publish(&self, events: Vec<Announcement>) -> Answers;
}
