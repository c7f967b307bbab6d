//! How values are written into columns.

use std::str::FromStr;

use ordermill_core::Timestamp;
use ordermill_core::event::{Event, EventError, EventType, Recorded, Subject, SubjectKind};
use ordermill_core::id::{IdError, OrderId, ProductId, RecordId};
use ordermill_core::idempotency::{Answer, Fingerprint, Record};
use ordermill_core::order::Status;
use ordermill_core::parcel::ParcelStatus;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, Row};

use super::error::StoreError;

/// The number of event types this program knows; a role's interests are a set of bits.
pub(super) const EVENT_TYPES: usize = EventType::ALL.len();
const _: () = assert!(EVENT_TYPES <= 64, "the sets of event types are 64 bits wide");

/// The bit of an event type in a set of them.
pub(super) const fn bit(kind: EventType) -> u64 {
    1 << kind as u8
}

/// Microseconds since 1970.
pub(super) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// The instant of a column in microseconds.
pub(super) fn instant(micros: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(micros).map_err(|error| StoreError::Unreadable(error.to_string()))
}

/// A non-negative number as SQLite keeps it; our counters never come near 2^63.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that is never negative in a sound database.
pub(super) fn natural(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The stored code of a status; the table `statuses` says the same.
pub(super) const fn status_code(status: Status) -> i64 {
    match status {
        Status::Placed => 1,
        Status::Authorized => 2,
        Status::Reserved => 3,
        Status::Confirmed => 4,
        Status::Shipped => 5,
        Status::Delivered => 6,
        Status::Rejected => 7,
        Status::Cancelled => 8,
        Status::Returned => 9,
    }
}

/// The status of a stored code.
pub(super) fn status_of(code: i64) -> Result<Status, StoreError> {
    let found = Status::ALL.into_iter().find(|status| status_code(*status) == code);
    found.ok_or_else(|| StoreError::Unreadable(format!("{code} is no code of an order's status")))
}

/// The stored code of a parcel's status; the table `parcel_statuses` says the same.
pub(super) const fn parcel_status_code(status: ParcelStatus) -> i64 {
    match status {
        ParcelStatus::PickedUp => 1,
        ParcelStatus::OutForDelivery => 2,
        ParcelStatus::DeliveryIssue => 3,
        ParcelStatus::Delivered => 4,
    }
}

/// The parcel's status of a stored code.
pub(super) fn parcel_status_of(code: i64) -> Result<ParcelStatus, StoreError> {
    let found = ParcelStatus::ALL.into_iter().find(|status| parcel_status_code(*status) == code);
    found.ok_or_else(|| StoreError::Unreadable(format!("{code} is no code of a parcel's status")))
}

/// A subject as a column: its id alone. What it is the id of follows from the event's type.
pub(super) fn subject_column(subject: &Subject) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(match subject {
        Subject::Order(id) => ValueRef::Blob(id.as_bytes()),
        Subject::Record(id) => ValueRef::Blob(id.as_bytes()),
        Subject::Product(id) => ValueRef::Text(id.as_str().as_bytes()),
        Subject::Customer(id) => ValueRef::Text(id.as_str().as_bytes()),
        Subject::Parcel(id) => ValueRef::Text(id.as_str().as_bytes()),
    })
}

/// The subject of this kind in a column.
pub(super) fn subject_of(kind: SubjectKind, column: ValueRef<'_>) -> Result<Subject, StoreError> {
    match (kind, column) {
        (SubjectKind::Order, ValueRef::Blob(bytes)) => order_id_of(bytes).map(Subject::Order),
        (SubjectKind::Record, ValueRef::Blob(bytes)) => record_id_of(bytes).map(Subject::Record),
        (SubjectKind::Product, ValueRef::Text(text)) => text_id(kind, text).map(Subject::Product),
        (SubjectKind::Customer, ValueRef::Text(text)) => text_id(kind, text).map(Subject::Customer),
        (SubjectKind::Parcel, ValueRef::Text(text)) => text_id(kind, text).map(Subject::Parcel),
        (_, other) => {
            let (kind, found) = (kind.as_str(), other.data_type());
            Err(StoreError::Unreadable(format!("the subject of an event of a {kind} is of type {found}")))
        }
    }
}

