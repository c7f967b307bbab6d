//! Leases: which partitions of a role this process deals with.
//!
//! A process that runs a role says so in `members`, and leases its share of the role's partitions: sixteen, divided by as many
//! processes. All times are the database's; a lease that is over is free for whoever comes first. A process that died is replaced
//! when its leases are over; one that ends properly gives them up.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use deadpool_postgres::{ClientWrapper, Transaction};
use ordermill_core::process::Role;

use super::Newest;
use super::state::State;
use crate::codec::{PARTITIONS, get, int, natural};
use crate::error::StoreError;
use crate::notify;
use crate::read::Param;
use crate::shared::Shared;

/// How long the end of a process waits for its leases to be given up; they are over soon in any case.
const CLOSE_MAX: Duration = Duration::from_secs(3);

/// What one process wants of its leases on one role.
#[derive(Debug, Default)]
struct Plan {
    /// To renew: partition, token, how far the cursor goes.
    renew: Vec<(u8, i64, u64)>,
    /// To give up, likewise.
    release: Vec<(u8, i64, u64)>,
    /// How many more it wants.
    wants: u8,
}

/// Renews the leases of this process, gives up what is beyond its share, and takes what is free within it. One transaction, which is as short
/// however much is parked: that is read later.
pub(crate) async fn pass(shared: &Shared, client: &mut ClientWrapper) -> Result<(), StoreError> {
    let bus = &shared.bus;
    let (roles, left) = (bus.roles(), bus.left());
    if roles.is_empty() && left.is_empty() {
        return Ok(());
    }
    // Before the database's clock is asked, so that we never believe a lease to hold for longer than it does.
    let holds_until = Instant::now() + bus.lease;
    let tx = client.transaction().await?;
    // Should a crash of the server undo it, it is as if the leases had run out.
    tx.batch_execute("SET LOCAL synchronous_commit TO off").await?;
    let is_news = join(shared, &tx, &roles).await? | part(shared, &tx, &left).await?;
    let shares = shares(shared, &tx, &roles).await?;
    let plans: Vec<(Role, Plan)> = roles
        .iter()
        .chain(&left)
        .map(|role| {
            let mut state = bus.seat(*role).state.lock();
            state.pass_over(&bus.feed);
            let patience = if left.contains(role) { Duration::ZERO } else { bus.lease };
            (*role, plan(&mut state, shares.get(role.as_str()).copied().unwrap_or(0), patience))
        })
        .collect();
    let renewed = renew(shared, &tx, &plans).await?;
    let released = release(shared, &tx, &plans).await?;
    let taken = take(shared, &tx, &plans).await?;
    if is_news || released {
        notify::send(&tx, &shared.schema, notify::LEASES).await?;
    }
    tx.commit().await?;
    apply(shared, plans, &renewed, taken, holds_until);
    left.iter().for_each(|role| bus.seat(*role).is_left.store(false, Ordering::Release));
    Ok(())
}

/// Says that this process runs these roles. Whether that is news to others.
async fn join(shared: &Shared, tx: &Transaction<'_>, roles: &[Role]) -> Result<bool, StoreError> {
    let names: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    let seconds = shared.bus.lease.as_secs_f64();
    let sql = "WITH gone AS (DELETE FROM members WHERE until < clock_timestamp() - interval '1 minute')
               INSERT INTO members (role, process, until)
               SELECT role, $2, clock_timestamp() + make_interval(secs => $3) FROM unnest($1::text[]) AS r (role)
               ON CONFLICT (role, process) DO UPDATE SET until = excluded.until RETURNING xmax = 0";
    let rows = tx.query(&tx.prepare_cached(sql).await?, &[&names, &shared.bus.process, &seconds]).await?;
    let mut is_news = false;
    for row in &rows {
        is_news |= get::<bool>(row, 0)?;
    }
    if is_news {
        let sql = "INSERT INTO leases (role, partition)
                   SELECT role, partition FROM unnest($1::text[]) AS r (role), generate_series(0, $2::integer - 1) AS p (partition)
                   ORDER BY role, partition ON CONFLICT DO NOTHING";
        tx.execute(&tx.prepare_cached(sql).await?, &[&names, &i32::from(PARTITIONS)]).await?;
    }
    Ok(is_news)
}

