//! Makes the rows that follow from events, kind by kind, each kind in the order of ids, so that it can be gone on with anywhere.

use std::fmt::Write as _;

use ordermill_core::event::{Recorded, SubjectKind};
use ordermill_ports::moving::{Folded, MoveError, fold};
use tokio_postgres::Row;

use super::rows;
use super::store;
use super::write::Writer;
use crate::codec::{EVENT_COLUMNS, get, kind_code, natural, recorded, subject_bytes};
use crate::error::StoreError;
use crate::snapshot::link::{Cursor, Link};

/// Subjects whose rows are made in one commit.
const SUBJECTS_AT_ONCE: usize = 4_096;

/// The sums that the ledger counts along while it runs.
const SUMS: &str = "UPDATE feed_head SET position = (SELECT coalesce(max(position), 0) FROM events), attention = s.attention,
        placed = s.placed, authorized = s.authorized, reserved = s.reserved, confirmed = s.confirmed, shipped = s.shipped,
        delivered = s.delivered, rejected = s.rejected, cancelled = s.cancelled, returned = s.returned
    FROM (SELECT count(*) FILTER (WHERE attention) AS attention, count(*) FILTER (WHERE status = 'placed') AS placed,
                 count(*) FILTER (WHERE status = 'authorized') AS authorized, count(*) FILTER (WHERE status = 'reserved') AS reserved,
                 count(*) FILTER (WHERE status = 'confirmed') AS confirmed, count(*) FILTER (WHERE status = 'shipped') AS shipped,
                 count(*) FILTER (WHERE status = 'delivered') AS delivered, count(*) FILTER (WHERE status = 'rejected') AS rejected,
                 count(*) FILTER (WHERE status = 'cancelled') AS cancelled, count(*) FILTER (WHERE status = 'returned') AS returned
          FROM orders) AS s";

/// Gives one subject of a kind after the other, by id.
struct Walk {
    link: Link,
    cursor: Cursor,
    /// The first event of the next subject.
    next: Option<(u64, Recorded)>,
}

impl Walk {
    fn begin(mut link: Link, kind: SubjectKind, after: Option<&[u8]>) -> Result<Self, MoveError> {
        let behind = after.map_or_else(String::new, |bytes| {
            let mut condition = "AND subject > '\\x".to_owned();
            for byte in bytes {
                // Writing to a string never fails.
                let _ = write!(condition, "{byte:02x}");
            }
            condition + "'"
        });
        let code = kind_code(kind);
        let sql = format!(
            "SELECT position, {EVENT_COLUMNS} FROM events WHERE subject_kind = {code} {behind} ORDER BY subject, version"
        );
        let cursor = link.begin(&sql)?;
        let mut walk = Self { link, cursor, next: None };
        walk.next = walk.step()?;
        Ok(walk)
    }

    fn step(&mut self) -> Result<Option<(u64, Recorded)>, MoveError> {
        let read = |row: Row| -> Result<_, StoreError> { Ok((natural(get(&row, 0)?), recorded(&row, 1)?)) };
        Ok(self.cursor.next(&self.link)?.map(read).transpose()?)
    }

    /// The position of the next subject's first event, and all its events.
    fn take(&mut self) -> Result<Option<(u64, Vec<Recorded>)>, MoveError> {
        let Some((first, event)) = self.next.take() else { return Ok(None) };
        let mut events = vec![event];
        while let Some((position, event)) = self.step()? {
            if event.subject != events[0].subject {
                self.next = Some((position, event));
                break;
            }
            events.push(event);
        }
        Ok(Some((first, events)))
    }
}

impl Writer {
    /// Goes on making rows where that was left.
    pub(super) fn derive_rows(&mut self, on_progress: &mut dyn FnMut(u64)) -> Result<(), MoveError> {
        let row = self.runtime.block_on(async {
            // So many rows are new that the planner knows nothing of them.
            self.client.batch_execute("ANALYZE events").await?;
            self.client.query_one("SELECT stage, after FROM moving", &[]).await
        });
        let row = row.map_err(store)?;
        let (stage, mut after): (i16, Option<Vec<u8>>) = (row.get(0), row.get(1));
        let mut done = 0;
        for (number, kind) in (0_i16..).zip(SubjectKind::ALL) {
            if number >= stage {
                self.derive_kind((number, kind), after.take(), &mut |more| {
                    done += more;
                    on_progress(done);
                })?;
            }
        }
        Ok(())
    }

    fn derive_kind(
        &mut self,
        (stage, kind): (i16, SubjectKind),
        after: Option<Vec<u8>>,
        on_progress: &mut dyn FnMut(u64),
    ) -> Result<(), MoveError> {
        let link = Link::open(&self.options, true)?;
        let mut walk = Walk::begin(link, kind, after.as_deref())?;
        let is_last = kind == SubjectKind::ALL[SubjectKind::ALL.len() - 1];
        let mut is_over = false;
        while !is_over {
            let mut folded: Vec<(u64, Folded)> = Vec::new();
            let mut last = None;
            while folded.len() < SUBJECTS_AT_ONCE {
                let Some((first, events)) = walk.take()? else {
                    is_over = true;
                    break;
                };
                let subject = &events[0].subject;
                folded.push((first, fold(subject, &events)?));
                last = Some(subject_bytes(subject).into_owned());
            }
            let stage = if is_over { stage + 1 } else { stage };
            let after = last.filter(|_| !is_over);
            let policy = &self.options.policy;
            self.runtime.block_on(async {
                let tx = self.client.transaction().await.map_err(store)?;
                rows::write(&tx, &folded, policy).await?;
                if is_over && is_last {
                    tx.execute(SUMS, &[]).await.map_err(store)?;
                }
                tx.execute("UPDATE moving SET stage = $1, after = $2", &[&stage, &after]).await.map_err(store)?;
                tx.commit().await.map_err(store)
            })?;
            on_progress(folded.len() as u64);
        }
        Ok(())
    }
}