/// The order id in a blob.
pub(super) fn order_id_of(bytes: &[u8]) -> Result<OrderId, StoreError> {
    let bytes = bytes.try_into().map_err(|_| StoreError::Unreadable("an order's id is not of 16 bytes".to_owned()))?;
    Ok(OrderId::from_bytes(bytes))
}

/// The record id in a blob.
pub(super) fn record_id_of(bytes: &[u8]) -> Result<RecordId, StoreError> {
    let bytes = bytes.try_into().map_err(|_| StoreError::Unreadable("a record's id is not of 16 bytes".to_owned()))?;
    Ok(RecordId::from_bytes(bytes))
}

/// The product id in a text.
pub(super) fn product_id_of(text: &[u8]) -> Result<ProductId, StoreError> {
    text_id(SubjectKind::Product, text)
}

/// The id of a subject that is named by text.
pub(super) fn text_id<I: FromStr<Err = IdError>>(kind: SubjectKind, text: &[u8]) -> Result<I, StoreError> {
    let text = std::str::from_utf8(text).map_err(|error| StoreError::Unreadable(error.to_string()))?;
    text.parse().map_err(|error| StoreError::Unreadable(format!("a {}'s id {error}", kind.as_str())))
}

/// A column that holds a blob.
pub(super) fn blob<'a>(row: &'a Row<'_>, index: usize) -> Result<&'a [u8], StoreError> {
    Ok(row.get_ref(index)?.as_blob().map_err(rusqlite::Error::from)?)
}

/// A column that holds text.
pub(super) fn text<'a>(row: &'a Row<'_>, index: usize) -> Result<&'a str, StoreError> {
    Ok(row.get_ref(index)?.as_str().map_err(rusqlite::Error::from)?)
}

/// What the type codes of one database stand for.
#[derive(Debug)]
pub(super) struct Types {
    codes: [i64; EVENT_TYPES],
    by_code: Vec<Option<(String, u16)>>,
}

impl Types {
    /// Reads the table `event_types`.
    pub(super) fn load(conn: &Connection) -> Result<Self, StoreError> {
        let mut types = Self { codes: [0; EVENT_TYPES], by_code: Vec::new() };
        let mut statement = conn.prepare("SELECT code, name, schema FROM event_types")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (code, name, schema): (i64, String, u16) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let index = usize::try_from(code).ok().filter(|index| *index <= 4096);
            let index = index.ok_or_else(|| StoreError::Unreadable(format!("event type code {code}")))?;
            if types.by_code.len() <= index {
                types.by_code.resize(index + 1, None);
            }
            if let Some(kind) = EventType::from_name(&name).filter(|kind| kind.version() == schema) {
                types.codes[kind as usize] = code;
            }
            types.by_code[index] = Some((name, schema));
        }
        Ok(types)
    }

    /// Gives every type this program writes a code, for a database that has none for it yet.
    pub(super) fn register(conn: &Connection) -> Result<(), StoreError> {
        let transaction = conn.unchecked_transaction()?;
        let mut insert = conn.prepare("INSERT OR IGNORE INTO event_types (name, schema) VALUES (?1, ?2)")?;
        for kind in EventType::ALL {
            insert.execute((kind.name(), kind.version()))?;
        }
        Ok(transaction.commit()?)
    }

    /// The code of a type in the version this program writes.
    pub(super) const fn code(&self, kind: EventType) -> i64 {
        self.codes[kind as usize]
    }

    /// The name and version a code stands for.
    pub(super) fn meaning(&self, code: i64) -> Result<(&str, u16), StoreError> {
        let entry = usize::try_from(code).ok().and_then(|index| self.by_code.get(index)).and_then(Option::as_ref);
        let (name, schema) =
            entry.ok_or_else(|| StoreError::Unreadable(format!("{code} is no code of an event type")))?;
        Ok((name, *schema))
    }

    /// The codes of all types, in whatever version, of events of this kind.
    pub(super) fn codes_of(&self, kind: SubjectKind) -> impl Iterator<Item = i64> + '_ {
        let is_of_kind = move |code: &i64| self.kind(*code).is_some_and(|found| found.subject_kind() == kind);
        (0_i64..).take(self.by_code.len()).filter(is_of_kind)
    }

    /// The type of a code, in whatever version; `None` for one of a newer program.
    pub(super) fn kind(&self, code: i64) -> Option<EventType> {
        self.meaning(code).ok().and_then(|(name, _)| EventType::from_name(name))
    }
}

