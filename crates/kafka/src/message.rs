//! Messages: an event as its readers get it, and back.
//!
//! What a role needs of an event stands in the headers, so that a reader of a topic does not parse what it passes over, and the values can
//! be what readers outside have always known.

mod headers;
mod letter;

use std::fmt;

use ordermill_core::Timestamp;
use ordermill_core::channel::{MessageKey, TrackingValue};
use ordermill_core::event::{EventType, Recorded, Subject, SubjectKind};
use ordermill_core::process::Role;
use ordermill_ports::Position;
use ordermill_ports::bus::Delivery;
use ordermill_ports::publisher::Announcement;
use ordermill_ports::queries::Committed;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use thiserror::Error;

pub(crate) use letter::{Letter, Poison};

/// The topic whose values are not CloudEvents.
const TRACKING: &str = "order-tracking.events";

/// Headers of every message of ours.
const POSITION: &str = "ordermill-position";
const VERSION: &str = "ordermill-version";
const TYPE: &str = "ordermill-type";
const TIME: &str = "ordermill-time-us";
/// What the value is.
const CONTENT_TYPE: &str = "content-type";
/// Headers of a message that was given up.
pub(crate) const REASON: &str = "dead-letter-reason";
const ROLE: &str = "dead-letter-role";
const TRIES: &str = "dead-letter-tries";
const TOPIC: &str = "dead-letter-topic";

/// A message, ready to be sent.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) key: String,
    pub(crate) value: Vec<u8>,
    pub(crate) headers: OwnedHeaders,
}

/// The message of an event on the topic of a channel.
pub(crate) fn encode(announcement: &Announcement, channel: &str, source: &str) -> Encoded {
    let Committed { position, recorded } = &announcement.event;
    let kind = recorded.event.kind();
    let tracking = (channel == TRACKING).then(|| TrackingValue::of(recorded)).flatten();
    let (value, content_type) = match tracking {
        Some(value) => (serde_json::to_vec(&value), "application/json"),
        None => (serde_json::to_vec(&CloudEvent::new(announcement, source)), "application/cloudevents+json"),
    };
    let headers = OwnedHeaders::new_with_capacity(6);
    let headers = text(headers, POSITION, position.0);
    let headers = text(headers, VERSION, recorded.version);
    let headers = text(headers, TYPE, kind.name());
    let headers = text(headers, TIME, recorded.at.as_microsecond());
    let mut headers = text(headers, CONTENT_TYPE, content_type);
    if let Some(traceparent) = &announcement.trace.traceparent {
        headers = text(headers, "traceparent", traceparent);
    }
    let key = MessageKey(&recorded.subject).to_string();
    Encoded { key, value: value.expect("events are plain data with text keys, which always serialize"), headers }
}

fn text(headers: OwnedHeaders, key: &str, value: impl fmt::Display) -> OwnedHeaders {
    headers.insert(Header { key, value: Some(&value.to_string()) })
}

/// The headers of the copy of what a role gave up.
pub(crate) fn given_up_headers(own: OwnedHeaders, topic: &str, delivery: &Delivery, reason: &str) -> OwnedHeaders {
    let headers = text(own, REASON, reason);
    let headers = text(headers, ROLE, delivery.role.as_str());
    let headers = text(headers, TRIES, delivery.tries.saturating_add(1));
    text(headers, TOPIC, topic)
}

/// Why a message cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Unreadable {
    #[error("the header {0} is missing: it was not written by this system")]
    Missing(&'static str),
    #[error("the header {0} cannot be read")]
    Malformed(&'static str),
    #[error("the name of a header is no UTF-8: it was not written by this system")]
    Headers,
    #[error("it has no key")]
    NoKey,
    #[error("its key is no id of {0}")]
    Key(&'static str),
}

/// What a message says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// It is for the role.
    Delivery(Delivery),
    /// The role does not react to it.
    Other,
    /// Only a newer program knows its type, and whether the role reacts to it.
    Newer,
}

/// Reads a message for a role.
pub(crate) fn decode(
    message: &impl Message,
    role: Role,
    wants: impl Fn(EventType) -> bool,
) -> Result<Decoded, Unreadable> {
    let headers = match message.headers() {
        Some(all) => headers::look(|| Ours::of(all)).ok_or(Unreadable::Headers)?,
        None => Ours::default(),
    };
    let position = Position(parse(headers.position, POSITION)?);
    let Some(kind) = EventType::from_name(text_of(headers.kind, TYPE)?) else { return Ok(Decoded::Newer) };
    if !wants(kind) {
        return Ok(Decoded::Other);
    }
    let version = parse(headers.version, VERSION)?;
    let at = Timestamp::from_microsecond(parse(headers.time, TIME)?).map_err(|_| Unreadable::Malformed(TIME))?;
    let key = message.key().ok_or(Unreadable::NoKey)?;
    let subject = subject(kind.subject_kind(), key).ok_or(Unreadable::Key(kind.subject_kind().as_str()))?;
    Ok(Decoded::Delivery(Delivery { role, position, subject, version, kind, at, tries: 0 }))
}

/// Our headers of a message, found in one walk: each look at one goes through the client.
#[derive(Default)]
struct Ours<'a> {
    position: Option<&'a [u8]>,
    version: Option<&'a [u8]>,
    kind: Option<&'a [u8]>,
    time: Option<&'a [u8]>,
}

