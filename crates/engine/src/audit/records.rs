//! Records: each by itself, the object of each that was stored, and the objects there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use ordermill_core::Timestamp;
use ordermill_core::event::{RecordReceived, Subject};
use ordermill_core::id::RecordId;
use ordermill_core::invariant::Invariant;
use ordermill_core::record::Record;
use ordermill_ports::audit::{AuditError, RecordHistory};

use super::history::find_gap;
use super::recheck::Suspects;
use super::report::{Finding, Phase, Report};
use super::{ListObjects, ReadObjects};
use crate::record_object::{PREFIX, RecordObject, folder, parse_key};

/// Records of which the objects are read at once.
const BATCH: usize = 256;

/// Seconds of the hours by which objects are divided.
const HOUR: i64 = 3_600;

/// One record: 24 bytes.
struct Entry {
    id: RecordId,
    /// The hour in which it was taken, in hours since 1970; `None` when its events do not tell.
    hour: Option<i32>,
}

/// The records of the ledger, by id.
#[derive(Default)]
pub(super) struct RecordBook(Vec<Entry>);

impl RecordBook {
    /// Whether the ledger has this record.
    pub(super) fn knows(&self, id: RecordId) -> bool {
        self.find(id).is_some()
    }

    fn find(&self, id: RecordId) -> Option<&Entry> {
        self.0.binary_search_by(|entry| entry.id.cmp(&id)).ok().map(|index| &self.0[index])
    }
}

/// A record whose object is to be compared.
struct Waiting {
    id: RecordId,
    received: Arc<RecordReceived>,
    received_at: Timestamp,
    key: Box<str>,
}

/// Judges records as they pass by, and compares their objects a batch at a time.
pub(super) struct RecordCheck<'a, 'r> {
    read: Option<&'a mut ReadObjects<'r>>,
    book: RecordBook,
    waiting: Vec<Waiting>,
}

impl<'a, 'r> RecordCheck<'a, 'r> {
    pub(super) fn new(read: Option<&'a mut ReadObjects<'r>>) -> Self {
        Self { read, book: RecordBook::default(), waiting: Vec::new() }
    }

    /// Takes the next record.
    pub(super) fn add(&mut self, history: &RecordHistory, report: &mut Report<'_>) -> Result<(), AuditError> {
        let id = history.id;
        if self.book.0.last().is_some_and(|last| last.id >= id) {
            return Err(AuditError(format!("the ledger does not give its records by id: {id} came late")));
        }
        let record = judge(history, report);
        let hour =
            record.as_ref().and_then(|record| i32::try_from(record.received_at.as_second().div_euclid(HOUR)).ok());
        self.book.0.push(Entry { id, hour });
        if let Some(Record { received, received_at, stored: Some(stored), .. }) = record
            && self.read.is_some()
        {
            self.waiting.push(Waiting { id, received, received_at, key: stored.key });
        }
        if self.waiting.len() < BATCH { Ok(()) } else { self.compare(report) }
    }

    /// Compares what is waiting. An object is written before the commit that says so, and never holds less later: so whatever the
    /// ledger says was stored has to be there, even while both go on.
    fn compare(&mut self, report: &mut Report<'_>) -> Result<(), AuditError> {
        let Some(read) = self.read.as_mut().filter(|_| !self.waiting.is_empty()) else {
            return Ok(());
        };
        // Neighbours share an object where many records lie in one.
        let mut keys: Vec<String> = self.waiting.iter().map(|record| record.key.to_string()).collect();
        keys.sort_unstable();
        keys.dedup();
        let found = read(&keys)?;
        let parse = |object: Option<Vec<u8>>| match object {
            None => Err("is not there".to_owned()),
            Some(bytes) => RecordObject::parse_all(&bytes).map_err(|error| format!("cannot be read: {error}")),
        };
        let objects: BTreeMap<&str, _> = keys.iter().map(String::as_str).zip(found.into_iter().map(parse)).collect();
        for record in self.waiting.drain(..) {
            let detail = match objects.get(&*record.key) {
                Some(Ok(lines)) => record.differs_from(lines),
                Some(Err(problem)) => Some(format!("it was stored, but its object {} {problem}", record.key)),
                None => Some(format!("it was stored, but its object {} is not there", record.key)),
            };
            if let Some(detail) = detail {
                report.find(Finding::about(Invariant::RecordsAgree, &Subject::Record(record.id), &detail));
            }
        }
        Ok(())
    }

