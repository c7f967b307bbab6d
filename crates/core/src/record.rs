//! A record: data that somebody hands over to be kept as an object. It is queued by the commit that takes it and stored by the records role.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::event::{Event, RecordReceived};
use crate::id::RecordId;

/// Where a record was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The key of its object.
    pub key: Box<str>,
    /// Which of its tries succeeded, from 1.
    pub attempts: u32,
}

/// A record at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its id.
    pub id: RecordId,
    /// What was handed over; never changes.
    pub received: Arc<RecordReceived>,
    /// When it was taken.
    pub received_at: Timestamp,
    /// Its object, once it is written.
    pub stored: Option<Stored>,
    /// When that was.
    pub stored_at: Option<Timestamp>,
    /// Counts its events.
    pub version: u32,
}

impl Record {
    /// Folds the events of one record, oldest first. `None` unless the first is `record.received`.
    #[must_use]
    pub fn fold<'a>(id: RecordId, events: impl IntoIterator<Item = (&'a Event, Timestamp)>) -> Option<Self> {
        let mut events = events.into_iter();
        let (Event::RecordReceived(received), received_at) = events.next()? else { return None };
        let mut record =
            Self { id, received: Arc::clone(received), received_at, stored: None, stored_at: None, version: 1 };
        for (event, at) in events {
            record.evolve(event, at);
        }
        Some(record)
    }

    /// Takes one more event of this record. Total: an event of any type is taken.
    pub fn evolve(&mut self, event: &Event, at: Timestamp) {
        self.version += 1;
        if let Event::RecordStored(stored) = event {
            self.stored = Some(stored.clone());
            self.stored_at = Some(at);
        }
    }
}
