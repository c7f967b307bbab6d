//! How far a role is behind, in all processes together.

use std::time::{Duration, Instant};

use ordermill_core::Timestamp;
use ordermill_core::event::EventType;
use ordermill_core::process::Role;
use ordermill_ports::bus::Lag;

use super::state::bit;
use crate::codec::{get, natural};
use crate::error::StoreError;
use crate::read::rows;
use crate::shared::Shared;

/// From so many parked deliveries on they are counted seldom: each count goes through all of them.
const MANY: u64 = 10_000;

/// How long such a count is good for.
const COUNTED_FOR: Duration = Duration::from_secs(10);

/// The first event that is neither settled nor parked, then what is parked. A partition whose role was never run begins at 0. Of a role
/// that a broker feeds, what is before the relay's cursors is the broker's to count.
const SQL: &str = "
    WITH cursors AS (
        SELECT p.partition::smallint, coalesce(l.position, 0) AS position
        FROM generate_series(0, 15) AS p (partition)
        LEFT JOIN leases AS l ON l.partition = p.partition AND l.role = $3
    ), first AS (
        SELECT e.position, e.at FROM events AS e JOIN cursors AS c USING (partition)
        WHERE e.position > (SELECT min(position) FROM cursors) AND e.position > c.position AND e.type = ANY($2)
        ORDER BY e.position LIMIT 1
    )
    SELECT (SELECT position FROM feed_head), (SELECT position FROM first), (SELECT at FROM first),
           CASE WHEN $4 THEN (SELECT count(*) FROM parked WHERE role = $1) END,
           (SELECT at FROM events WHERE position = (SELECT min(position) FROM parked WHERE role = $1))";

/// How far a role is behind, here. What this process has in hand again does not wait; of other processes that is not known.
pub(super) async fn lag(shared: &Shared, role: Role) -> Result<Lag, StoreError> {
    let seat = shared.bus.seat(role);
    let (cursors, kinds) = match seat.is_fed_elsewhere {
        true => (Role::Relay, super::kinds(role, false)),
        false => (role, seat.kinds),
    };
    let is_of_interest = |kind: &&EventType| kinds & bit(**kind) != 0;
    let kinds: Vec<&str> = EventType::ALL.iter().filter(is_of_interest).map(|kind| kind.name()).collect();
    if kinds.is_empty() {
        return Ok(Lag::default());
    }
    let is_good = |(when, count): &(Instant, u64)| *count >= MANY && when.elapsed() < COUNTED_FOR;
    let counted = seat.counted.lock().filter(is_good);
    let client = shared.pool.client().await?;
    let found = rows(&client, SQL, &[&role.as_str(), &kinds, &cursors.as_str(), &counted.is_none()]).await?;
    let row = found.first().ok_or(StoreError::Raced)?;
    let head = natural(get(row, 0)?);
    let first = get::<Option<i64>>(row, 1)?.map(natural);
    let (_, parked) = match get::<Option<i64>>(row, 3)?.map(natural) {
        Some(count) => *seat.counted.lock().insert((Instant::now(), count)),
        None => counted.unwrap_or((Instant::now(), 0)),
    };
    let oldest: [Option<Timestamp>; 2] = [get(row, 2)?, get(row, 4)?];
    Ok(Lag {
        events: first.map_or(0, |first| (head + 1).saturating_sub(first)),
        parked: parked.saturating_sub(seat.state.lock().rows_out()),
        oldest: oldest.into_iter().flatten().min(),
    })
}
