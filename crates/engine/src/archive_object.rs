//! What one object of the archive holds: an order with its whole timeline, as one JSON document.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use ordermill_core::Timestamp;
use ordermill_core::event::{Event, EventError, Recorded};
use ordermill_core::id::{CustomerId, OrderId, OrderRef};
use ordermill_core::money::Money;
use ordermill_core::order::{Order, RejectReason, Status};
use ordermill_ports::queries::Committed;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Where the archive begins in the object store.
pub const PREFIX: &str = "archive/";

/// An object of the archive, as it is read back.
#[derive(Debug, Clone, Deserialize)]
pub struct ArchiveObject {
    /// The order.
    pub order_id: OrderId,
    /// Its status after the newest event in here.
    pub status: Status,
    /// The version of the newest event in here.
    pub version: u32,
    /// Its events from the first one, oldest first.
    pub events: Vec<ArchivedEvent>,
}

/// One event within an object of the archive.
#[derive(Debug, Clone, Deserialize)]
pub struct ArchivedEvent {
    /// Counts the events of the order, from 1.
    pub version: u32,
    /// Its type: `payment.captured`.
    #[serde(rename = "type")]
    pub kind: Box<str>,
    /// The version of the shape of its data.
    pub schema: u16,
    /// When it was decided.
    pub time: Timestamp,
    /// Its data, as the type and the schema say.
    pub data: Box<RawValue>,
}

/// The fields before the events.
#[derive(Serialize)]
struct Head<'a> {
    order_id: OrderId,
    status: Status,
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<RejectReason>,
    customer_id: &'a CustomerId,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_ref: Option<&'a OrderRef>,
    total: Money,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl ArchiveObject {
    /// The document for an order. `events` are its events from the first one, oldest first; those behind `order.version` were
    /// committed after the order was read and are left out.
    ///
    /// # Panics
    /// Never: what is written is plain data with text keys.
    #[must_use]
    pub fn of(order: &Order, events: &[Committed]) -> Vec<u8> {
        let head = Head {
            order_id: order.id,
            status: order.status,
            version: order.version,
            reason: order.reject_reason,
            customer_id: &order.placement.customer_id,
            order_ref: order.placement.order_ref.as_ref(),
            total: order.placement.total,
            created_at: order.created_at,
            updated_at: order.updated_at,
        };
        let mut text =
            serde_json::to_string(&head).expect("the head is plain data with text keys, which always serializes");
        // The events' data is JSON text already, so the document is put together as text: parsing it again only to print it
        // would cost more than all the rest of the archive role.
        text.pop();
        text.push_str(",\"events\":[");
        for (index, Committed { recorded, .. }) in events.iter().enumerate() {
            if recorded.version > order.version {
                break;
            }
            if index > 0 {
                text.push(',');
            }
            push_event(&mut text, recorded);
        }
        text.push_str("]}\n");
        text.into_bytes()
    }

    /// Reads what [`Self::of`] wrote.
    ///
    /// # Errors
    /// What the parser says of a document of another shape.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// The key of an order's object: `archive/2026/03/09/ord_….json`, by the day (UTC) on which the order was taken.
    #[must_use]
    pub fn key(order_id: OrderId, created_at: Timestamp) -> String {
        let day = created_at.to_zoned(TimeZone::UTC).date();
        format!("{PREFIX}{:04}/{:02}/{:02}/{order_id}.json", day.year(), day.month(), day.day())
    }
}

impl ArchivedEvent {
    /// The event.
    ///
    /// # Errors
    /// [`EventError`] when this program does not know its type, or its data has another shape.
    pub fn event(&self) -> Result<Event, EventError> {
        Event::from_parts(&self.kind, self.schema, self.data.get().as_bytes())
    }
}

fn push_event(text: &mut String, recorded: &Recorded) {
    let kind = recorded.event.kind();
    // Type names and timestamps hold nothing that JSON would have to escape.
    write!(
        text,
        "{{\"version\":{},\"type\":\"{}\",\"schema\":{},\"time\":\"{}\",\"data\":{}}}",
        recorded.version,
        kind.name(),
        kind.version(),
        recorded.at,
        recorded.event.data()
    )
    .expect("writing to a text in memory cannot fail");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ordermill_core::event::{Empty, Placement, Subject};
    use ordermill_core::idempotency::Fingerprint;
    use ordermill_core::money::Currency;
    use ordermill_ports::queries::Position;

    use super::*;

    fn placed(metadata: &str) -> Event {
        Event::OrderPlaced(Arc::new(Placement {
            order_ref: Some(OrderRef::new("A \"quoted\" ref").expect("a reference")),
            customer_id: CustomerId::new("c-1").expect("an id"),
            customer_email: None,
            payment_method: "ok".parse().expect("a method"),
            shipping_address: None,
            lines: Vec::new(),
            total: Money { amount_minor: 1999, currency: Currency::USD },
            placed_at: None,
            metadata: Some(serde_json::json!({ "note": metadata })),
            correlation_id: None,
            traceparent: None,
            fingerprint: Fingerprint([7; 16]),
        }))
    }

    fn committed(id: OrderId, events: Vec<Event>) -> Vec<Committed> {
        let at: Timestamp = "2026-03-09T23:59:59.5Z".parse().expect("a time");
        let commit = |(index, event)| {
            let version = u32::try_from(index + 1).expect("a small number");
            let recorded = Recorded { subject: Subject::Order(id), version, at, cause: None, event };
            Committed { position: Position(version.into()), recorded }
        };
        events.into_iter().enumerate().map(commit).collect()
    }

    #[test]
    fn a_document_is_read_back_event_by_event() {
        let id = OrderId::from_bytes([1; 16]);
        let events = committed(id, vec![placed("a\n\"b\" \\ ä"), Event::OrderConfirmed(Empty {})]);
        let order = Order::fold(id, events.iter().map(|one| (&one.recorded.event, one.recorded.at)))
            .expect("the first event places the order");
        let object = ArchiveObject::parse(&ArchiveObject::of(&order, &events)).expect("a document");
        assert_eq!((object.order_id, object.status, object.version), (id, Status::Confirmed, 2));
        let read: Vec<Event> = object.events.iter().map(|event| event.event().expect("an event")).collect();
        let written: Vec<Event> = events.iter().map(|one| one.recorded.event.clone()).collect();
        assert_eq!(read, written);
        assert!(object.events.iter().all(|event| event.time == order.created_at));
    }

    #[test]
    fn events_behind_the_order_are_left_out() {
        let id = OrderId::from_bytes([1; 16]);
        let events = committed(id, vec![placed(""), Event::OrderConfirmed(Empty {})]);
        let first = &events[0].recorded;
        let order = Order::fold(id, [(&first.event, first.at)]).expect("the first event places the order");
        let object = ArchiveObject::parse(&ArchiveObject::of(&order, &events)).expect("a document");
        assert_eq!((object.version, object.events.len()), (1, 1));
    }

    #[test]
    fn the_key_goes_by_the_day_in_utc() {
        let at = "2026-03-09T23:59:59-05:00".parse().expect("a time");
        let key = ArchiveObject::key(OrderId::from_bytes([1; 16]), at);
        assert_eq!(key, format!("archive/2026/03/10/ord_{}.json", "01".repeat(16)));
    }
}