/// The columns [`recorded`] reads, in its order.
pub(super) const EVENT_COLUMNS: &str = "subject, version, type, at, cause, data";

/// Reads an event from a row that begins with [`EVENT_COLUMNS`], the first of them at `offset`.
pub(super) fn recorded(row: &Row<'_>, offset: usize, types: &Types) -> Result<Recorded, StoreError> {
    let (name, schema) = types.meaning(row.get(offset + 2)?)?;
    let Some(kind) = EventType::from_name(name) else {
        let unknown = EventError::Unknown { kind: name.to_owned(), version: schema };
        return Err(StoreError::Unreadable(unknown.to_string()));
    };
    let subject = subject_of(kind.subject_kind(), row.get_ref(offset)?)?;
    let version: u32 = row.get(offset + 1)?;
    let at = instant(row.get(offset + 3)?)?;
    let cause: Option<u32> = row.get(offset + 4)?;
    let data = match row.get_ref(offset + 5)? {
        ValueRef::Text(text) => text,
        other => {
            let problem = format!("the data of {subject:?} version {version} is of type {}", other.data_type());
            return Err(StoreError::Unreadable(problem));
        }
    };
    let event = Event::from_parts(name, schema, data)
        .map_err(|error| StoreError::Unreadable(format!("{subject:?} version {version}: {error}")))?;
    Ok(Recorded { subject, version, at, cause, event })
}

/// How the text of a record's id begins.
const RECORD_PREFIX: &[u8] = b"rec_";

/// The answer to an idempotency key as a column: an order's id as a blob, a record's id or a stock level as text.
pub(super) fn answer_column(answer: &Answer) -> Result<ToSqlOutput<'_>, rusqlite::Error> {
    Ok(match answer {
        Answer::Order(id) => ToSqlOutput::Borrowed(ValueRef::Blob(id.as_bytes())),
        Answer::Record(id) => ToSqlOutput::Owned(Value::Text(id.to_string())),
        Answer::Stock(level) => {
            let json = serde_json::to_string(level)
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
            ToSqlOutput::Owned(Value::Text(json))
        }
    })
}

/// Reads an idempotency record from the columns fingerprint, answer and expires_at, the first of them at `offset`.
pub(super) fn key_record(row: &Row<'_>, offset: usize) -> Result<Record, StoreError> {
    let answer = match row.get_ref(offset + 1)? {
        ValueRef::Blob(bytes) => Answer::Order(order_id_of(bytes)?),
        // A stock level is a JSON object, and never begins like this.
        ValueRef::Text(text) if text.starts_with(RECORD_PREFIX) => {
            let id = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
            Answer::Record(id.ok_or_else(|| StoreError::Unreadable("a key's answer is no record's id".to_owned()))?)
        }
        ValueRef::Text(text) => {
            Answer::Stock(serde_json::from_slice(text).map_err(|error| StoreError::Unreadable(error.to_string()))?)
        }
        other => {
            return Err(StoreError::Unreadable(format!("a key's answer is of type {}", other.data_type())));
        }
    };
    Ok(Record { fingerprint: Fingerprint(row.get(offset)?), answer, expires_at: instant(row.get(offset + 2)?)? })
}
