//! Records: taken by one commit, stored by the records role.

use std::sync::Arc;

use crate::decide::Decision;
use crate::event::{Event, Subject};
use crate::facts::Facts;
use crate::id::RecordId;
use crate::input::TakeRecord;
use crate::record::Stored;
use crate::refusal::Refusal;

/// Takes a record. One that is there already changes nothing.
pub(super) fn take(facts: &impl Facts, take: &TakeRecord) -> Decision {
    let events = match facts.record(take.record_id) {
        Some(_) => Vec::new(),
        None => vec![Event::RecordReceived(Arc::new(take.received.clone()))],
    };
    Decision::about(Subject::Record(take.record_id), events)
}

/// The object is written. Its key follows from the record, so writing it again changes nothing.
pub(super) fn stored(facts: &impl Facts, record_id: RecordId, stored: &Stored) -> Result<Decision, Refusal> {
    let record = facts.record(record_id).ok_or(Refusal::RecordNotFound { record_id })?;
    let is_news = record.stored.as_ref().is_none_or(|present| present.key != stored.key);
    let events = if is_news { vec![Event::RecordStored(stored.clone())] } else { Vec::new() };
    Ok(Decision::about(Subject::Record(record_id), events))
}
