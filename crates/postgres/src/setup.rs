//! Processes of one mind: those that run the same role do its outside work by the same books, and get their events in the same way.
//!
//! Two that each charge by a sandbox of their own, or mail into a file of their own, would find nothing of each other's; of two whose events
//! come on different ways each would keep its share from the other. Nothing else would show either, so who is not of the mind of those that
//! are there does not start.

use std::time::{Duration, Instant};

use ordermill_core::process::Role;
use thiserror::Error;

use crate::codec::get;
use crate::error::StoreError;
use crate::shared::Shared;

/// Between two looks whether the others have ended.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Beyond the lease of a process that was killed: it is forgotten by then.
const GRACE: Duration = Duration::from_secs(2);

/// The end of the process does not wait for longer.
const FORGET_MAX: Duration = Duration::from_secs(2);

/// How a process runs a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// Which.
    pub role: Role,
    /// Where it charges, mails or stores, when no other process gets there; empty otherwise.
    pub books: String,
    /// What carries events to it.
    pub bus: String,
}

/// Another process runs a role in another way.
#[derive(Debug, Error)]
pub enum Disagreement {
    /// They would do its work by books that the other one does not see.
    #[error("another process runs {role} with {theirs}, and this one with {ours}")]
    Books {
        /// The role.
        role: &'static str,
        /// Of the other process.
        theirs: String,
        /// Of this one.
        ours: String,
    },
    /// Each would keep its share of the events from the other.
    #[error("another process runs {role} with bus = {theirs}, and this one with bus = {ours}")]
    Bus {
        /// The role.
        role: &'static str,
        /// Of the other process.
        theirs: String,
        /// Of this one.
        ours: String,
    },
    /// The ledger failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Says how this process runs its roles. Waits for those who run one in another way for as long as a lease lasts: they may have ended.
pub(crate) async fn declare(shared: &Shared, setups: &[Setup]) -> Result<(), Disagreement> {
    let until = Instant::now() + shared.bus.lease + GRACE;
    let mut is_told = false;
    loop {
        match try_declare(shared, setups).await {
            Err(error @ (Disagreement::Books { .. } | Disagreement::Bus { .. })) if Instant::now() < until => {
                if !is_told {
                    tracing::warn!(%error, "waits until the other one has ended");
                    is_told = true;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            result => return result,
        }
    }
}

async fn try_declare(shared: &Shared, setups: &[Setup]) -> Result<(), Disagreement> {
    let mut client = shared.pool.writer().await?;
    let tx = client.transaction().await.map_err(StoreError::from)?;
    let found = declare_in(shared, &tx, setups).await?;
    match found {
        Some(disagreement) => Err(disagreement),
        None => Ok(tx.commit().await.map_err(StoreError::from)?),
    }
}

/// One after the other, so that of two that start at the same time the second finds the first.
async fn declare_in(
    shared: &Shared,
    tx: &deadpool_postgres::Transaction<'_>,
    setups: &[Setup],
) -> Result<Option<Disagreement>, StoreError> {
    // Should a crash of the server undo it, the processes there start anew as well. Who has said so and is no member yet is about to be, or
    // has died at its start.
    let sql = "SET LOCAL synchronous_commit TO off;
               LOCK TABLE setups IN SHARE ROW EXCLUSIVE MODE;
               DELETE FROM setups AS s WHERE since < clock_timestamp() - interval '1 minute'
               AND NOT EXISTS (SELECT FROM members AS m WHERE m.role = s.role AND m.process = s.process)";
    tx.batch_execute(sql).await?;
    let sql = "SELECT s.role, s.books, s.bus FROM setups AS s
               JOIN unnest($1::text[], $2::text[], $3::text[]) AS o (role, books, bus) USING (role)
               WHERE s.process <> $4 AND (s.books, s.bus) <> (o.books, o.bus)
               AND (s.since > clock_timestamp() - make_interval(secs => $5)
                    OR EXISTS (SELECT FROM members AS m
                               WHERE m.role = s.role AND m.process = s.process AND m.until > clock_timestamp()))
               ORDER BY s.role, s.process LIMIT 1";
    let roles: Vec<&str> = setups.iter().map(|setup| setup.role.as_str()).collect();
    let books: Vec<&str> = setups.iter().map(|setup| setup.books.as_str()).collect();
    let buses: Vec<&str> = setups.iter().map(|setup| setup.bus.as_str()).collect();
    let (process, lease) = (&shared.bus.process, shared.bus.lease.as_secs_f64());
    let other = tx.query_opt(sql, &[&roles, &books, &buses, process, &lease]).await?;
    if let Some(row) = other {
        let (role, books, bus): (String, String, String) = (get(&row, 0)?, get(&row, 1)?, get(&row, 2)?);
        let ours = setups.iter().find(|setup| setup.role.as_str() == role);
        return Ok(ours.map(|ours| ours.against(books, bus)));
    }
    let sql = "INSERT INTO setups (process, role, books, bus)
               SELECT $4, role, books, bus FROM unnest($1::text[], $2::text[], $3::text[]) AS o (role, books, bus)
               ON CONFLICT (role, process) DO UPDATE SET books = excluded.books, bus = excluded.bus, since = excluded.since";
    tx.execute(sql, &[&roles, &books, &buses, process]).await?;
    Ok(None)
}

impl Setup {
    /// In what it differs from another.
    fn against(&self, books: String, bus: String) -> Disagreement {
        let role = self.role.as_str();
        if bus != self.bus {
            return Disagreement::Bus { role, theirs: bus, ours: self.bus.clone() };
        }
        let named = |books: String| if books.is_empty() { "books that processes share".to_owned() } else { books };
        Disagreement::Books { role, theirs: named(books), ours: named(self.books.clone()) }
    }
}

/// Lets others start in another way. What is left behind is forgotten with the lease.
pub(crate) async fn forget(shared: &Shared) {
    let forget = async {
        let mut client = shared.pool.writer().await?;
        let tx = client.transaction().await?;
        tx.batch_execute("SET LOCAL synchronous_commit TO off").await?;
        tx.execute("DELETE FROM setups WHERE process = $1", &[&shared.bus.process]).await?;
        tx.commit().await?;
        Ok::<(), StoreError>(())
    };
    // One that was not reached knows of a lease that ends.
    let _ = tokio::time::timeout(FORGET_MAX, forget).await;
}
