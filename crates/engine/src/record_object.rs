//! What the objects of records hold, and where they lie.
//!
//! A record is one JSON document in one line, `{"message_id","received_at","attempts","data"}`: its id, when it was taken, the number
//! of the try that wrote it, and what was handed over. It lies alone in an object, or with others in one that has a line for each
//! (NDJSON). Objects are divided by the hour (UTC) in which their records were taken.

use jiff::tz::TimeZone;
use ordermill_core::Timestamp;
use ordermill_core::id::RecordId;
use ordermill_core::record::Record;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where the records begin in the object store.
pub const PREFIX: &str = "processed/";

/// The end of the key of an object with one record.
const SINGLE: &str = ".json";
/// The end of the key of an object with a line for each of its records.
const BATCH: &str = ".ndjson";

/// A record as it is read back.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RecordObject {
    /// The record's id.
    pub message_id: RecordId,
    /// When it was taken.
    pub received_at: Timestamp,
    /// Which of its tries wrote this, from 1.
    pub attempts: u32,
    /// What was handed over.
    pub data: Value,
}

#[derive(Serialize)]
struct Written<'a> {
    message_id: RecordId,
    received_at: Timestamp,
    attempts: u32,
    data: &'a Value,
}

impl RecordObject {
    /// The document for a record, a line with its end, as it is written by try `attempts`.
    ///
    /// # Panics
    /// Never: what is written is plain data with text keys.
    #[must_use]
    pub fn of(record: &Record, attempts: u32) -> Vec<u8> {
        let written =
            Written { message_id: record.id, received_at: record.received_at, attempts, data: &record.received.data };
        let mut line =
            serde_json::to_vec(&written).expect("a record is plain data with text keys, which always serializes");
        line.push(b'\n');
        line
    }

    /// Reads what [`Self::of`] wrote: every record of an object, in the order of its lines.
    ///
    /// # Errors
    /// What the parser says of a line of another shape.
    pub fn parse_all(object: &[u8]) -> Result<Vec<Self>, serde_json::Error> {
        lines(object).map(Self::parse).collect()
    }

    /// Reads one line.
    ///
    /// # Errors
    /// What the parser says of a line of another shape.
    pub fn parse(line: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(line)
    }

    /// The key of the object that holds this record alone: `processed/2026/03/09/23/rec_….json`. It follows from the record, so a
    /// record that is written again takes its own place.
    #[must_use]
    pub fn key(id: RecordId, received_at: Timestamp) -> String {
        format!("{}{id}{SINGLE}", folder(received_at))
    }

    /// The key of an object with many records, by the first of them: `processed/2026/03/09/23/rec_….ndjson`.
    #[must_use]
    pub fn batch_key(first: RecordId, received_at: Timestamp) -> String {
        format!("{}{first}{BATCH}", folder(received_at))
    }
}

/// The lines of an object, without their ends.
pub fn lines(object: &[u8]) -> impl Iterator<Item = &[u8]> {
    object.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

/// Where the objects of the hour lie in which a record was taken: `processed/2026/03/09/23/`.
#[must_use]
pub fn folder(received_at: Timestamp) -> String {
    let at = received_at.to_zoned(TimeZone::UTC);
    format!("{PREFIX}{:04}/{:02}/{:02}/{:02}/", at.year(), at.month(), at.day(), at.hour())
}

/// The parts of the key of an object: its folder, and the record it is named after. `None` when it is no key of ours.
#[must_use]
pub fn parse_key(key: &str) -> Option<(&str, RecordId)> {
    let (folder, name) = key.split_at(key.rfind('/')? + 1);
    let id = name.strip_suffix(SINGLE).or_else(|| name.strip_suffix(BATCH))?.parse().ok()?;
    folder.starts_with(PREFIX).then_some((folder, id))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ordermill_core::event::RecordReceived;
    use serde_json::json;

    use super::*;

    fn record(data: Value) -> Record {
        let received = RecordReceived { data, occurred_at: None, correlation_id: None };
        Record {
            id: RecordId::from_bytes([1; 16]),
            received: Arc::new(received),
            received_at: "2026-03-09T23:59:59.000001-05:00".parse().expect("a time"),
            stored: None,
            stored_at: None,
            version: 1,
        }
    }

    #[test]
    fn a_record_is_one_line_and_is_read_back() {
        let data = json!({"email_content": "a\n\"b\" ä", "n": 0.300_000_000_000_000_04, "deep": [{"x": null}]});
        let record = record(data.clone());
        let line = RecordObject::of(&record, 3);
        let text = String::from_utf8(line.clone()).expect("text");
        let id = "01".repeat(16);
        let head = format!(
            "{{\"message_id\":\"rec_{id}\",\"received_at\":\"2026-03-10T04:59:59.000001Z\",\"attempts\":3,\"data\":{{"
        );
        assert!(text.starts_with(&head), "{text}");
        assert_eq!(text.matches('\n').count(), 1);
        let expected = RecordObject { message_id: record.id, received_at: record.received_at, attempts: 3, data };
        assert_eq!(RecordObject::parse_all(&line).expect("a document"), std::slice::from_ref(&expected));
        let twice = [line.as_slice(), line.as_slice()].concat();
        assert_eq!(RecordObject::parse_all(&twice).expect("two lines"), [expected.clone(), expected]);
    }

    #[test]
    fn keys_go_by_the_hour_in_utc() {
        let record = record(json!({}));
        let (single, batch) =
            (RecordObject::key(record.id, record.received_at), RecordObject::batch_key(record.id, record.received_at));
        let id = "01".repeat(16);
        assert_eq!(single, format!("processed/2026/03/10/04/rec_{id}.json"));
        assert_eq!(batch, format!("processed/2026/03/10/04/rec_{id}.ndjson"));
        for key in [single, batch] {
            assert_eq!(parse_key(&key), Some(("processed/2026/03/10/04/", record.id)));
        }
    }

    #[test]
    fn what_is_no_key_of_ours_is_not_taken_for_one() {
        let id = format!("rec_{}", "01".repeat(16));
        for bad in [
            "",
            "processed/",
            &id,
            &format!("archive/{id}.json"),
            &format!("processed/2026/{id}.txt"),
            "processed/x.json",
        ] {
            assert_eq!(parse_key(bad), None, "{bad}");
        }
    }
}