impl<'a> Ours<'a> {
    fn of(headers: &'a impl Headers) -> Self {
        let mut ours = Self::default();
        for header in headers.iter() {
            let place = match header.key {
                POSITION => &mut ours.position,
                VERSION => &mut ours.version,
                TYPE => &mut ours.kind,
                TIME => &mut ours.time,
                _ => continue,
            };
            // The first of a name; one without a value is as good as none.
            *place = place.or(header.value);
        }
        ours
    }
}

fn text_of<'a>(value: Option<&'a [u8]>, name: &'static str) -> Result<&'a str, Unreadable> {
    std::str::from_utf8(value.ok_or(Unreadable::Missing(name))?).map_err(|_| Unreadable::Malformed(name))
}

fn parse<T: std::str::FromStr>(value: Option<&[u8]>, name: &'static str) -> Result<T, Unreadable> {
    text_of(value, name)?.parse().map_err(|_| Unreadable::Malformed(name))
}

fn subject(kind: SubjectKind, key: &[u8]) -> Option<Subject> {
    let key = std::str::from_utf8(key).ok()?;
    Some(match kind {
        SubjectKind::Order => Subject::Order(key.parse().ok()?),
        SubjectKind::Product => Subject::Product(key.parse().ok()?),
        SubjectKind::Customer => Subject::Customer(key.parse().ok()?),
        SubjectKind::Parcel => Subject::Parcel(key.parse().ok()?),
        SubjectKind::Record => Subject::Record(key.parse().ok()?),
    })
}

/// An event as CloudEvents 1.0, as the feed of the interface shows it.
#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: Shown<EventName<'a>>,
    source: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    subject: Shown<SubjectName<'a>>,
    time: Timestamp,
    datacontenttype: &'static str,
    dataversion: u16,
    sequence: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlationid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causationid: Option<Shown<EventName<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    data: Box<RawValue>,
}

impl<'a> CloudEvent<'a> {
    fn new(announcement: &'a Announcement, source: &'a str) -> Self {
        let recorded: &Recorded = &announcement.event.recorded;
        let (subject, kind) = (&recorded.subject, recorded.event.kind());
        let given = announcement.trace.correlation_id.as_ref().map(ToString::to_string);
        let of_order = || matches!(subject, Subject::Order(_)).then(|| MessageKey(subject).to_string());
        Self {
            specversion: "1.0",
            id: Shown(EventName { subject, version: recorded.version }),
            source,
            kind: kind.name(),
            subject: Shown(SubjectName(subject)),
            time: recorded.at,
            datacontenttype: "application/json",
            dataversion: kind.version(),
            sequence: recorded.version,
            correlationid: given.or_else(of_order),
            causationid: recorded.cause.map(|version| Shown(EventName { subject, version })),
            traceparent: announcement.trace.traceparent.as_deref(),
            data: RawValue::from_string(recorded.event.data()).expect("event data is written as JSON"),
        }
    }
}

/// Serializes what can be shown.
struct Shown<T>(T);

impl<T: fmt::Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// An id of ours, or a caller's behind its kind.
struct SubjectName<'a>(&'a Subject);

impl fmt::Display for SubjectName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.kind() {
            SubjectKind::Order | SubjectKind::Record => {}
            kind => write!(f, "{}/", kind.as_str())?,
        }
        MessageKey(self.0).fmt(f)
    }
}

/// The subject and the version of the event within it.
struct EventName<'a> {
    subject: &'a Subject,
    version: u32,
}

impl fmt::Display for EventName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", SubjectName(self.subject), self.version)
    }
}
