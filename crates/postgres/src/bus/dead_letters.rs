//! Deliveries that were given up: listed, and delivered again.

use ordermill_core::process::Role;
use ordermill_ports::bus::DeadLetter;

use super::read::{HEADER, entry, reload};
use super::state::delivery;
use crate::codec::{get, int, limit, natural, small};
use crate::error::StoreError;
use crate::notify;
use crate::read::rows;
use crate::shared::Shared;

/// Dead letters by id, beginning behind `after`; without those of roles and events that this program does not know.
pub(super) async fn list(shared: &Shared, after: Option<u64>, count: usize) -> Result<Vec<DeadLetter>, StoreError> {
    let client = shared.pool.caller().await?;
    let sql = format!(
        "SELECT d.id, d.role, d.tries, d.reason, d.since, {HEADER} FROM dead_letters AS d JOIN events AS e USING (position)
         WHERE d.id > $1 ORDER BY d.id LIMIT $2"
    );
    let rows = rows(&client, &sql, &[&int(after.unwrap_or(0)), &limit(count)]).await?;
    let mut letters = Vec::with_capacity(rows.len());
    for row in &rows {
        let (position, entry) = entry(row, 5)?;
        let (Some(role), Some(kind)) = (Role::from_name(get(row, 1)?), entry.kind) else { continue };
        let delivery = delivery(role, position, &entry, kind, small(get(row, 2)?));
        letters.push(DeadLetter { id: natural(get(row, 0)?), delivery, reason: get(row, 3)?, since: get(row, 4)? });
    }
    Ok(letters)
}

/// Parks dead letters anew, due at once, with no tries counted, and tells whoever leases them. Gives how many there were.
pub(super) async fn redrive(shared: &Shared, ids: &[u64]) -> Result<usize, StoreError> {
    if ids.is_empty() {
        return Ok(0);
    }
    let ids: Vec<i64> = ids.iter().copied().map(int).collect();
    let roles: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
    let client = shared.pool.caller().await?;
    let sql = "WITH gone AS (DELETE FROM dead_letters WHERE id = ANY($1) AND role = ANY($2) RETURNING role, position, partition),
                    again AS (INSERT INTO parked (role, position, partition, due, tries, reason, redriven)
                              SELECT role, position, partition, $3, 0, 'redriven', true FROM gone
                              ON CONFLICT (role, position) DO UPDATE
                              SET due = excluded.due, tries = 0, reason = 'redriven', redriven = true RETURNING 1)
               SELECT count(*), CASE WHEN count(*) > 0 THEN pg_notify($4, $5)::text END FROM again";
    let channel = notify::channel(&shared.schema);
    let told = rows(&client, sql, &[&ids, &roles, &shared.now(), &channel, &notify::REDRIVEN]).await?;
    let count = told.first().map_or(Ok(0), |row| get::<i64>(row, 0)).map(natural)?;
    if count > 0 {
        // The commit counts, whether or not it is found at once: the next look finds it.
        if let Err(error) = reload(shared, &client).await {
            tracing::warn!(%error, "redriven deliveries are found with a delay");
        }
    }
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}
