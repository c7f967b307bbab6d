//! The archive against the events it should hold.

use ordermill_core::event::Recorded;
use ordermill_core::id::OrderId;
use ordermill_core::order::Order;
use ordermill_ports::audit::{AuditError, OrderHistory};

use super::ReadObjects;
use super::recheck::Suspects;
use super::report::Report;
use crate::archive_object::ArchiveObject;

/// Objects read at once: enough for a store that answers slowly, few enough to be held in memory with their events.
const BATCH: usize = 256;

/// Compares objects a batch at a time, while the orders pass by.
pub(super) struct ArchiveCheck<'a, 'r> {
    read: Option<&'a mut ReadObjects<'r>>,
    keys: Vec<String>,
    waiting: Vec<Waiting>,
}

struct Waiting {
    id: OrderId,
    archived: u32,
    events: Vec<Recorded>,
}

/// An object that did not agree at first sight.
#[derive(Debug)]
pub(super) struct SuspectObject {
    pub(super) order_id: OrderId,
    pub(super) key: String,
    /// The newest event it must hold.
    pub(super) archived: u32,
}

impl<'a, 'r> ArchiveCheck<'a, 'r> {
    pub(super) const fn new(read: Option<&'a mut ReadObjects<'r>>) -> Self {
        Self { read, keys: Vec::new(), waiting: Vec::new() }
    }

    /// Takes the next order; one that was never archived has nothing to show.
    pub(super) fn add(
        &mut self,
        order: &Order,
        history: OrderHistory,
        report: &mut Report<'_>,
        suspects: &mut Suspects,
    ) -> Result<(), AuditError> {
        let Some(archived) = order.archived.filter(|_| self.read.is_some()) else {
            return Ok(());
        };
        self.keys.push(ArchiveObject::key(order.id, order.created_at));
        self.waiting.push(Waiting { id: order.id, archived, events: history.events });
        if self.waiting.len() < BATCH { Ok(()) } else { self.finish(report, suspects) }
    }

    /// Compares what is waiting.
    pub(super) fn finish(&mut self, report: &mut Report<'_>, suspects: &mut Suspects) -> Result<(), AuditError> {
        let Some(read) = self.read.as_mut().filter(|_| !self.keys.is_empty()) else {
            return Ok(());
        };
        let objects = read(&self.keys)?;
        for ((waiting, key), object) in self.waiting.drain(..).zip(self.keys.drain(..)).zip(objects) {
            report.totals.archive_objects += u64::from(object.is_some());
            let Waiting { id: order_id, archived, events } = waiting;
            if compare(order_id, &events, archived, object.as_deref()).is_err() {
                suspects.archive.push(SuspectObject { order_id, key, archived });
            }
        }
        Ok(())
    }
}

/// Holds one object against the order's events.
///
/// # Errors
/// In what they differ.
pub(super) fn compare(
    order_id: OrderId,
    events: &[Recorded],
    archived: u32,
    object: Option<&[u8]>,
) -> Result<(), String> {
    let bytes = object.ok_or("it was archived, but its object is not there")?;
    let object = ArchiveObject::parse(bytes).map_err(|error| format!("its object cannot be read: {error}"))?;
    if object.order_id != order_id {
        return Err(format!("its object is that of order {}", object.order_id));
    }
    if object.version < archived {
        return Err(format!("its object ends with event {}, but event {archived} was archived", object.version));
    }
    if object.events.len() != object.version as usize {
        return Err(format!("its object holds {} events and says {}", object.events.len(), object.version));
    }
    let Some(events) = events.get(..object.events.len()) else {
        return Err(format!("its object holds {} events, but only {} are stored", object.version, events.len()));
    };
    for (stored, kept) in events.iter().zip(&object.events) {
        let event = kept.event().map_err(|error| format!("event {} in its object: {error}", kept.version))?;
        if kept.version != stored.version || kept.time != stored.at || event != stored.event {
            return Err(format!("event {} differs in its object", stored.version));
        }
    }
    let folded = Order::fold(order_id, events.iter().map(|recorded| (&recorded.event, recorded.at)));
    if folded.is_none_or(|order| order.status != object.status) {
        return Err(format!("its object says {}, which its events do not", object.status.as_str()));
    }
    Ok(())
}
