//! The events of one kind of subject, each subject's together, beside their rows.

use std::cmp::Ordering;
use std::fmt::Write as _;

use ordermill_core::event::{Recorded, Subject, SubjectKind};
use ordermill_ports::audit::AuditError;
use rusqlite::{Connection, Rows};

use super::super::codec::{self, EVENT_COLUMNS, Types};
use super::super::error::StoreError;

/// The statement for the positions of one kind's events, sorted by subject and version. Only the small columns are sorted; the events
/// themselves are read one by one, mostly near each other.
///
/// Events of types that this program does not know count as of an order or a product, so that they are met, and not passed over.
pub(super) fn positions(types: &Types, kind: SubjectKind) -> String {
    let codes = |kinds: &[SubjectKind]| {
        let mut list = String::new();
        for code in kinds.iter().flat_map(|kind| types.codes_of(*kind)) {
            // Writing to a string never fails.
            let _ = write!(list, "{}{code}", if list.is_empty() { "" } else { ", " });
        }
        list
    };
    let condition = match kind {
        SubjectKind::Order => format!("typeof(subject) = 'blob' AND type NOT IN ({})", codes(&[SubjectKind::Record])),
        SubjectKind::Product => {
            let others = codes(&[SubjectKind::Customer, SubjectKind::Parcel]);
            format!("typeof(subject) = 'text' AND type NOT IN ({others})")
        }
        SubjectKind::Customer | SubjectKind::Parcel | SubjectKind::Record => format!("type IN ({})", codes(&[kind])),
    };
    format!("SELECT subject, position FROM events WHERE {condition} ORDER BY subject, version, position")
}

/// Gives the events of one subject after the other.
pub(super) struct Histories<'s> {
    rows: Rows<'s>,
    conn: &'s Connection,
    types: &'s Types,
    /// The first event of the next subject.
    next: Option<Recorded>,
}

impl<'s> Histories<'s> {
    /// Begins with rows that [`positions`] gave.
    pub(super) fn begin(rows: Rows<'s>, conn: &'s Connection, types: &'s Types) -> Result<Self, StoreError> {
        let mut histories = Self { rows, conn, types, next: None };
        histories.next = histories.step()?;
        Ok(histories)
    }

    fn step(&mut self) -> Result<Option<Recorded>, StoreError> {
        let Some(row) = self.rows.next()? else { return Ok(None) };
        let mut statement =
            self.conn.prepare_cached(&format!("SELECT {EVENT_COLUMNS} FROM events WHERE position = ?1"))?;
        let mut found = statement.query([row.get::<_, i64>(1)?])?;
        found.next()?.map(|row| codec::recorded(row, 0, self.types)).transpose()
    }

    /// The subject whose events come next.
    fn subject(&self) -> Option<&Subject> {
        self.next.as_ref().map(|event| &event.subject)
    }

    /// All events of that subject.
    fn take(&mut self) -> Result<Vec<Recorded>, StoreError> {
        let mut events: Vec<Recorded> = self.next.take().into_iter().collect();
        while let Some(event) = self.step()? {
            if event.subject != events[0].subject {
                self.next = Some(event);
                break;
            }
            events.push(event);
        }
        Ok(events)
    }
}

/// Walks two lists in the order of ids together: either may lack what the other has.
pub(super) fn merge<I: Ord, R>(
    mut histories: Histories<'_>,
    of: impl Fn(&Subject) -> Option<I>,
    mut next_row: impl FnMut() -> Result<Option<(I, R)>, StoreError>,
    mut visit: impl FnMut(I, Option<R>, Vec<Recorded>) -> Result<(), AuditError>,
) -> Result<(), AuditError> {
    let mut row = next_row()?;
    loop {
        let of_events = histories.subject().and_then(&of);
        let order = match (&of_events, &row) {
            (Some(id), Some((of_row, _))) => id.cmp(of_row),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return Ok(()),
        };
        let events = if order == Ordering::Greater { Vec::new() } else { histories.take()? };
        let found = if order == Ordering::Less { None } else { row.take() };
        if found.is_some() {
            row = next_row()?;
        }
        match (found, of_events) {
            (Some((id, found)), _) => visit(id, Some(found), events)?,
            (None, Some(id)) => visit(id, None, events)?,
            (None, None) => return Ok(()),
        }
    }
}
