//! Reads parked deliveries, a page of those that are due first at a time, as soon as a role runs low. So neither leases nor memory depend on how
//! many there are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ordermill_core::Timestamp;
use ordermill_core::process::Role;

use super::read::{HEADER, entry};
use super::state::{PAGE, Row, Want, delivery};
use crate::codec::{get, int, limit, natural, small};
use crate::error::StoreError;
use crate::read::rows;
use crate::shared::Shared;

/// How long a role's rows are left alone when they could not be read.
const PAUSE: Duration = Duration::from_secs(1);

/// Reads the rows of one role, whenever it runs low, until the ledger closes. Not in the call of whoever receives: a broker beside this bus
/// calls it off as soon as it has something itself.
pub(crate) async fn run(shared: Arc<Shared>, role: Role) {
    let seat = shared.bus.seat(role);
    let work = async {
        loop {
            seat.reader.notified().await;
            let wants = seat.state.lock().begin_paging(shared.now(), Instant::now());
            match read(&shared, role, &wants).await {
                Ok((rows, ahead)) => seat.state.lock().end_paging(&wants, rows, &ahead),
                Err(error) => {
                    tracing::warn!(role = role.as_str(), %error, "parked deliveries cannot be read; they wait");
                    seat.state.lock().give_up_paging();
                    tokio::time::sleep(PAUSE).await;
                }
            }
            seat.bell.notify_waiters();
        }
    };
    tokio::select! {
        () = work => {}
        () = shared.closing() => {}
    }
}

/// One page of each partition, and which positions behind the cursors of those that were just taken have a row: a few thousand at most, as
/// nothing holds a cursor back for longer than that; more only behind a change of what feeds the role.
async fn read(shared: &Shared, role: Role, wants: &[Want]) -> Result<(Vec<Row>, Vec<(u8, u64)>), StoreError> {
    if wants.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let client = shared.pool.client().await?;
    let mut ahead = Vec::new();
    if let Some(cursor) = wants.iter().filter_map(|want| want.ahead_of).min() {
        let taken: Vec<i16> =
            wants.iter().filter(|want| want.ahead_of.is_some()).map(|want| i16::from(want.partition)).collect();
        let sql = "SELECT partition, position FROM parked WHERE role = $1 AND position > $2 AND partition = ANY($3)";
        for row in rows(&client, sql, &[&role.as_str(), &int(cursor), &taken]).await? {
            ahead.push((partition(get(&row, 0)?), natural(get(&row, 1)?)));
        }
    }
    // By the indexes, whatever the planner thinks of the tables' sizes.
    let sql = format!(
        "SELECT p.partition, p.due, p.position, p.tries, e.*
         FROM unnest($2::smallint[], $3::timestamptz[], $4::bigint[]) AS w (partition, due, position)
         CROSS JOIN LATERAL (
             SELECT p.partition, p.due, p.position, p.tries FROM parked AS p
             WHERE p.role = $1 AND p.partition = w.partition AND (p.due, p.position) >= (w.due, w.position)
             ORDER BY p.due, p.position LIMIT $5
         ) AS p
         LEFT JOIN LATERAL (SELECT {HEADER} FROM events AS e WHERE e.position = p.position OFFSET 0) AS e ON true
         ORDER BY p.partition, p.due, p.position"
    );
    let partitions: Vec<i16> = wants.iter().map(|want| i16::from(want.partition)).collect();
    let (due, positions): (Vec<Timestamp>, Vec<i64>) = wants.iter().map(|want| (want.from.0, int(want.from.1))).unzip();
    let found = rows(&client, &sql, &[&role.as_str(), &partitions, &due, &positions, &limit(PAGE)]).await?;
    let row = |row: &tokio_postgres::Row| {
        let (position, tries) = (natural(get(row, 2)?), small(get(row, 3)?));
        let delivery = match get::<Option<i64>>(row, 4)? {
            Some(_) => delivery(role, position, &entry(row, 4)?.1, tries),
            None => None,
        };
        Ok(Row { partition: partition(get(row, 0)?), key: (get(row, 1)?, position), delivery })
    };
    Ok((found.iter().map(row).collect::<Result<_, StoreError>>()?, ahead))
}

fn partition(column: i16) -> u8 {
    u8::try_from(column).unwrap_or(0)
}
