//! How values are written into columns.

use std::borrow::Cow;
use std::str::FromStr;

use ordermill_core::Timestamp;
use ordermill_core::event::{Event, EventError, Recorded, Subject, SubjectKind};
use ordermill_core::id::{IdError, OrderId, RecordId};
use ordermill_core::idempotency::{Answer, Fingerprint, Record};
use ordermill_core::order::Status;
use ordermill_core::parcel::ParcelStatus;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use crate::error::StoreError;

/// Into how many partitions subjects fall; part of what is stored, so it never changes.
pub(crate) const PARTITIONS: u8 = 16;

/// A text as PostgreSQL can keep it in a column: with U+FFFD for each U+0000. What a provider says may hold one, and what a caller said
/// to an earlier program. Events hold it escaped.
pub(crate) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

/// A non-negative number as PostgreSQL keeps it; our counters never come near 2^63.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that is never negative in a sound database.
pub(crate) fn natural(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A version as PostgreSQL keeps it; limits keep it far below 2^31.
pub(crate) fn version_int(version: u32) -> i32 {
    i32::try_from(version).unwrap_or(i32::MAX)
}

/// A small number that is never negative in a sound database.
pub(crate) fn small(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

/// How many rows a statement may give at most.
pub(crate) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// The column of a row, or why it cannot be read.
pub(crate) fn get<'a, T: FromSql<'a>>(row: &'a Row, index: usize) -> Result<T, StoreError> {
    row.try_get(index).map_err(|error| StoreError::Unreadable(error.to_string()))
}

/// The stored code of a kind of subject.
pub(crate) const fn kind_code(kind: SubjectKind) -> i16 {
    match kind {
        SubjectKind::Order => 1,
        SubjectKind::Product => 2,
        SubjectKind::Customer => 3,
        SubjectKind::Parcel => 4,
        SubjectKind::Record => 5,
    }
}

/// The id of a subject as a column: sixteen bytes, or text in UTF-8.
pub(crate) fn subject_bytes(subject: &Subject) -> Cow<'_, [u8]> {
    match subject {
        Subject::Order(id) => Cow::Borrowed(id.as_bytes()),
        Subject::Record(id) => Cow::Borrowed(id.as_bytes()),
        Subject::Product(id) => Cow::Borrowed(id.as_str().as_bytes()),
        Subject::Customer(id) => Cow::Borrowed(id.as_str().as_bytes()),
        Subject::Parcel(id) => Cow::Borrowed(id.as_str().as_bytes()),
    }
}

/// The subject in the columns `subject_kind` and `subject`.
pub(crate) fn subject_of(code: i16, bytes: &[u8]) -> Result<Subject, StoreError> {
    let kind = SubjectKind::ALL.into_iter().find(|kind| kind_code(*kind) == code);
    match kind {
        Some(SubjectKind::Order) => uuid_bytes(bytes).map(|bytes| Subject::Order(OrderId::from_bytes(bytes))),
        Some(SubjectKind::Record) => uuid_bytes(bytes).map(|bytes| Subject::Record(RecordId::from_bytes(bytes))),
        Some(SubjectKind::Product) => text_id(bytes).map(Subject::Product),
        Some(SubjectKind::Customer) => text_id(bytes).map(Subject::Customer),
        Some(SubjectKind::Parcel) => text_id(bytes).map(Subject::Parcel),
        None => Err(StoreError::Unreadable(format!("{code} is no code of a kind of subject"))),
    }
}

fn uuid_bytes(bytes: &[u8]) -> Result<[u8; 16], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Unreadable("an id is not of 16 bytes".to_owned()))
}

fn text_id<I: FromStr<Err = IdError>>(bytes: &[u8]) -> Result<I, StoreError> {
    let text = std::str::from_utf8(bytes).map_err(|error| StoreError::Unreadable(error.to_string()))?;
    parse_id(text)
}

/// The id in a text column.
pub(crate) fn parse_id<I: FromStr<Err = IdError>>(text: &str) -> Result<I, StoreError> {
    text.parse().map_err(|error| StoreError::Unreadable(format!("an id {error}")))
}

/// The partition of a subject, below [`PARTITIONS`]. Stored with each event: the function may change only with a new column.
pub(crate) fn partition(subject: &Subject) -> u8 {
    // FNV-1a, finished as MurmurHash does so that every byte counts for every bit: short, and the same on every machine for ever.
    let hash = subject_bytes(subject)
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    (hash >> 60) as u8
}

