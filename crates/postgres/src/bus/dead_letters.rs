//! Deliveries that were given up: listed, and delivered again.

use ordermill_core::event::{EventType, SubjectKind};
use ordermill_core::process::Role;
use ordermill_ports::bus::DeadLetter;

use super::read::{HEADER, entry};
use super::state::delivery;
use crate::codec::{get, int, kind_code, limit, natural, small};
use crate::error::StoreError;
use crate::notify;
use crate::read::rows;
use crate::shared::Shared;

/// Dead letters by id, beginning behind `after`; without those of roles that this program does not know, and of events that it cannot read.
pub(super) async fn list(shared: &Shared, after: Option<u64>, count: usize) -> Result<Vec<DeadLetter>, StoreError> {
    let client = shared.pool.caller().await?;
    // They are left out before the page is cut: whoever walks takes an empty page for the end. Each event is found by its position, whatever
    // the planner thinks of how many are of these types.
    let sql = format!(
        "SELECT d.id, d.role, d.tries, d.reason, d.since, {HEADER} FROM dead_letters AS d
         CROSS JOIN LATERAL (SELECT {HEADER} FROM events AS e WHERE e.position = d.position OFFSET 0) AS e
         WHERE d.id > $1 AND d.role = ANY($3) AND e.type = ANY($4) AND e.subject_kind = ANY($5) ORDER BY d.id LIMIT $2"
    );
    let types: Vec<&str> = EventType::ALL.iter().map(|kind| kind.name()).collect();
    let kinds: Vec<i16> = SubjectKind::ALL.into_iter().map(kind_code).collect();
    let rows = rows(&client, &sql, &[&int(after.unwrap_or(0)), &limit(count), &roles(), &types, &kinds]).await?;
    let mut letters = Vec::with_capacity(rows.len());
    for row in &rows {
        let (position, entry) = entry(row, 5)?;
        let Some(role) = Role::from_name(get(row, 1)?) else { continue };
        let Some(delivery) = delivery(role, position, &entry, small(get(row, 2)?)) else { continue };
        letters.push(DeadLetter { id: natural(get(row, 0)?), delivery, reason: get(row, 3)?, since: get(row, 4)? });
    }
    Ok(letters)
}

/// Parks dead letters anew, due at once, with no tries counted, and tells whoever leases them. Gives those that were there.
pub(super) async fn redrive(shared: &Shared, ids: &[u64]) -> Result<Vec<u64>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = ids.iter().copied().map(int).collect();
    let client = shared.pool.caller().await?;
    let sql = "WITH gone AS (DELETE FROM dead_letters WHERE id = ANY($1) AND role = ANY($2) RETURNING id, role, position, partition),
                    again AS (INSERT INTO parked (role, position, partition, due, tries, reason, redriven)
                              SELECT role, position, partition, $3, 0, 'redriven', true FROM gone
                              ON CONFLICT (role, position) DO UPDATE
                              SET due = excluded.due, tries = 0, reason = 'redriven', redriven = true),
                    told AS (SELECT pg_notify($4, $5)::text AS done WHERE EXISTS (SELECT FROM gone))
               SELECT gone.id, told.done FROM gone CROSS JOIN told";
    let channel = notify::channel(&shared.schema);
    let gone = rows(&client, sql, &[&ids, &roles(), &shared.now(), &channel, &notify::REDRIVEN]).await?;
    let found: Vec<u64> = gone.iter().map(|row| get(row, 0).map(natural)).collect::<Result<_, _>>()?;
    if !found.is_empty() {
        shared.notify.poke_redriven();
    }
    Ok(found)
}

/// The names of the roles that this program knows.
fn roles() -> Vec<&'static str> {
    Role::ALL.iter().map(|role| role.as_str()).collect()
}