/// Says that this process no longer runs these roles. Whether that is news to others.
async fn part(shared: &Shared, tx: &Transaction<'_>, roles: &[Role]) -> Result<bool, StoreError> {
    if roles.is_empty() {
        return Ok(false);
    }
    let names: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    let sql = "DELETE FROM members WHERE process = $1 AND role = ANY($2)";
    Ok(tx.execute(&tx.prepare_cached(sql).await?, &[&shared.bus.process, &names]).await? > 0)
}

/// How many partitions of each role are this process's share. The shares of all who are there add up to all partitions.
async fn shares(shared: &Shared, tx: &Transaction<'_>, roles: &[Role]) -> Result<BTreeMap<String, u8>, StoreError> {
    let names: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    let sql = "SELECT role, count(*), count(*) FILTER (WHERE process < $2) FROM members
               WHERE role = ANY($1) AND until > clock_timestamp() GROUP BY role";
    let rows = tx.query(&tx.prepare_cached(sql).await?, &[&names, &shared.bus.process]).await?;
    let share = |row: &tokio_postgres::Row| {
        let (members, before) = (natural(get(row, 1)?).max(1), natural(get(row, 2)?));
        let all = u64::from(PARTITIONS);
        let share = all / members + u64::from(before < all % members);
        Ok((get(row, 0)?, u8::try_from(share).unwrap_or(PARTITIONS)))
    };
    rows.iter().map(share).collect()
}

/// Decides what to keep. A partition that is beyond the share is given up when nothing of it is with a receiver, or when that has
/// lasted for as long as a lease.
fn plan(state: &mut State, share: u8, patience: Duration) -> Plan {
    let held: Vec<u8> = (0..PARTITIONS).filter(|partition| state.leases[usize::from(*partition)].is_some()).collect();
    let now = Instant::now();
    let mut plan = Plan::default();
    let mut kept = 0;
    // Those that are leaving go first, unless there is room for them again.
    let leaving = |state: &State, partition: u8| {
        state.leases[usize::from(partition)].as_ref().is_some_and(|lease| lease.leaving.is_some())
    };
    let (mut order, gone): (Vec<u8>, Vec<u8>) = held.into_iter().partition(|partition| !leaving(state, *partition));
    order.extend(gone);
    for partition in order {
        let (is_busy, cursor) = (state.is_busy(partition), state.watermark(partition, |_| false));
        let Some(lease) = &mut state.leases[usize::from(partition)] else { continue };
        let entry = (partition, lease.token, cursor);
        if kept < share {
            lease.leaving = None;
            kept += 1;
            plan.renew.push(entry);
            continue;
        }
        let since = *lease.leaving.get_or_insert(now);
        if is_busy && now.duration_since(since) < patience {
            plan.renew.push(entry);
        } else {
            plan.release.push(entry);
        }
    }
    plan.wants = share - kept;
    plan
}

/// Role, partition, token and cursor of leases, as columns in the order of their keys.
fn columns<'a>(
    plans: &'a [(Role, Plan)],
    part: impl Fn(&'a Plan) -> &'a [(u8, i64, u64)],
) -> (Vec<&'static str>, Vec<i16>, Vec<i64>, Vec<i64>) {
    let mut columns = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (role, plan) in plans {
        for (partition, token, cursor) in part(plan) {
            columns.0.push(role.as_str());
            columns.1.push(i16::from(*partition));
            columns.2.push(*token);
            columns.3.push(int(*cursor));
        }
    }
    columns
}

/// Locks leases in the order of their keys, as settlements do, so that nobody waits in a circle. An error where the server has lost commits
/// that this process knows of: its cursors are of another history.
async fn lock(shared: &Shared, tx: &Transaction<'_>, roles: &[&str], partitions: &[i16]) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT {} FROM leases WHERE (role, partition) IN (SELECT * FROM unnest($5::text[], $6::smallint[]))
         ORDER BY role, partition FOR NO KEY UPDATE OF leases",
        Newest::IS_THERE
    );
    let newest = shared.bus.feed.newest();
    let (known, kind, subject, version) = newest.params();
    let params: [Param<'_>; 6] = [&known, &kind, &subject, &version, &roles, &partitions];
    let rows = tx.query(&tx.prepare_cached(&sql).await?, &params).await?;
    match rows.first().map_or(Ok(true), |row| get(row, 0))? {
        true => Ok(()),
        false => {
            notify::look_again(shared);
            Err(StoreError::Raced)
        }
    }
}