/// The status of this name in a column.
pub(crate) fn status_of(name: &str) -> Result<Status, StoreError> {
    let found = Status::ALL.into_iter().find(|status| status.as_str() == name);
    found.ok_or_else(|| StoreError::Unreadable(format!("{name:?} is no status of an order")))
}

/// The parcel's status of this name in a column.
pub(crate) fn parcel_status_of(name: &str) -> Result<ParcelStatus, StoreError> {
    ParcelStatus::from_name(name).ok_or_else(|| StoreError::Unreadable(format!("{name:?} is no status of a parcel")))
}

/// The columns [`recorded`] reads, in its order.
pub(crate) const EVENT_COLUMNS: &str = "subject_kind, subject, version, type, schema, at, cause, data";

/// Reads an event from a row with [`EVENT_COLUMNS`], the first of them at `offset`.
pub(crate) fn recorded(row: &Row, offset: usize) -> Result<Recorded, StoreError> {
    let subject = subject_of(get(row, offset)?, get(row, offset + 1)?)?;
    let version = small(get(row, offset + 2)?);
    match happening(row, offset + 3) {
        Ok((at, cause, event)) => Ok(Recorded { subject, version, at, cause, event }),
        Err(StoreError::Unreadable(why)) => {
            Err(StoreError::Unreadable(format!("{subject:?} version {version}: {why}")))
        }
        Err(error) => Err(error),
    }
}

/// When, why and what: the columns from `type` on.
fn happening(row: &Row, offset: usize) -> Result<(Timestamp, Option<u32>, Event), StoreError> {
    let name: &str = get(row, offset)?;
    let schema = u16::try_from(get::<i16>(row, offset + 1)?).unwrap_or(0);
    let at: Timestamp = get(row, offset + 2)?;
    let cause = get::<Option<i32>>(row, offset + 3)?.map(small);
    let data: &str = get(row, offset + 4)?;
    let event = Event::from_parts(name, schema, data.as_bytes());
    let event = event.map_err(|error: EventError| StoreError::Unreadable(error.to_string()))?;
    Ok((at, cause, event))
}

/// Answers to keys as JSON.
pub(crate) fn answer_text(answer: &Answer) -> String {
    serde_json::to_string(answer).expect("an answer is plain data with text keys, which always serializes")
}

/// Reads an idempotency record from the columns fingerprint, answer and expires_at, the first of them at `offset`.
pub(crate) fn key_record(row: &Row, offset: usize) -> Result<Record, StoreError> {
    let answer = serde_json::from_str(get(row, offset + 1)?);
    let answer = answer.map_err(|error| StoreError::Unreadable(format!("the answer to a key: {error}")))?;
    Ok(Record { fingerprint: fingerprint(get(row, offset)?)?, answer, expires_at: get(row, offset + 2)? })
}

/// The fingerprint in a column.
pub(crate) fn fingerprint(bytes: &[u8]) -> Result<Fingerprint, StoreError> {
    uuid_bytes(bytes).map(Fingerprint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_what_they_always_were() {
        let order = |number: u128| partition(&Subject::Order(OrderId::from_bytes(number.to_be_bytes())));
        assert_eq!((order(0), order(1), order(u128::MAX)), (8, 11, 0), "stored partitions must stay what they are");
        let mut counts = [0; PARTITIONS as usize];
        for _ in 0..16_000 {
            let id = OrderId::from_uuid(uuid::Uuid::now_v7());
            counts[usize::from(partition(&Subject::Order(id)))] += 1;
        }
        assert!(counts.iter().all(|count| (700..1_300).contains(count)), "{counts:?}");
    }

    #[test]
    fn subjects_come_back() {
        let id = OrderId::from_uuid(uuid::Uuid::now_v7());
        let record = RecordId::from_uuid(uuid::Uuid::now_v7());
        let (text, parcel, customer) = ("ä".parse(), "p".parse(), "c".parse());
        let subjects = [
            Subject::Order(id),
            Subject::Record(record),
            Subject::Product(text.expect("a plain id")),
            Subject::Parcel(parcel.expect("a plain id")),
            Subject::Customer(customer.expect("a plain id")),
        ];
        for subject in subjects {
            let found = subject_of(kind_code(subject.kind()), &subject_bytes(&subject));
            assert_eq!(found.expect("it was written so"), subject);
        }
        assert!(subject_of(9, b"").is_err() && subject_of(1, b"short").is_err());
    }
}
