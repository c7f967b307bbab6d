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
#[error("the broker did not take an event: {reason}")]
pub struct PublishError {
    /// What the broker said, or that it says nothing.
    pub reason: String,
    /// Whether the roles have the event all the same, and only readers outside wait for it.
    pub is_told_to_roles: bool,
    /// Whether the broker does not take this event for what it is, and will not before somebody changes the broker.
    pub is_for_good: bool,
}

/// The broker's answer to one event. It is waited for or not: what was handed over is on its way.
pub type Answer = Pin<Box<dyn Future<Output = Result<(), PublishError>> + Send>>;

/// The broker.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// Hands events over, oldest first, and gives the answer of each, in the order given. Returns as soon as they are on their way in
    /// this order, so that what the next call brings comes behind them; waits a moment, and no longer, for room where too much is under
    /// way. An answer says yes only when the broker has the event as durably as it keeps anything. It comes in a bounded time: a part of
    /// the broker that takes nothing fails what is for it, and keeps nothing else waiting. Events of one subject stay in their order as
    /// long as none of them fails.
    async fn publish(&self, events: Vec<Announcement>) -> Vec<Answer>;

    /// Whether the broker answers from here: it is asked, and waited for some seconds. It may be there and take nothing.
    async fn is_there(&self) -> bool;
}