/// Renews leases and moves their cursors. Gives those that are still ours.
async fn renew(
    shared: &Shared,
    tx: &Transaction<'_>,
    plans: &[(Role, Plan)],
) -> Result<BTreeMap<(String, i16), i64>, StoreError> {
    // Those to be released are locked here too, so that all locks are taken in one go.
    let (mut roles, mut partitions, tokens, cursors) = columns(plans, |plan| &plan.renew);
    let renewed = roles.len();
    let (others, their_partitions, ..) = columns(plans, |plan| &plan.release);
    roles.extend(others);
    partitions.extend(their_partitions);
    if roles.is_empty() {
        return Ok(BTreeMap::new());
    }
    lock(shared, tx, &roles, &partitions).await?;
    roles.truncate(renewed);
    partitions.truncate(renewed);
    let sql = "UPDATE leases AS l
               SET until = clock_timestamp() + make_interval(secs => $6), position = greatest(l.position, c.position)
               FROM unnest($2::text[], $3::smallint[], $4::bigint[], $5::bigint[]) AS c (role, partition, token, position)
               WHERE l.role = c.role AND l.partition = c.partition AND l.token = c.token AND l.owner = $1
               RETURNING l.role, l.partition, l.position";
    let seconds = shared.bus.lease.as_secs_f64();
    let statement = tx.prepare_cached(sql).await?;
    let rows = tx.query(&statement, &[&shared.bus.process, &roles, &partitions, &tokens, &cursors, &seconds]).await?;
    rows.iter().map(|row| Ok(((get(row, 0)?, get(row, 1)?), get(row, 2)?))).collect()
}

/// Gives leases up, with their cursors as they are. Whether there were any.
async fn release(shared: &Shared, tx: &Transaction<'_>, plans: &[(Role, Plan)]) -> Result<bool, StoreError> {
    let (roles, partitions, tokens, cursors) = columns(plans, |plan| &plan.release);
    if roles.is_empty() {
        return Ok(false);
    }
    let sql = "UPDATE leases AS l SET owner = NULL, until = '-infinity', position = greatest(l.position, c.position)
               FROM unnest($2::text[], $3::smallint[], $4::bigint[], $5::bigint[]) AS c (role, partition, token, position)
               WHERE l.role = c.role AND l.partition = c.partition AND l.token = c.token AND l.owner = $1";
    tx.execute(&tx.prepare_cached(sql).await?, &[&shared.bus.process, &roles, &partitions, &tokens, &cursors]).await?;
    Ok(true)
}

/// A lease that was taken.
#[derive(Debug)]
struct Taken {
    role: Role,
    partition: u8,
    token: i64,
    cursor: u64,
}

/// Takes leases that are free or over, as many as are wanted of each role; passes over those that somebody takes or settles at
/// this moment.
async fn take(shared: &Shared, tx: &Transaction<'_>, plans: &[(Role, Plan)]) -> Result<Vec<Taken>, StoreError> {
    let wanting = plans.iter().filter(|(_, plan)| plan.wants > 0);
    let (roles, wants): (Vec<&str>, Vec<i64>) =
        wanting.map(|(role, plan)| (role.as_str(), i64::from(plan.wants))).unzip();
    if roles.is_empty() {
        return Ok(Vec::new());
    }
    // Found once, whatever the plan: a second look would pass over those that were taken, and find more.
    let sql = "WITH free AS MATERIALIZED (
                   SELECT w.role, f.partition FROM unnest($2::text[], $3::bigint[]) AS w (role, wants)
                   CROSS JOIN LATERAL (
                       SELECT l.partition FROM leases AS l WHERE l.role = w.role AND l.until < clock_timestamp()
                       ORDER BY l.partition LIMIT w.wants FOR NO KEY UPDATE SKIP LOCKED
                   ) AS f
               )
               UPDATE leases AS l
               SET owner = $1, token = l.token + 1, until = clock_timestamp() + make_interval(secs => $4)
               FROM free WHERE l.role = free.role AND l.partition = free.partition
               RETURNING l.role, l.partition, l.token, l.position";
    let seconds = shared.bus.lease.as_secs_f64();
    let statement = tx.prepare_cached(sql).await?;
    let rows = tx.query(&statement, &[&shared.bus.process, &roles, &wants, &seconds]).await?;
    let taken = |row: &tokio_postgres::Row| {
        let Some(role) = Role::from_name(get(row, 0)?) else { return Ok(None) };
        let partition = u8::try_from(get::<i16>(row, 1)?).unwrap_or(0);
        Ok(Some(Taken { role, partition, token: get(row, 2)?, cursor: natural(get(row, 3)?) }))
    };
    rows.iter().map(taken).filter_map(Result::transpose).collect()
}

