//! Events as CloudEvents 1.0 in JSON.

use std::fmt;

use ordermill_core::Timestamp;
use ordermill_core::event::{Event, Placement, Subject};
use ordermill_core::id::{CorrelationId, OrderId};
use ordermill_ports::queries::Committed;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::representation::CorrelationView;

/// An event (CloudEvents 1.0).
#[derive(Serialize, ToSchema)]
#[schema(as = CloudEvent)]
pub(crate) struct CloudEvent<'a> {
    /// Always `1.0`.
    #[schema(value_type = String, example = "1.0")]
    specversion: &'static str,
    /// The subject and the version of the event within it; unique for ever.
    #[schema(value_type = String, example = "ord_0198f3c2a1b47c3e9d5f6a7b8c9d0e1f/4")]
    id: EventName<'a>,
    /// The installation.
    #[schema(value_type = String, format = "uri-reference", example = "/ordermill")]
    source: &'a str,
    /// What happened.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "payment.captured")]
    kind: &'static str,
    /// The order or the product it happened to.
    #[schema(value_type = String)]
    subject: SubjectName<'a>,
    /// When it was decided.
    #[schema(value_type = String, format = DateTime)]
    time: Timestamp,
    /// Always `application/json`.
    #[schema(value_type = String, example = "application/json")]
    datacontenttype: &'static str,
    /// The version of the shape of `data`.
    dataversion: u16,
    /// Counts the events of the subject, from 1.
    sequence: u32,
    /// Ties together what one request caused; of orders, parcels and records.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    correlationid: Option<Correlation<'a>>,
    /// The `id` of the event that a role was acting on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    causationid: Option<EventName<'a>>,
    /// The W3C trace context of the request that placed the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    /// The data of this type.
    #[schema(value_type = Object)]
    data: Box<RawValue>,
}

impl<'a> CloudEvent<'a> {
    /// Dresses an event. `placement` is that of its order, where it is about one.
    pub fn new(source: &'a str, committed: &'a Committed, placement: Option<&'a Placement>) -> Self {
        let recorded = &committed.recorded;
        let placement = match &recorded.event {
            Event::OrderPlaced(own) => Some(&**own),
            _ => placement,
        };
        let order_id = match &recorded.subject {
            Subject::Order(order_id) => Some(*order_id),
            _ => None,
        };
        let of_order = |(placement, order_id): (&'a Placement, OrderId)| {
            Correlation::Order(CorrelationView { given: placement.correlation_id.as_ref(), order_id })
        };
        let kind = recorded.event.kind();
        Self {
            specversion: "1.0",
            id: EventName { subject: &recorded.subject, version: recorded.version },
            source,
            kind: kind.name(),
            subject: SubjectName(&recorded.subject),
            time: recorded.at,
            datacontenttype: "application/json",
            dataversion: kind.version(),
            sequence: recorded.version,
            correlationid: placement.zip(order_id).map(of_order).or_else(|| own_correlation(&recorded.event)),
            causationid: recorded.cause.map(|version| EventName { subject: &recorded.subject, version }),
            traceparent: placement.and_then(|placement| placement.traceparent.as_deref()),
            data: RawValue::from_string(recorded.event.data()).expect("event data is written as JSON"),
        }
    }
}

/// What ties an event to its request.
#[derive(Serialize)]
#[serde(untagged)]
enum Correlation<'a> {
    /// That of the order it belongs to.
    Order(CorrelationView<'a>),
    /// That of the request it came with.
    Own(&'a CorrelationId),
}

/// The correlation that an event holds itself, as its subject has no request that began it.
fn own_correlation(event: &Event) -> Option<Correlation<'_>> {
    let given = match event {
        Event::TrackingMoved(report) | Event::TrackingLate(report) => &report.correlation_id,
        Event::TrackingRefused(report) => &report.correlation_id,
        Event::RecordReceived(received) => &received.correlation_id,
        _ => return None,
    };
    given.as_ref().map(Correlation::Own)
}

/// The subject of an event: an id of ours, or a caller's behind its kind, as a shop may name its products as it likes.
pub(crate) struct SubjectName<'a>(pub &'a Subject);

impl fmt::Display for SubjectName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Subject::Order(order_id) => order_id.fmt(f),
            Subject::Product(id) => write!(f, "product/{id}"),
            Subject::Customer(id) => write!(f, "customer/{id}"),
            Subject::Parcel(id) => write!(f, "parcel/{id}"),
            // Its prefix tells it apart, as an order's does.
            Subject::Record(id) => id.fmt(f),
        }
    }
}

impl Serialize for SubjectName<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The name of an event: its subject and its version.
pub(crate) struct EventName<'a> {
    /// What it is about.
    pub subject: &'a Subject,
    /// Its version within it.
    pub version: u32,
}

impl fmt::Display for EventName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", SubjectName(self.subject), self.version)
    }
}

impl Serialize for EventName<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
