//! Processes of one mind: those that run the same role do its outside work by the same books, and get their events in the same way.
//!
//! Two that each charge by a sandbox of their own, or mail into a file of their own, would find nothing of each other's; of two whose events
//! come on different ways each would keep its share from the other. Nothing else would show either, so who is not of the mind of those that
//! are there does not start.

use std::time::{Duration, Instant};

use deadpool_postgres::{ClientWrapper, Transaction};
use ordermill_core::process::Role;
use ordermill_ports::damper::Damper;
use thiserror::Error;
use tokio_postgres::error::SqlState;

use crate::codec::get;
use crate::error::StoreError;
use crate::shared::Shared;

/// Between two looks whether the others have ended.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Beyond the lease of a process that was killed: what it said counts no more by then.
const GRACE: Duration = Duration::from_secs(2);

/// What somebody has said who says nothing any more is waited for so long: when the server was away, the others are back within this time.
const BACK_MAX: Duration = Duration::from_secs(5);

/// What was said by processes that were killed does no harm, and need not stay.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Processes that are not of one mind are told of now and then.
static TOLD: Damper = Damper::new(Duration::from_secs(60));

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

/// What this process has said, as columns.
#[derive(Debug, Default)]
struct Columns {
    roles: Vec<&'static str>,
    books: Vec<String>,
    buses: Vec<String>,
}

impl Columns {
    fn of(setups: &[Setup]) -> Self {
        Self {
            roles: setups.iter().map(|setup| setup.role.as_str()).collect(),
            books: setups.iter().map(|setup| setup.books.clone()).collect(),
            buses: setups.iter().map(|setup| setup.bus.clone()).collect(),
        }
    }
}

/// Somebody who runs a role in another way.
struct Other {
    disagreement: Disagreement,
    /// Whether it was said again within its time.
    counts: bool,
}

/// Says how this process runs its roles, from now on again and again. Waits for those who run one in another way for as long as a lease lasts:
/// they may have ended.
pub(crate) async fn declare(shared: &Shared, setups: Vec<Setup>) -> Result<(), Disagreement> {
    let (began, until) = (Instant::now(), Instant::now() + shared.bus.lease + GRACE);
    let mut is_told = false;
    while let Some(Other { disagreement, counts }) = try_declare(shared, &setups, began.elapsed() > BACK_MAX).await? {
        if counts && Instant::now() >= until {
            return Err(disagreement);
        }
        if !std::mem::replace(&mut is_told, true) {
            tracing::warn!(error = %disagreement, "waits until the other one has ended");
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    *shared.setups.lock() = setups;
    Ok(())
}

/// Says so, unless somebody is of another mind. `forgets`: what counts no more is out of the way.
async fn try_declare(shared: &Shared, setups: &[Setup], forgets: bool) -> Result<Option<Other>, StoreError> {
    let mut client = shared.pool.writer().await?;
    let tx = client.transaction().await?;
    // One after the other, so that of two that start at the same time the second finds the first. Should a crash of the server undo it, it is
    // said again.
    tx.batch_execute("SET LOCAL synchronous_commit TO off; LOCK TABLE setups IN SHARE ROW EXCLUSIVE MODE").await?;
    let sql = "DELETE FROM setups WHERE until < clock_timestamp() - make_interval(secs => $1)";
    let age = if forgets { Duration::ZERO } else { FORGOTTEN_AFTER };
    tx.execute(sql, &[&age.as_secs_f64()]).await?;
    if let Some(other) = other(shared, &tx, setups).await? {
        return Ok(Some(other));
    }
    say(shared, &tx, setups).await?;
    tx.commit().await?;
    Ok(None)
}

/// Who runs a role in another way; rather one that counts.
async fn other(shared: &Shared, tx: &Transaction<'_>, setups: &[Setup]) -> Result<Option<Other>, StoreError> {
    let sql = "SELECT s.role, s.books, s.bus, s.until > clock_timestamp() FROM setups AS s
               JOIN unnest($1::text[], $2::text[], $3::text[]) AS o (role, books, bus) USING (role)
               WHERE s.process <> $4 AND (s.books, s.bus) <> (o.books, o.bus)
               ORDER BY s.until > clock_timestamp() DESC, s.role, s.process LIMIT 1";
    let Columns { roles, books, buses } = Columns::of(setups);
    let Some(row) = tx.query_opt(sql, &[&roles, &books, &buses, &shared.bus.process]).await? else { return Ok(None) };
    let (role, books, bus): (String, String, String) = (get(&row, 0)?, get(&row, 1)?, get(&row, 2)?);
    let Some(ours) = setups.iter().find(|setup| setup.role.as_str() == role) else { return Ok(None) };
    Ok(Some(Other { disagreement: ours.against(books, bus), counts: get(&row, 3)? }))
}

async fn say(shared: &Shared, tx: &Transaction<'_>, setups: &[Setup]) -> Result<(), StoreError> {
    let sql = "INSERT INTO setups (process, role, books, bus, until)
               SELECT $4, role, books, bus, clock_timestamp() + make_interval(secs => $5)
               FROM unnest($1::text[], $2::text[], $3::text[]) AS o (role, books, bus)
               ON CONFLICT (role, process) DO UPDATE SET books = excluded.books, bus = excluded.bus, until = excluded.until";
    let Columns { roles, books, buses } = Columns::of(setups);
    tx.execute(sql, &[&roles, &books, &buses, &shared.bus.process, &shared.bus.lease.as_secs_f64()]).await?;
    Ok(())
}

/// Says it again: with each renewal of leases, also before a role runs. Leases do not wait for it: while others begin, it is left to the next
/// renewal.
pub(crate) async fn say_again(shared: &Shared, client: &mut ClientWrapper) -> Result<(), StoreError> {
    let setups = shared.setups.lock().clone();
    if setups.is_empty() {
        return Ok(());
    }
    let tx = client.transaction().await?;
    tx.batch_execute("SET LOCAL synchronous_commit TO off; SET LOCAL lock_timeout TO '100ms'").await?;
    match say(shared, &tx, &setups).await {
        Ok(()) => {}
        Err(StoreError::Postgres(error)) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            return Ok(tx.rollback().await?);
        }
        Err(error) => return Err(error),
    }
    let other = other(shared, &tx, &setups).await?;
    tx.commit().await?;
    // One that was not heard of for long, as it was cut off, may find others of another mind in its place.
    if let Some(Other { disagreement, counts: true }) = other
        && let Some(kept_back) = TOLD.pass()
    {
        tracing::error!(error = %disagreement, kept_back, "processes are not of one mind: stop one of them");
    }
    Ok(())
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

/// Lets others start in another way. What is left behind counts no longer than a lease.
pub(crate) async fn forget(shared: &Shared) {
    shared.setups.lock().clear();
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
