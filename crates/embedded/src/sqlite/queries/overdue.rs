//! Orders whose time is over.

use jiff::SignedDuration;
use ordermill_core::Timestamp;
use ordermill_core::id::OrderId;
use ordermill_core::order::Status;
use ordermill_core::policy::Policy;
use rusqlite::Connection;

use super::super::codec::{instant, order_id_of, status_code};
use super::super::deadlines::WATCHED;
use super::super::error::StoreError;
use super::super::read;
use super::super::shared::Shared;

/// Rows swept in one call: a few milliseconds.
const SWEEP_ROWS: usize = 5_000;

/// Orders filed in memory beyond which no more rows are swept; those filed come up first.
const FILED_MAX: usize = 200_000;

/// Orders whose deadline is over, the oldest deadline first.
pub(super) fn overdue(
    conn: &Connection,
    shared: &Shared,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<OrderId>, StoreError> {
    for (state, status) in WATCHED.into_iter().enumerate() {
        sweep(conn, shared, now, state, status)?;
    }
    let mut overdue = open(shared, now);
    overdue.extend(at_rest(conn, shared, now, limit)?);
    overdue.sort_unstable();
    overdue.truncate(limit);
    Ok(overdue.into_iter().map(|(_, id)| id).collect())
}

type Due = Vec<(Timestamp, OrderId)>;

/// Open orders whose deadline is over.
fn open(shared: &Shared, now: Timestamp) -> Due {
    let mut due = Due::new();
    if !shared.deadlines.lock().look_through(now) {
        return due;
    }
    let mut earliest = Timestamp::MAX;
    shared.orders.each_open(|order| {
        if let Some(deadline) = order.deadline(&shared.policy) {
            earliest = earliest.min(deadline);
            if deadline <= now {
                due.push((deadline, order.id));
            }
        }
    });
    shared.deadlines.lock().looked_through(earliest);
    due
}

/// Orders at rest whose deadline is over: up to `limit` of those filed, the oldest first.
fn at_rest(conn: &Connection, shared: &Shared, now: Timestamp, limit: usize) -> Result<Due, StoreError> {
    let mut overdue = Due::new();
    loop {
        // Deadlines corrected below move away, so each round sees others, or none.
        let due = shared.deadlines.lock().due(now, limit);
        let mut corrected = false;
        overdue.clear();
        for (filed, id) in due {
            let order = match shared.orders.order(id) {
                Some(order) => Some(order),
                None => readable(read::order(conn, &shared.types, id))?.map(|held| held.order),
            };
            let deadline = order.and_then(|order| order.deadline(&shared.policy));
            if deadline.is_some_and(|deadline| deadline <= now) {
                overdue.push((filed, id));
            } else {
                shared.deadlines.lock().correct(id, filed, deadline);
                corrected = true;
            }
        }
        if !corrected {
            return Ok(overdue);
        }
    }
}

/// One record that cannot be read must not keep the deadlines of all others from being met; the auditor names it.
fn readable<T>(read: Result<Option<T>, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Err(StoreError::Unreadable(reason)) => {
            tracing::error!(reason, "a stored order cannot be read; its deadline is not watched");
            Ok(None)
        }
        read => read,
    }
}

const fn budget(policy: &Policy, status: Status) -> SignedDuration {
    match status {
        Status::Shipped => policy.delivery_budget,
        _ => policy.shipping_budget,
    }
}

/// Files the next orders at rest that may be over their time: only those taken longer ago than the budget can be.
fn sweep(conn: &Connection, shared: &Shared, now: Timestamp, state: usize, status: Status) -> Result<(), StoreError> {
    let budget = budget(&shared.policy, status);
    // Ids tell milliseconds: those of the very millisecond are swept too.
    let taken = now.saturating_sub(budget).and_then(|at| at.checked_add(SignedDuration::from_millis(1)));
    let up_to = OrderId::first_at(taken.unwrap_or(Timestamp::MIN));
    let from = {
        let mut deadlines = shared.deadlines.lock();
        let from = deadlines.swept(state);
        if from >= Some(up_to) || deadlines.len() >= FILED_MAX {
            return Ok(());
        }
        deadlines.begin_sweep(state, up_to);
        from
    };
    let read = rows(conn, status, from, up_to);
    let (found, last) = match read {
        Ok(rows) => rows,
        Err(error) => {
            shared.deadlines.lock().end_sweep(state, from, Vec::new());
            return Err(error);
        }
    };
    let deadline = |since: Timestamp| since.saturating_add(budget).unwrap_or(Timestamp::MAX);
    let found = found.into_iter().map(|(id, since)| (id, deadline(since))).collect();
    shared.deadlines.lock().end_sweep(state, last.or(Some(up_to)), found);
    Ok(())
}

type Found = Vec<(OrderId, Timestamp)>;

/// Rows of a state with ids behind `from` and up to `up_to` that are watched, and where to go on if there are more.
fn rows(
    conn: &Connection,
    status: Status,
    from: Option<OrderId>,
    up_to: OrderId,
) -> Result<(Found, Option<OrderId>), StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT id, watched FROM closed_orders INDEXED BY closed_by_status
         WHERE status = ?1 AND id > ?2 AND id <= ?3 ORDER BY id LIMIT ?4",
    )?;
    let from = from.unwrap_or(OrderId::from_bytes([0; 16]));
    let mut rows = statement.query((status_code(status), from.as_bytes(), up_to.as_bytes(), SWEEP_ROWS as i64))?;
    let (mut found, mut last, mut count) = (Vec::new(), None, 0);
    while let Some(row) = rows.next()? {
        let id = order_id_of(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?)?;
        if let Some(since) = row.get::<_, Option<i64>>(1)? {
            found.push((id, instant(since)?));
        }
        last = Some(id);
        count += 1;
    }
    Ok((found, last.filter(|_| count == SWEEP_ROWS)))
}
