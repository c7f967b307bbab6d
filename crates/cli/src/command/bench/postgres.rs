//! Runs on PostgreSQL: each in a place of its own, with what the server itself counted beside it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio_postgres::Client;

use super::figures::{Figures, Variant, Work};
use super::measure::{Plan, Ready};
use super::place::Place;

/// PostgreSQL counts the work of a connection when it ends, and its ends are not waited for by who ends it.
const COUNTED_WITHIN: Duration = Duration::from_secs(10);
/// Once nothing was added for so long, everything is counted.
const COUNTED_AFTER: Duration = Duration::from_millis(500);

/// One run: servers in a place of their own, the load, and what came of it.
pub(super) async fn measure(plan: &Plan, variant: Variant, place: Place, data: &Path) -> Result<Figures> {
    let outcome = measure_in(&place, plan, variant, data).await;
    place.leave(outcome).await
}

async fn measure_in(place: &Place, plan: &Plan, variant: Variant, data: &Path) -> Result<Figures> {
    let mut environment = plan.environment_of(variant);
    environment.extend(place.settings());
    let ready = Ready::start(plan, data, &environment, plan.layout).await?;
    let server = Counted(&place.client);
    let before = server.counters().await?;
    let (mut figures, orders) = ready.run(plan, variant).await?;
    let after = server.settled_counters().await?;
    figures.postgres = (orders > 0).then(|| after.since(&before, orders as f64));
    Ok(figures)
}

/// A server that counts.
struct Counted<'a>(&'a Client);

impl Counted<'_> {
    async fn counters(&self) -> Result<Counters> {
        let sql = "SELECT (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()), \
                   (pg_current_wal_lsn() - '0/0')::float8, (SELECT wal_sync FROM pg_stat_wal)";
        let row = self.0.query_one(sql, &[]).await.context("PostgreSQL does not tell its counters")?;
        let statements = self.statements().await;
        Ok(Counters { commits: row.get(0), wal_bytes: row.get(1), wal_syncs: row.get(2), statements })
    }

    /// The counters once they stand still.
    async fn settled_counters(&self) -> Result<Counters> {
        let began = Instant::now();
        let mut counters = self.counters().await?;
        loop {
            tokio::time::sleep(COUNTED_AFTER).await;
            let again = self.counters().await?;
            // Looking is a transaction itself.
            let is_still = again.commits - counters.commits <= 2 && again.statements == counters.statements;
            counters = again;
            if is_still || began.elapsed() > COUNTED_WITHIN {
                return Ok(counters);
            }
        }
    }

    /// Statements of everybody else so far; `None` where nothing counts them.
    async fn statements(&self) -> Option<i64> {
        let sql = "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements s \
                   JOIN pg_database d ON d.oid = s.dbid WHERE datname = current_database() AND query NOT LIKE '%pg_stat_%'";
        self.0.query_one(sql, &[]).await.ok().map(|row| row.get(0))
    }
}

struct Counters {
    commits: i64,
    wal_bytes: f64,
    wal_syncs: i64,
    statements: Option<i64>,
}

impl Counters {
    fn since(&self, before: &Self, orders: f64) -> Work {
        let statements = self.statements.zip(before.statements).map(|(after, before)| (after - before) as f64 / orders);
        Work {
            commits_per_order: (self.commits - before.commits) as f64 / orders,
            wal_syncs_per_order: (self.wal_syncs - before.wal_syncs) as f64 / orders,
            wal_bytes_per_order: (self.wal_bytes - before.wal_bytes) / orders,
            statements_per_order: statements,
        }
    }
}
