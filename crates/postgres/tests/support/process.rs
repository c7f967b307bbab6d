//! Several processes of one installation, in one: each a runtime of its own, so that it can be stopped or killed apart from the others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ordermill_core::process::Role;
use ordermill_ports::conformance::shop::Shop;
use ordermill_ports::conformance::{Backend, Harness, Settings};
use ordermill_ports::{Bus, Clock, Delivery};
use ordermill_postgres::{Options, PgLedger};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep, timeout};

use super::Database;

/// How long a lease holds in these tests.
pub const LEASE: Duration = Duration::from_millis(1_500);

/// Whatever has to happen happens within this time, also on a busy machine.
pub const SOON: Duration = Duration::from_secs(30);

/// One installation: a database, and the processes on it.
pub struct Installation {
    pub database: Database,
    settings: Settings,
    /// What the shops of all processes are made of, so that their orders differ.
    shop: Option<Shop>,
}

impl Installation {
    /// A new one, without a process.
    pub fn new() -> Self {
        Self { database: Database::new(), settings: Settings::default(), shop: None }
    }

    /// Starts a process.
    pub async fn start(&mut self) -> Process {
        self.start_with(|_| {}).await
    }

    /// Starts a process with options of its own.
    pub async fn start_with(&mut self, change: impl FnOnce(&mut Options)) -> Process {
        let clock = Arc::clone(&self.settings.clock) as Arc<dyn Clock>;
        let mut options = Options::from_url(&self.database.url(), clock).expect("a sound URL");
        options.lease = LEASE;
        change(&mut options);
        // One thread, so that whoever holds it holds the whole process.
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("room for a thread");
        let ledger = runtime.spawn(PgLedger::open(options)).await.expect("it ends").expect("the ledger opens");
        let backend = Backend::of(&ledger);
        let shop = match &self.shop {
            Some(first) => {
                let mut shop = first.share();
                shop.backend = backend;
                shop
            }
            None => Shop::open_with(&Opened(backend), self.settings.clone()).await,
        };
        self.shop.get_or_insert_with(|| {
            let mut shop = shop.share();
            shop.backend = shop.backend.clone();
            shop
        });
        Process { ledger, shop, runtime: Some(runtime) }
    }

    /// How many leases on a role each owner has, by the database.
    pub async fn owners(&self, role: Role) -> BTreeMap<String, usize> {
        let sql = format!(
            "SELECT owner, count(*) FROM leases WHERE role = '{}' AND owner IS NOT NULL GROUP BY owner",
            role.as_str()
        );
        let rows = self.database.query(&sql).await;
        rows.into_iter().map(|row| (row[0].clone(), row[1].parse().expect("a number"))).collect()
    }

    /// Waits until the role's leases are shared like this, the largest share first.
    pub async fn until_shared(&self, role: Role, shares: &[usize]) {
        let what = format!("the leases are shared {shares:?}");
        eventually(&what, async || {
            let mut found: Vec<usize> = self.owners(role).await.into_values().collect();
            found.sort_unstable_by(|a, b| b.cmp(a));
            found == shares
        })
        .await;
    }
}

/// A backend that is open already.
struct Opened(Backend);

#[async_trait]
impl Harness for Opened {
    async fn open(&self, _settings: &Settings) -> Backend {
        self.0.clone()
    }
}

/// What stands for a process.
pub struct Process {
    ledger: Arc<PgLedger>,
    shop: Shop,
    runtime: Option<Runtime>,
}

impl Process {
    /// Runs something with the shop in the process.
    pub async fn run<T: Send + 'static, W>(&self, work: impl FnOnce(Shop) -> W) -> T
    where
        W: Future<Output = T> + Send + 'static,
    {
        let runtime = self.runtime.as_ref().expect("it lives");
        runtime.spawn(work(self.shop.share())).await.expect("it ends well")
    }

    /// Its ledger.
    pub fn ledger(&self) -> &PgLedger {
        &self.ledger
    }

    /// Stops the process for a time, as SIGSTOP and SIGCONT do: nothing of it runs meanwhile.
    pub async fn freeze(&self, time: Duration) {
        self.run(|_| async move { std::thread::sleep(time) }).await;
    }

    /// Kills the process: it does nothing more, and its connections are cut.
    pub fn kill(mut self) {
        self.runtime.take().expect("it lives").shutdown_background();
    }

    /// Ends the process as it should.
    pub async fn close(self) {
        self.run(|shop| async move { shop.backend.ledger.close().await }).await;
    }

    /// Begins to run a role, and waits until there is nothing for it.
    pub async fn join(&self, role: Role) {
        assert_eq!(self.receive(role, Duration::from_millis(1)).await, []);
    }

    /// The next deliveries of a role; none when nothing comes for so long.
    pub async fn receive(&self, role: Role, wait: Duration) -> Vec<Delivery> {
        let ledger = Arc::clone(&self.ledger);
        let received = self.run(|_| async move { timeout(wait, ledger.receive(role, 1_000)).await }).await;
        received.map(|received| received.expect("the bus works")).unwrap_or_default()
    }

    /// So many deliveries of a role, however they come.
    pub async fn receive_many(&self, role: Role, count: usize) -> Vec<Delivery> {
        let deadline = Instant::now() + SOON;
        let mut all = Vec::new();
        while all.len() < count && Instant::now() < deadline {
            all.extend(self.receive(role, Duration::from_millis(100)).await);
        }
        assert_eq!(all.len(), count, "{all:?}");
        all.sort_by_key(|delivery| delivery.position);
        all
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Looks again and again until it holds.
///
/// # Panics
/// When it does not hold soon.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds().await {
        assert!(Instant::now() < deadline, "within {} s {what}", SOON.as_secs());
        sleep(Duration::from_millis(25)).await;
    }
}
