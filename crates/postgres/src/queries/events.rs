//! Events: of one subject, and of all.

use std::sync::LazyLock;

use ordermill_core::event::{EventType, Subject};
use ordermill_ports::queries::{Committed, Position};
use tokio_postgres::Row;

use crate::codec::{EVENT_COLUMNS, get, int, kind_code, limit, natural, recorded, subject_bytes, version_int};
use crate::connect::Session;
use crate::error::StoreError;
use crate::read::rows;

static OF: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT position, {EVENT_COLUMNS} FROM events
         WHERE subject_kind = $1 AND subject = $2 AND version > $3 ORDER BY version"
    )
});

static FEED: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT position, {EVENT_COLUMNS} FROM events WHERE position > $1 ORDER BY position LIMIT $2")
});

static AT: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT position, {EVENT_COLUMNS} FROM events WHERE position = ANY($1) ORDER BY position")
});

/// The events of one subject behind a version.
pub(super) async fn of(client: &Session, subject: &Subject, after: u32) -> Result<Vec<Committed>, StoreError> {
    let bytes = subject_bytes(subject);
    let found = rows(client, &OF, &[&kind_code(subject.kind()), &&*bytes, &version_int(after)]).await?;
    found.iter().map(committed).collect()
}

/// All events behind a position.
pub(super) async fn feed(client: &Session, after: Position, max: usize) -> Result<Vec<Committed>, StoreError> {
    let found = rows(client, &FEED, &[&int(after.0), &limit(max)]).await?;
    found.iter().map(committed).collect()
}

/// The events at these positions, oldest first, but for those that only a newer program can read.
pub(super) async fn at(client: &Session, positions: &[Position]) -> Result<Vec<Committed>, StoreError> {
    let positions: Vec<i64> = positions.iter().map(|position| int(position.0)).collect();
    let found = rows(client, &AT, &[&positions]).await?;
    let known = found.iter().filter_map(|row| match is_newer(row) {
        Ok(true) => None,
        Ok(false) => Some(committed(row)),
        Err(error) => Some(Err(error)),
    });
    known.collect()
}

/// Whether the event is of a type, or of a version of its type, that this program does not know: one of the next release wrote it.
fn is_newer(row: &Row) -> Result<bool, StoreError> {
    // Behind the position: kind of subject, subject, version, type, schema.
    let (name, schema): (&str, i16) = (get(row, 4)?, get(row, 5)?);
    let known = EventType::from_name(name).map(EventType::version);
    Ok(known.is_none_or(|known| u16::try_from(schema).is_ok_and(|schema| schema > known)))
}

fn committed(row: &Row) -> Result<Committed, StoreError> {
    Ok(Committed { position: Position(natural(get(row, 0)?)), recorded: recorded(row, 1)? })
}
