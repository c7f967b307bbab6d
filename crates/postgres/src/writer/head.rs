//! The end of a transaction: the feed's head, the events at their positions, and what needs these positions.

use std::collections::{HashMap, HashSet};

use ordermill_core::Timestamp;
use ordermill_core::event::Subject;
use ordermill_core::id::ParcelId;
use ordermill_core::order::Status;
use ordermill_ports::queries::Position;

use super::overlay::{NewEvent, Overlay};
use crate::codec::{get, int, kind_code, natural, partition, subject_bytes, version_int};
use crate::connect::Tx;
use crate::error::StoreError;
use crate::read::{execute, rows};

/// The sums after a commit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    /// The newest event.
    pub(crate) position: Position,
    /// Orders that are not decided.
    pub(crate) undecided: u64,
}

/// Moves the head, whose lock is held from here to the end of the transaction, and appends the events: one statement, so that the lock is
/// not held while anything travels.
const APPEND: &str = "WITH head AS (
        UPDATE feed_head SET position = position + $1, mailbox_end = greatest(mailbox_end, $2), attention = attention + $3,
            placed = placed + ($4::bigint[])[1], authorized = authorized + ($4::bigint[])[2],
            reserved = reserved + ($4::bigint[])[3], confirmed = confirmed + ($4::bigint[])[4],
            shipped = shipped + ($4::bigint[])[5], delivered = delivered + ($4::bigint[])[6],
            rejected = rejected + ($4::bigint[])[7], cancelled = cancelled + ($4::bigint[])[8],
            returned = returned + ($4::bigint[])[9]
        RETURNING position, placed + authorized + reserved AS undecided
    ), appended AS (
        INSERT INTO events (position, subject_kind, subject, version, partition, type, schema, at, cause, data)
        SELECT head.position - $1 + n.number, n.subject_kind, n.subject, n.version, n.partition, n.type, n.schema, n.at, n.cause, n.data
        FROM head, unnest($5::smallint[], $6::bytea[], $7::int[], $8::smallint[], $9::text[], $10::smallint[], $11::timestamptz[],
                          $12::int[], $13::text[])
            WITH ORDINALITY AS n (subject_kind, subject, version, partition, type, schema, at, cause, data, number)
    )
    SELECT position, undecided FROM head";

const INSERT_PARCELS: &str = "INSERT INTO parcels (id, first, status, version)
    SELECT n.id, h.position - n.behind, n.status, n.version
    FROM feed_head AS h, unnest($1::text[], $2::bigint[], $3::text[], $4::int[]) AS n (id, behind, status, version)";

const NOTIFY: &str = "SELECT pg_notify($1, $2)";

/// Every statement that this file sends. One that the connection does not know yet would be sent behind the COMMIT.
pub(super) const STATEMENTS: [&str; 3] = [APPEND, INSERT_PARCELS, NOTIFY];

/// The columns of the sums, in the order of the statement above.
const STATUSES: [Status; 9] = [
    Status::Placed,
    Status::Authorized,
    Status::Reserved,
    Status::Confirmed,
    Status::Shipped,
    Status::Delivered,
    Status::Rejected,
    Status::Cancelled,
    Status::Returned,
];

/// Moves the head and appends the events. Nothing is sent where there are none.
pub(crate) async fn append(tx: &Tx, overlay: &Overlay) -> Result<Option<Head>, StoreError> {
    let events = &overlay.events;
    if events.is_empty() {
        return Ok(None);
    }
    let (attention, by_status) = sums(overlay);
    let mailbox_end = overlay.mailbox_end.map(int);
    let column = |value: fn(&NewEvent) -> i16| -> Vec<i16> { events.iter().map(value).collect() };
    let kinds = column(|event| kind_code(event.subject.kind()));
    let subjects: Vec<_> = events.iter().map(|event| subject_bytes(&event.subject)).collect();
    let subjects: Vec<&[u8]> = subjects.iter().map(|bytes| &**bytes).collect();
    let versions: Vec<i32> = events.iter().map(|event| version_int(event.version)).collect();
    let partitions = column(|event| i16::from(partition(&event.subject)));
    let types: Vec<&str> = events.iter().map(|event| event.kind.name()).collect();
    let schemas = column(|event| i16::try_from(event.kind.version()).unwrap_or(i16::MAX));
    let times: Vec<Timestamp> = events.iter().map(|event| event.at).collect();
    let causes: Vec<Option<i32>> = events.iter().map(|event| event.cause.map(version_int)).collect();
    let data: Vec<&str> = events.iter().map(|event| event.data.as_str()).collect();
    let count = int(events.len() as u64);
    let found = rows(
        tx,
        APPEND,
        &[
            &count,
            &mailbox_end,
            &attention,
            &by_status,
            &kinds,
            &subjects,
            &versions,
            &partitions,
            &types,
            &schemas,
            &times,
            &causes,
            &data,
        ],
    )
    .await?;
    let row = found.first().ok_or_else(|| StoreError::Unreadable("the feed has no head".to_owned()))?;
    Ok(Some(Head { position: Position(natural(get(row, 0)?)), undecided: natural(get(row, 1)?) }))
}

/// How the sums change: orders that wait for a person, and orders by status.
fn sums(overlay: &Overlay) -> (i64, Vec<i64>) {
    let mut attention = 0;
    let mut by_status: HashMap<Status, i64> = HashMap::new();
    for staged in overlay.orders.values().filter(|staged| staged.order.changed) {
        let Some(order) = &staged.order.now else { continue };
        *by_status.entry(order.status).or_default() += 1;
        attention += i64::from(order.attention.is_some());
        if let Some((status, waited)) = staged.before {
            *by_status.entry(status).or_default() -= 1;
            attention -= i64::from(waited);
        }
    }
    (attention, STATUSES.map(|status| by_status.get(&status).copied().unwrap_or(0)).to_vec())
}

/// Writes parcels that were never reported before, behind the head in the same transaction.
pub(crate) async fn insert_parcels(tx: &Tx, overlay: &Overlay) -> Result<(), StoreError> {
    let is_new = |id: &ParcelId| overlay.parcels.get(id).is_some_and(|staged| staged.changed && !staged.has_row);
    let mut seen = HashSet::new();
    let mut new = Vec::new();
    for (event, behind) in overlay.events.iter().zip((0..overlay.events.len()).rev()) {
        if let Subject::Parcel(id) = &event.subject
            && is_new(id)
            && seen.insert(id)
        {
            new.push((id, int(behind as u64)));
        }
    }
    if new.is_empty() {
        return Ok(());
    }
    new.sort_unstable();
    let ids: Vec<&str> = new.iter().map(|(id, _)| id.as_str()).collect();
    let behind: Vec<i64> = new.iter().map(|(_, behind)| *behind).collect();
    let parcels = || new.iter().filter_map(|(id, _)| overlay.parcels.get(*id)?.now.as_ref());
    let statuses: Vec<&str> = parcels().map(|parcel| parcel.status.as_str()).collect();
    let versions: Vec<i32> = parcels().map(|parcel| version_int(parcel.version)).collect();
    execute(tx, INSERT_PARCELS, &[&ids, &behind, &statuses, &versions]).await?;
    Ok(())
}

/// Tells the other processes, at the commit.
pub(crate) async fn tell(tx: &Tx, channel: &str, payload: &str) -> Result<(), StoreError> {
    execute(tx, NOTIFY, &[&channel, &payload]).await?;
    Ok(())
}
