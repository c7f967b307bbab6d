//! Records as they come from outside.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{Checks, Violation, instant};
use crate::event::RecordReceived;
use crate::id::{CorrelationId, RecordId};
use crate::input::TakeRecord;
use crate::limits::{JSON_DEPTH_MAX, RECORD_BYTES_MAX};

/// A record as a caller sends it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordDraft {
    /// An object; what is to be stored.
    pub data: Value,
    /// The time the data names as its own.
    #[serde(default)]
    pub occurred_at: Option<String>,
}

impl RecordDraft {
    /// Checks a record.
    ///
    /// # Errors
    /// Every violation found, in the order of the fields.
    pub fn check(self, record_id: RecordId) -> Result<TakeRecord, Vec<Violation>> {
        let mut checks = Checks::default();
        if !self.data.is_object() {
            checks.report("data", "must be an object");
        }
        checks.json("data", Some(&self.data), RECORD_BYTES_MAX, JSON_DEPTH_MAX);
        let occurred_at = checks.optional("occurred_at", self.occurred_at.as_deref(), instant);
        checks.finish(Some(TakeRecord::new(record_id, self.data, occurred_at, None)))
    }
}

impl TakeRecord {
    /// Takes data that is an object and small enough: see [`fits`].
    #[must_use]
    pub const fn new(
        record_id: RecordId,
        data: Value,
        occurred_at: Option<Timestamp>,
        correlation_id: Option<CorrelationId>,
    ) -> Self {
        Self { record_id, received: RecordReceived { data, occurred_at, correlation_id } }
    }
}

/// Whether data is not larger than one record may be.
#[must_use]
pub fn fits(data: &Value) -> bool {
    data.to_string().len() <= RECORD_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(data: Value, occurred_at: Option<&str>) -> Result<TakeRecord, Vec<String>> {
        let draft = RecordDraft { data, occurred_at: occurred_at.map(str::to_owned) };
        let checked = draft.check(RecordId::from_bytes([7; 16]));
        checked.map_err(|violations| violations.into_iter().map(|violation| violation.field).collect())
    }

    #[test]
    fn a_record_is_an_object_of_bounded_size() {
        let taken = check(json!({"a": 1}), Some("0001-01-01T00:00:00Z")).expect("it is valid");
        assert_eq!(taken.received.data, json!({"a": 1}));
        assert!(taken.received.occurred_at.is_some());
        let wide = |bytes: usize| json!({"a": "x".repeat(bytes - r#"{"a":""}"#.len())});
        assert!(check(wide(RECORD_BYTES_MAX), None).is_ok() && fits(&wide(RECORD_BYTES_MAX)));
        assert_eq!(check(wide(RECORD_BYTES_MAX + 1), None).expect_err("it is too large"), ["data"]);
        assert!(!fits(&wide(RECORD_BYTES_MAX + 1)));
        for none in [json!(null), json!([]), json!("a"), json!(1)] {
            assert_eq!(check(none, Some("yesterday")).expect_err("it is no object"), ["data", "occurred_at"]);
        }
    }
}