    /// Compares what is left. Gives the records there are.
    pub(super) fn finish(mut self, report: &mut Report<'_>) -> Result<RecordBook, AuditError> {
        self.compare(report)?;
        Ok(self.book)
    }
}

impl Waiting {
    fn differs_from(&self, lines: &[RecordObject]) -> Option<String> {
        let mut held = lines.iter().filter(|line| line.message_id == self.id).peekable();
        if held.peek().is_none() {
            return Some(format!("it was stored, but its object {} does not hold it", self.key));
        }
        let agrees = |line: &RecordObject| line.received_at == self.received_at && line.data == self.received.data;
        let detail = || format!("what its object {} holds is not what was handed over", self.key);
        (!held.all(agrees)).then(detail)
    }
}

/// Judges one record, and counts it. Gives it back when its own records agree with each other.
fn judge(history: &RecordHistory, report: &mut Report<'_>) -> Option<Record> {
    report.totals.records += 1;
    report.totals.events += history.events.len() as u64;
    let subject = Subject::Record(history.id);
    if let Some(detail) = find_gap(&subject, &history.events) {
        report.find(Finding::about(Invariant::EventsWithoutGap, &subject, &detail));
        return None;
    }
    let events = history.events.iter().map(|recorded| (&recorded.event, recorded.at));
    let record = Record::fold(history.id, events);
    report.totals.records_stored += u64::from(record.as_ref().is_some_and(|record| record.stored.is_some()));
    let detail = match (&record, &history.row) {
        (None, _) => Some("its events do not begin with record.received".to_owned()),
        (Some(_), None) => Some("events are stored for it, but no row".to_owned()),
        (Some(record), Some(row)) if row.version != record.version => {
            Some(format!("it is at version {} in its row and at version {} by its events", row.version, record.version))
        }
        (Some(record), Some(row)) if row.stored != record.stored => {
            Some("its row names another object than its events".to_owned())
        }
        (Some(_), Some(_)) => None,
    };
    let Some(detail) = detail else { return record };
    report.find(Finding::about(Invariant::RecordMatchesEvents, &subject, &detail));
    None
}

/// Every object below `processed/` belongs to a record, stored or not, and lies in the hour in which that was taken.
pub(super) fn compare_objects(
    list: &mut ListObjects<'_>,
    book: &RecordBook,
    report: &mut Report<'_>,
    suspects: &mut Suspects,
) -> Result<(), AuditError> {
    report.begin(Phase::RecordObjects, None);
    list(PREFIX, &mut |key| {
        report.step();
        report.totals.record_objects += 1;
        let Some((place, id)) = parse_key(&key) else {
            let detail = format!("the object {key} is that of no record");
            report.find(Finding::new(Invariant::RecordsAgree, detail));
            return Ok(());
        };
        match book.find(id) {
            None => suspects.records.push((id, key)),
            Some(Entry { hour: Some(hour), .. }) if !is_place_of(place, *hour) => {
                let detail = format!("its object {key} does not lie in the hour in which it was taken");
                report.find(Finding::about(Invariant::RecordsAgree, &Subject::Record(id), &detail));
            }
            Some(_) => {}
        }
        Ok(())
    })
}

fn is_place_of(place: &str, hour: i32) -> bool {
    Timestamp::from_second(i64::from(hour) * HOUR).is_ok_and(|begin| folder(begin) == place)
}

/// An object that the second look could not explain either.
pub(super) fn report_unknown(id: RecordId, key: &str, report: &mut Report<'_>) {
    let detail = format!("there is the object {key}, but no such record");
    report.find(Finding::about(Invariant::RecordsAgree, &Subject::Record(id), &detail));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_takes_24_bytes() {
        assert_eq!(size_of::<Entry>(), 24);
    }
}
