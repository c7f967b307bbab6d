//! The lines of the file. Each is one JSON object with one member that says what it is.

use std::borrow::Cow;

use ordermill_core::Timestamp;
use ordermill_core::event::{Subject, SubjectKind};
use ordermill_core::idempotency::Record;
use ordermill_core::stock::StockLevel;
use ordermill_ports::moving::{Counts, Ends, Item, MovedCursor, MovedDeadLetter, MovedEvent, MovedParked, Totals};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The version of the format that this program writes, and the newest it reads.
pub const FORMAT: u64 = 1;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line<'a> {
    /// The first.
    Header(Header),
    #[serde(borrow)]
    Event(EventLine<'a>),
    Stock(StockLevel),
    Key(KeyLine<'a>),
    Parked(ParkedLine<'a>),
    DeadLetter(DeadLetterLine<'a>),
    Cursor(CursorLine<'a>),
    Ends(EndsLine),
    /// The last.
    Trailer(Trailer),
}

/// The first line of a file of any format: enough to tell which.
#[derive(Debug, Deserialize)]
pub(super) struct AnyHeader {
    pub(super) header: AnyFormat,
}

#[derive(Debug, Deserialize)]
pub(super) struct AnyFormat {
    pub(super) format: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) format: u64,
    /// Different for each export.
    pub(super) export: String,
    /// The version of the program that wrote it.
    pub(super) program: String,
    /// When.
    pub(super) at: Timestamp,
    /// The backend it was read from, and the version of its schema there.
    pub(super) backend: String,
    pub(super) schema: u32,
    /// Whether the ledger was in use: whatever came later is not in here.
    pub(super) live: bool,
    pub(super) counts: Counts,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Trailer {
    /// Lines before this one.
    pub(super) lines: u64,
    pub(super) totals: Totals,
    /// The SHA-256 of all lines before this one, their ends included, in hexadecimal.
    pub(super) sha256: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct EventLine<'a> {
    position: u64,
    kind: &'a str,
    #[serde(borrow)]
    id: Cow<'a, str>,
    version: u32,
    #[serde(rename = "type", borrow)]
    name: Cow<'a, str>,
    schema: u16,
    at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<u32>,
    /// As it was stored, byte for byte.
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeyLine<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(flatten)]
    record: Record,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ParkedLine<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    position: u64,
    due: Timestamp,
    tries: u32,
    #[serde(borrow)]
    reason: Cow<'a, str>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DeadLetterLine<'a> {
    id: u64,
    #[serde(borrow)]
    role: Cow<'a, str>,
    position: u64,
    tries: u32,
    #[serde(borrow)]
    reason: Cow<'a, str>,
    since: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CursorLine<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    /// One for the whole feed, or one for each partition.
    positions: Vec<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct EndsLine {
    /// In bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mailbox: Option<u64>,
    dead_letter: u64,
}

/// A subject's kind and id, as text.
fn subject_text(subject: &Subject) -> (&'static str, Cow<'_, str>) {
    let id = match subject {
        Subject::Order(id) => Cow::Owned(id.to_string()),
        Subject::Record(id) => Cow::Owned(id.to_string()),
        Subject::Product(id) => Cow::Borrowed(id.as_str()),
        Subject::Customer(id) => Cow::Borrowed(id.as_str()),
        Subject::Parcel(id) => Cow::Borrowed(id.as_str()),
    };
    (subject.kind().as_str(), id)
}

fn subject_of(kind: &str, id: &str) -> Result<Subject, String> {
    let parsed = match SubjectKind::from_name(kind) {
        Some(SubjectKind::Order) => id.parse().map(Subject::Order),
        Some(SubjectKind::Record) => id.parse().map(Subject::Record),
        Some(SubjectKind::Product) => id.parse().map(Subject::Product),
        Some(SubjectKind::Customer) => id.parse().map(Subject::Customer),
        Some(SubjectKind::Parcel) => id.parse().map(Subject::Parcel),
        None => return Err(format!("{kind:?} is no kind of subject")),
    };
    parsed.map_err(|error| format!("the id of a {kind} {error}"))
}

/// The line of a thing. `Err` says why it cannot be one.
pub(super) fn line_of(item: &Item) -> Result<Line<'_>, String> {
    Ok(match item {
        Item::Event(event) => {
            let (kind, id) = subject_text(&event.subject);
            let data: &RawValue = serde_json::from_str(&event.data)
                .map_err(|error| format!("the data of the event at {} is no JSON: {error}", event.position))?;
            // Only white space between two parts can hold one, and no program of ours writes any.
            if data.get().contains('\n') {
                return Err(format!("the data of the event at {} has more than one line", event.position));
            }
            let MovedEvent { position, version, schema, at, cause, .. } = *event;
            Line::Event(EventLine { position, kind, id, version, name: (&event.kind).into(), schema, at, cause, data })
        }
        Item::Stock(level) => Line::Stock(level.clone()),
        Item::Key(key, record) => Line::Key(KeyLine { key: key.into(), record: record.clone() }),
        Item::Parked(MovedParked { role, position, due, tries, reason }) => Line::Parked(ParkedLine {
            role: role.into(),
            position: *position,
            due: *due,
            tries: *tries,
            reason: reason.into(),
        }),
        Item::DeadLetter(MovedDeadLetter { id, role, position, tries, reason, since }) => {
            let (role, reason) = (role.into(), reason.into());
            Line::DeadLetter(DeadLetterLine {
                id: *id,
                role,
                position: *position,
                tries: *tries,
                reason,
                since: *since,
            })
        }
        Item::Cursor(MovedCursor { role, positions }) => {
            Line::Cursor(CursorLine { role: role.into(), positions: positions.clone() })
        }
        Item::Ends(Ends { mailbox, dead_letter }) => {
            Line::Ends(EndsLine { mailbox: *mailbox, dead_letter: *dead_letter })
        }
    })
}

/// The thing of a line that is neither the first nor the last. `Err` says what is wrong with it.
pub(super) fn item_of(line: Line<'_>) -> Result<Item, String> {
    Ok(match line {
        Line::Header(_) => return Err("it is a header, and not the first line".to_owned()),
        Line::Trailer(_) => return Err("it is a trailer, and not the last line".to_owned()),
        Line::Event(line) => Item::Event(MovedEvent {
            position: line.position,
            subject: subject_of(line.kind, &line.id)?,
            version: line.version,
            kind: line.name.into_owned(),
            schema: line.schema,
            at: line.at,
            cause: line.cause,
            data: line.data.get().to_owned(),
        }),
        Line::Stock(level) => Item::Stock(level),
        Line::Key(line) => Item::Key(line.key.into_owned(), line.record),
        Line::Parked(ParkedLine { role, position, due, tries, reason }) => {
            let (role, reason) = (role.into_owned(), reason.into_owned());
            Item::Parked(MovedParked { role, position, due, tries, reason })
        }
        Line::DeadLetter(DeadLetterLine { id, role, position, tries, reason, since }) => {
            let (role, reason) = (role.into_owned(), reason.into_owned());
            Item::DeadLetter(MovedDeadLetter { id, role, position, tries, reason, since })
        }
        Line::Cursor(line) if line.positions.is_empty() => return Err("a cursor has no position".to_owned()),
        Line::Cursor(line) => Item::Cursor(MovedCursor { role: line.role.into_owned(), positions: line.positions }),
        Line::Ends(EndsLine { mailbox, dead_letter }) => Item::Ends(Ends { mailbox, dead_letter }),
    })
}
