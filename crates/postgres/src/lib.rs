//! The ledger, its queries and its bus on PostgreSQL: any number of processes on one database.
//!
//! ```text
//! submit ─► admission ─► lanes ─► committer ─► one transaction: lock and load, decide on an overlay, write, head of the feed, COMMIT
//! queries ─► cache of folded orders, checked by version ─► pool
//! bus     ─► leases per role and partition, deliveries from the feed; settlements travel in the committer's transactions
//! ```
//!
//! Architecture invariant: no process owns anything in memory that matters. What is cached is checked against a locked row.
//!
//! Architecture invariant: events get their positions from the one row `feed_head`, whose lock each transaction takes as late as it can
//! and holds to its end. So positions are in the order of commits, and a reader behind a position misses nothing.
//!
//! Locks are taken in one order by everybody: orders, products, customers, parcels, records, stock, each sorted; then, as rows are
//! written, keys, references and new rows in the same way; then leases with their cursors, parked deliveries; the head of the feed last.
//! What is found out late, the stock of an order that only its events tell, may be locked out of turn: the server ends the circle that
//! two such transactions may make, and one of them is decided again.

mod admission;
mod advice;
mod bus;
mod cache;
mod clock;
mod codec;
mod connect;
mod error;
mod health;
mod keys;
mod lanes;
mod meters;
mod migrate;
mod moving;
mod notify;
mod options;
mod queries;
mod rds;
mod read;
mod setup;
mod shared;
mod snapshot;
mod submit;
mod tls;
mod writer;

use std::sync::Arc;
use std::time::Duration;

pub use error::{ConnectError, OpenError, StoreError};
pub use moving::{Reader, Writer};
pub use options::{Options, Tls};
pub use setup::{Disagreement, Setup};
pub use snapshot::Snapshot;

use ordermill_core::process::Role;
use ordermill_ports::Clock;
use tokio::sync::watch;
use tokio::task::JoinSet;

use connect::{Connector, Pool};
use shared::Shared;

/// How long after a defect a task is begun again.
const DEFECT_PAUSE: Duration = Duration::from_secs(1);

/// The ledger in a PostgreSQL database, with its queries and its bus.
pub struct PgLedger {
    shared: Arc<Shared>,
    /// Becomes true when every task has ended.
    end: watch::Receiver<bool>,
    /// Whether what is read by this handle is for callers.
    is_for_callers: bool,
    open: Arc<Open>,
}

/// Closes the ledger with the last of its handles.
struct Open(Arc<Shared>);

impl PgLedger {
    /// Opens a ledger, and brings its schema up to date.
    ///
    /// # Errors
    /// [`OpenError`] when the server cannot be reached or does not make commits durable, or the schema is not ours or newer.
    pub async fn open(options: Options) -> Result<Arc<Self>, OpenError> {
        let pool = Pool::new(&Connector::new(&options)?, &options)?;
        {
            let mut client = pool.writer().await?;
            check_durability(&client).await?;
            migrate::migrate(&mut client, &options.schema).await?;
        }
        let shared = Arc::new(Shared::new(&options, pool));
        shared.clock.read(&*shared.pool.writer().await?).await?;
        submit::count_undecided(&shared).await?;
        let ended = watch::Sender::new(false);
        let end = ended.subscribe();
        tokio::spawn(tend(Arc::clone(&shared), options.committers.max(1), ended));
        let open = Arc::new(Open(Arc::clone(&shared)));
        Ok(Arc::new(Self { shared, end, is_for_callers: false, open }))
    }

    /// The same ledger, whose reads have connections of their own: for callers, whose reads may be many and slow, so that they take none
    /// from the roles.
    #[must_use]
    pub fn for_callers(&self) -> Arc<Self> {
        let (shared, open) = (Arc::clone(&self.shared), Arc::clone(&self.open));
        Arc::new(Self { shared, end: self.end.clone(), is_for_callers: true, open })
    }

    /// The time that everything in the ledger goes by: the server's, which is one for all its processes. Only a clock that is set by hand is
    /// what it was.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.shared.clock) as _
    }

    /// Says how this process runs its roles, before it does. Waits, for as long as a lease lasts, while others run one in another way: they may
    /// have ended.
    ///
    /// # Errors
    /// [`Disagreement`] when they have not: then this process must not run the role.
    pub async fn declare(&self, setups: Vec<Setup>) -> Result<(), Disagreement> {
        setup::declare(&self.shared, setups).await
    }

    /// Returns when everything that was taken is committed and every task has ended.
    async fn ended(&self) {
        // Fails only when the sender is gone, and then everything has ended as well.
        let _ = self.end.clone().wait_for(|ended| *ended).await;
    }
}

/// Runs the tasks of a ledger until it is closed.
async fn tend(shared: Arc<Shared>, committers: usize, ended: watch::Sender<bool>) {
    let mut background = JoinSet::new();
    background.spawn(supervise(Arc::clone(&shared), "notifications and leases", notify::run));
    background.spawn(supervise(Arc::clone(&shared), "the look whether commits go through", submit::probe));
    background.spawn(supervise(Arc::clone(&shared), "the deletion of keys", keys::sweep));
    for role in Role::ALL {
        let run = move |shared| bus::parked::run(shared, role);
        background.spawn(supervise(Arc::clone(&shared), "the reading of parked deliveries", run));
    }
    let mut foreground = JoinSet::new();
    for _ in 0..committers {
        foreground.spawn(supervise(Arc::clone(&shared), "a committer", writer::run));
    }
    while foreground.join_next().await.is_some() {}
    shared.begin_end();
    while background.join_next().await.is_some() {}
    bus::close(&shared).await;
    setup::forget(&shared).await;
    ended.send_replace(true);
}

/// Runs a task to its end, which the end of the ledger is. One that ends by a defect of its own is begun again: nobody else would do its
/// work, and nothing else would show that it is not done.
async fn supervise<T>(shared: Arc<Shared>, name: &'static str, run: impl Fn(Arc<Shared>) -> T)
where
    T: Future<Output = ()> + Send + 'static,
{
    while tokio::spawn(run(Arc::clone(&shared))).await.is_err() && !shared.lanes.is_closing() {
        tracing::error!(task = name, "a task of the ledger met a defect of its own; it is begun again");
        tokio::time::sleep(DEFECT_PAUSE).await;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // What was submitted is committed all the same, by tasks that nobody waits for.
        self.0.lanes.close();
        self.0.admission.close();
    }
}

/// Refuses a server that answers a COMMIT before it is durable, and warns of one that may tear pages in a crash.
async fn check_durability(client: &tokio_postgres::Client) -> Result<(), OpenError> {
    let sql =
        "SELECT current_setting('synchronous_commit'), current_setting('fsync'), current_setting('full_page_writes'),
                      current_setting('server_version_num')::int";
    let row = client.query_one(sql, &[]).await?;
    let [synchronous_commit, fsync, full_page_writes] = [0, 1, 2].map(|index| row.get::<_, &str>(index));
    if !["on", "remote_apply"].contains(&synchronous_commit) {
        return Err(OpenError::NotDurable(format!("synchronous_commit is {synchronous_commit}")));
    }
    if fsync != "on" {
        tracing::warn!("the server runs with fsync off: a crash of its machine may lose or damage everything");
    }
    if full_page_writes != "on" {
        tracing::warn!("the server runs with full_page_writes off: a crash of its machine may damage what is stored");
    }
    Ok(())
}