/// Brings memory up to what was committed.
fn apply(
    shared: &Shared,
    plans: Vec<(Role, Plan)>,
    renewed: &BTreeMap<(String, i16), i64>,
    taken: Vec<Taken>,
    holds_until: Instant,
) {
    let bus = &shared.bus;
    for (role, plan) in plans {
        let mut state = bus.seat(role).state.lock();
        for (partition, token, _) in plan.release {
            if state.leases[usize::from(partition)].as_ref().is_some_and(|lease| lease.token == token) {
                state.lose(partition);
                tracing::debug!(role = role.as_str(), partition, "gave up a lease");
            }
        }
        let mut lost = Vec::new();
        for (partition, token, _) in plan.renew {
            match renewed.get(&(role.as_str().to_owned(), i16::from(partition))) {
                Some(cursor) => {
                    if let Some(lease) = &mut state.leases[usize::from(partition)] {
                        lease.holds_until = holds_until;
                        lease.committed = lease.committed.max(natural(*cursor));
                    }
                }
                None => lost.push((partition, token)),
            }
        }
        drop(state);
        for (partition, token) in lost {
            bus.fenced(role, partition, token);
        }
    }
    for Taken { role, partition, token, cursor } in taken {
        bus.seat(role).state.lock().take(partition, token, cursor, holds_until);
        tracing::debug!(role = role.as_str(), partition, token, cursor, "took a lease");
    }
    bus.ring_all();
}

/// Gives up all leases of this process, behind its last commit. What it was to settle comes again elsewhere, at once.
pub(crate) async fn close(shared: &Shared) {
    let all = [shared.bus.roles(), shared.bus.left()].concat();
    for role in &all {
        // A receiver that still asks is given nothing.
        shared.bus.seat(*role).is_run.store(false, Ordering::Release);
    }
    let plans: Vec<(Role, Plan)> = all.into_iter().map(|role| (role, farewell(shared, role))).collect();
    if plans.is_empty() {
        return;
    }
    let work = async {
        let mut client = shared.pool.client().await?;
        let tx = client.transaction().await?;
        let (roles, partitions, ..) = columns(&plans, |plan| &plan.release);
        lock(shared, &tx, &roles, &partitions).await?;
        release(shared, &tx, &plans).await?;
        tx.execute("DELETE FROM members WHERE process = $1", &[&shared.bus.process]).await?;
        notify::send(&tx, &shared.schema, notify::LEASES).await?;
        Ok::<_, StoreError>(tx.commit().await?)
    };
    match tokio::time::timeout(CLOSE_MAX, work).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "leases are not given up; they run out by themselves"),
        Err(_) => tracing::warn!("leases are not given up in time; they run out by themselves"),
    }
}

/// Stops handing out a role's deliveries, and plans to give up all its leases.
fn farewell(shared: &Shared, role: Role) -> Plan {
    let mut state = shared.bus.seat(role).state.lock();
    state.pass_over(&shared.bus.feed);
    let mut plan = Plan::default();
    for partition in 0..PARTITIONS {
        let cursor = state.watermark(partition, |_| false);
        if let Some(lease) = &state.leases[usize::from(partition)] {
            plan.release.push((partition, lease.token, cursor));
        }
        state.lose(partition);
    }
    plan
}

#[cfg(test)]
mod tests;
