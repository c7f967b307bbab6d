//! Looking for events in the feed, within bounds: a filter that fits little must not make one request read everything.

use std::time::Duration;

use ordermill_core::limits::PAGE_ENTRIES_MAX;
use ordermill_ports::queries::{Committed, QueryError};
use ordermill_ports::{Position, Queries};
use tokio::time::{Instant, timeout_at};

use crate::feed::FeedFilter;
use crate::state::State;

/// Events that one request looks at, at the most.
pub(crate) const SCAN_EVENTS_MAX: usize = 10_000;
/// Events that are read at once.
const STEP_EVENTS: usize = PAGE_ENTRIES_MAX;
/// Positions that one step back covers; they have gaps, so it holds at most as many events.
const STEP_BACK: u64 = 2_000;

/// What was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// The events, oldest first.
    pub events: Vec<Committed>,
    /// Everything up to here was looked at.
    pub next: Position,
    /// Whether that was the end of the feed.
    pub is_at_end: bool,
}

/// The first events behind a position that fit, at most `limit`.
pub(crate) async fn forward(
    queries: &dyn Queries,
    filter: &FeedFilter,
    after: Position,
    limit: usize,
) -> Result<Found, QueryError> {
    let step = if filter.is_everything() { limit } else { STEP_EVENTS };
    let mut found = Found { events: Vec::new(), next: after, is_at_end: false };
    let mut looked_at = 0;
    while found.events.len() < limit && looked_at < SCAN_EVENTS_MAX {
        let batch = queries.feed(found.next, step).await?;
        if batch.is_empty() {
            found.is_at_end = true;
            break;
        }
        looked_at += batch.len();
        for committed in batch {
            if found.events.len() == limit {
                break;
            }
            found.next = committed.position;
            if filter.matches(&committed.recorded) {
                found.events.push(committed);
            }
        }
    }
    Ok(found)
}

/// The same, and waits for the first of them for a while, where there is none yet.
pub(crate) async fn forward_patiently(
    state: &State,
    filter: &FeedFilter,
    after: Position,
    limit: usize,
    patience: Duration,
) -> Result<Found, QueryError> {
    let queries = &*state.app.queries;
    let deadline = Instant::now() + patience;
    let mut found = forward(queries, filter, after, limit).await?;
    while found.events.is_empty() && found.is_at_end && !patience.is_zero() {
        tokio::select! {
            grown = timeout_at(deadline, queries.feed_grown(found.next)) => match grown {
                Ok(grown) => grown?,
                Err(_elapsed) => break,
            },
            () = state.closed() => break,
        }
        found = forward(queries, filter, found.next, limit).await?;
    }
    Ok(found)
}

/// The newest events that fit, oldest first, at most `limit`; they are looked for among the newest [`SCAN_EVENTS_MAX`] positions.
pub(crate) async fn newest(queries: &dyn Queries, filter: &FeedFilter, limit: usize) -> Result<Found, QueryError> {
    let head = queries.head().await?;
    let mut events: Vec<Committed> = Vec::new();
    let mut end = head;
    let bottom = Position(head.0.saturating_sub(SCAN_EVENTS_MAX as u64));
    while events.len() < limit && end > bottom {
        let begin = Position(end.0.saturating_sub(STEP_BACK).max(bottom.0));
        let mut step = between(queries, filter, begin, end).await?;
        step.append(&mut events);
        events = step;
        end = begin;
    }
    let surplus = events.len().saturating_sub(limit);
    events.drain(..surplus);
    Ok(Found { events, next: head, is_at_end: true })
}

/// Everything behind `begin` up to `end` that fits.
async fn between(
    queries: &dyn Queries,
    filter: &FeedFilter,
    begin: Position,
    end: Position,
) -> Result<Vec<Committed>, QueryError> {
    let (mut events, mut after) = (Vec::new(), begin);
    while after < end {
        let batch = queries.feed(after, STEP_EVENTS).await?;
        let Some(last) = batch.last() else { break };
        after = last.position;
        let fits = |committed: &Committed| committed.position <= end && filter.matches(&committed.recorded);
        events.extend(batch.into_iter().filter(fits));
    }
    Ok(events)
}
