//! The events of one kind of subject, each subject's together, beside their rows.

use std::cmp::Ordering;

use ordermill_core::event::{Recorded, Subject, SubjectKind};
use ordermill_ports::audit::AuditError;
use tokio_postgres::Row;

use super::link::{Cursor, Link};
use super::unread::Unread;
use crate::codec::{EVENT_COLUMNS, kind_code, recorded};
use crate::error::StoreError;

/// One subject's events after the other's.
struct Histories {
    cursor: Cursor,
    /// The first event of the next subject.
    next: Option<Recorded>,
}

impl Histories {
    fn begin(link: &mut Link, kind: SubjectKind, condition: &str, unread: &mut Unread) -> Result<Self, AuditError> {
        let code = kind_code(kind);
        let sql = format!(
            "SELECT {EVENT_COLUMNS} FROM events WHERE subject_kind = {code} {condition} ORDER BY subject, version"
        );
        let mut histories = Self { cursor: link.begin(&sql)?, next: None };
        histories.next = histories.step(link, unread)?;
        Ok(histories)
    }

    /// The next event that can be read. One that cannot leaves a gap, or a row that says more than the events do: so it is missed.
    fn step(&mut self, link: &Link, unread: &mut Unread) -> Result<Option<Recorded>, AuditError> {
        while let Some(row) = self.cursor.next(link)? {
            if let Some(event) = unread.sift(recorded(&row, 0), || "an event".to_owned())? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// All events of the next subject.
    fn take(&mut self, link: &Link, unread: &mut Unread) -> Result<Vec<Recorded>, AuditError> {
        let mut events: Vec<Recorded> = self.next.take().into_iter().collect();
        while let Some(event) = self.step(link, unread)? {
            if event.subject != events[0].subject {
                self.next = Some(event);
                break;
            }
            events.push(event);
        }
        Ok(events)
    }
}

/// Which subjects are walked over: all of a kind, or those that meet a condition on their events.
pub(super) struct Walk<'a> {
    pub(super) kind: SubjectKind,
    /// Rows in the order of ids.
    pub(super) rows: &'a str,
    /// More conditions on events; empty, or it begins with AND.
    pub(super) events: &'a str,
}

/// Walks over rows and events in the order of ids together: either may lack what the other has. What cannot be read is noted and passed
/// over.
pub(super) fn each<I: Ord, R>(
    (link, unread): (&mut Link, &mut Unread),
    walk: &Walk<'_>,
    of: impl Fn(&Subject) -> Option<I>,
    read: impl Fn(&Row) -> Result<(I, R), StoreError>,
    mut visit: impl FnMut(I, Option<R>, Vec<Recorded>) -> Result<(), AuditError>,
) -> Result<(), AuditError> {
    let mut histories = Histories::begin(link, walk.kind, walk.events, unread)?;
    let mut rows = link.begin(walk.rows)?;
    let next_row = |rows: &mut Cursor, link: &Link, unread: &mut Unread| -> Result<Option<(I, R)>, AuditError> {
        while let Some(row) = rows.next(link)? {
            if let Some(read) = unread.sift(read(&row), || format!("a row ({})", walk.kind.as_str()))? {
                return Ok(Some(read));
            }
        }
        Ok(None)
    };
    let mut row = next_row(&mut rows, link, unread)?;
    loop {
        let of_events = histories.next.as_ref().and_then(|event| of(&event.subject));
        let order = match (&of_events, &row) {
            (Some(id), Some((of_row, _))) => id.cmp(of_row),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => break,
        };
        let events = if order == Ordering::Greater { Vec::new() } else { histories.take(link, unread)? };
        let found = if order == Ordering::Less { None } else { row.take() };
        if found.is_some() {
            row = next_row(&mut rows, link, unread)?;
        }
        match (found, of_events) {
            (Some((id, found)), _) => visit(id, Some(found), events)?,
            (None, Some(id)) => visit(id, None, events)?,
            (None, None) => break,
        }
    }
    rows.end(link)?;
    histories.cursor.end(link)
}
