//! Wake-ups between processes: one NOTIFY per commit, and a look now and then for those that are lost.
//!
//! THE SEAM: the writer sends `pg_notify(channel, payload(..))` in each transaction that wrote an event or settled something, and calls
//! [`committed`] behind it. Queries watch subjects and the feed by [`State`].

use std::sync::Arc;

use ordermill_core::event::{EventType, Subject};
use ordermill_ports::queries::Position;

use crate::shared::Shared;

/// What one commit changed.
pub(crate) struct Changes {
    /// The newest position after it. Not known yet when the payload is made: 0 then.
    pub(crate) head: Position,
    /// What its events are about and of which type, in the order of positions.
    pub(crate) events: Vec<(Subject, EventType)>,
    /// Whether it settled deliveries.
    pub(crate) settled: bool,
}

/// The channel of an installation.
pub(crate) fn channel(schema: &str) -> String {
    format!("ordermill_{schema}")
}

/// What is told to the other processes: below 8,000 bytes, without personal data.
pub(crate) fn payload(_changes: &Changes) -> String {
    String::new()
}

/// A commit of this process is through.
pub(crate) fn committed(_shared: &Shared, _changes: &Changes) {}

/// Who waits for what in this process.
pub(crate) struct State {}

/// Waits for changes of one subject.
pub(crate) struct Watcher<'a> {
    _state: &'a State,
}

impl State {
    pub(crate) fn new() -> Self {
        Self {}
    }

    /// Starts to watch a subject.
    pub(crate) fn watch(&self, _subject: Subject) -> Watcher<'_> {
        Watcher { _state: self }
    }

    /// Starts to watch the feed.
    pub(crate) fn watch_feed(&self) -> Watcher<'_> {
        Watcher { _state: self }
    }
}

impl Watcher<'_> {
    /// Returns when there may have been a change since the watcher was made or this was last called; at the latest after the polling
    /// interval. Safe to cancel.
    pub(crate) async fn changed(&mut self) {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

/// Listens until the ledger closes, and connects again when the connection is lost. Started once, when the ledger is open.
pub(crate) async fn run(shared: Arc<Shared>) {
    shared.closing().await;
}
