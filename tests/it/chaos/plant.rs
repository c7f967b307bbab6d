//! An installation to do harm to: a PostgreSQL server of its own, processes for every role, and two of each.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio_postgres::NoTls;

use super::crew::PROCESSES;
use super::proxy::Proxy;
use crate::profile::{Postgres, SmallDisk, event_path};
use crate::support::{Diagnosis, Server, Shop, doctor_by, ordermill};

/// How long a lease holds here. Another process takes over when it is over.
pub const LEASE: Duration = Duration::from_secs(2);

/// How long the server may take for anything before it is thought to hang.
const ANSWER_MAX: Duration = Duration::from_secs(3);

/// How long anything that is awaited may take: test machines are shared.
const PATIENCE: Duration = Duration::from_secs(60);

/// The fronts as clients see them, by what stands before them.
pub type Fronts = Arc<RwLock<BTreeMap<String, Shop>>>;

pub struct Plant {
    pub postgres: Arc<Postgres>,
    database: String,
    folder: TempDir,
    _provider: Provider,
    crew: Mutex<BTreeMap<String, Server>>,
    /// Options that a process is given by its environment, from its next start on.
    environment: Mutex<BTreeMap<String, (&'static str, String)>>,
    fronts: Fronts,
}

impl Plant {
    /// A plant with all its processes, on a server with these settings.
    pub async fn start(settings: &[&str]) -> Self {
        let plant = Self::build(Postgres::start(settings), "postgres", None, &event_path(), ANSWER_MAX);
        plant.open().await;
        plant
    }

    /// The same with its events on this way, a line of a configuration. Nothing is done to its server, which may be as slow as the machine.
    pub async fn start_fed(event_path: &str) -> Self {
        let plant = Self::build(Postgres::start(&[]), "postgres", None, event_path, Duration::from_secs(20));
        plant.open().await;
        plant
    }

    /// The same where processes reach the server by a network.
    pub async fn start_behind_network() -> (Self, Proxy) {
        let postgres = Postgres::start(&[]);
        let network = Proxy::start(([127, 0, 0, 1], postgres.port()).into()).await;
        let plant = Self::build(postgres, "postgres", Some(network.port()), &event_path(), ANSWER_MAX);
        plant.open().await;
        (plant, network)
    }

    /// The same on a server with a small disk, for its log or for its data.
    pub async fn start_on(disk: SmallDisk, settings: &[&str]) -> Self {
        let postgres = Postgres::start_on(Some(disk), settings);
        let mut database = "postgres";
        if !disk.holds_wal {
            let client = connect(&postgres.url("postgres")).await;
            let space = format!("CREATE TABLESPACE small LOCATION '{}'", postgres.small_space().display());
            client.batch_execute(&space).await.unwrap();
            client.batch_execute("CREATE DATABASE small TABLESPACE small").await.unwrap();
            database = "small";
        }
        let plant = Self::build(postgres, database, None, &event_path(), ANSWER_MAX);
        plant.open().await;
        plant
    }

    fn build(postgres: Postgres, database: &str, port: Option<u16>, event_path: &str, answer_max: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let provider = Provider::start(folder.path());
        let shared = |name: &str| folder.path().join(name).display().to_string();
        let ledger = postgres.url(database);
        let ledger =
            port.map_or(ledger.clone(), |port| ledger.replace(&postgres.port().to_string(), &port.to_string()));
        let config = format!(
            "ledger = \"{ledger}\"\n{event_path}payments = \"sandbox:{}\"\nmail = \"maildir:{}\"\nobjects = \"file:{}\"\n\n\
             [postgres]\nlease = \"{}s\"\nanswer_max = \"{}s\"\nconnections = 8\n\n[http]\nrequest_timeout = \"{}s\"\n",
            provider.url,
            shared("mail"),
            shared("objects"),
            LEASE.as_secs(),
            answer_max.as_secs(),
            // Before clients give up waiting.
            answer_max.as_secs() + 7,
        );
        std::fs::write(folder.path().join("shop.toml"), config).unwrap();
        Self {
            postgres: Arc::new(postgres),
            database: database.to_owned(),
            folder,
            _provider: provider,
            crew: Mutex::default(),
            environment: Mutex::default(),
            fronts: Fronts::default(),
        }
    }

    /// Starts every process, and fills the shelves.
    async fn open(&self) {
        for (name, _) in PROCESSES {
            self.start_process(name);
        }
        let shop = self.front();
        shop.stock_product("P1", 1_000, 1_000_000).await;
        shop.stock_product("NONE", 1_000, 0).await;
    }

    /// Starts a process, or starts it again.
    pub fn start_process(&self, name: &str) {
        let (_, roles) = PROCESSES.into_iter().find(|(known, _)| *known == name).unwrap();
        let mut program = self.program();
        if let Some((option, value)) = self.environment.lock().unwrap().get(name) {
            program.env(option, value);
        }
        let server = Server::spawn_with(program, &self.folder(name), &["--role", roles]);
        if roles.split(',').any(|role| role == "api") {
            self.fronts.write().unwrap().insert(name.to_owned(), Shop::of(&server));
        }
        self.crew().insert(name.to_owned(), server);
    }

    /// Kills a process as `kill -9` does.
    pub fn kill(&self, name: &str) {
        self.crew().remove(name).unwrap().kill();
    }

    /// Ends a process properly, and waits until it has ended.
    pub fn terminate(&self, name: &str) {
        let server = self.crew().remove(name).unwrap();
        assert!(server.terminate().success(), "{name}");
    }

    /// Gives a process an option by its environment, from its next start on.
    pub fn give(&self, name: &str, option: &'static str, value: String) {
        self.environment.lock().unwrap().insert(name.to_owned(), (option, value));
    }

    /// A folder in that of the plant: of a process, or another.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Sends a process a signal.
    pub fn signal(&self, name: &str, signal: Signal) {
        let id = i32::try_from(self.crew()[name].id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// What a process has printed, in all its lives.
    pub fn log(&self, name: &str) -> String {
        self.crew()[name].log_text()
    }

    /// One of the fronts.
    pub fn front(&self) -> Shop {
        self.fronts.read().unwrap().values().next().unwrap().clone()
    }

    pub fn fronts(&self) -> Fronts {
        Arc::clone(&self.fronts)
    }

    /// Waits until every process says that it is ready.
    pub async fn until_ready(&self) {
        let crew: Vec<Shop> = self.crew().values().map(Shop::of).collect();
        for process in crew {
            process.wait_until_ready().await;
        }
    }

    /// Where the database is, past the network.
    pub fn url(&self) -> String {
        self.postgres.url(&self.database)
    }

    /// A session with the server, past the network.
    pub async fn session(&self) -> tokio_postgres::Client {
        let client = connect(&self.url()).await;
        client.batch_execute("SET search_path TO ordermill").await.unwrap();
        client
    }

    /// The Message-IDs of the mails in the maildir, one for each file.
    pub fn mails(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path().join("mail/new")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Ends every process properly.
    pub fn close(&self) {
        for (name, server) in std::mem::take(&mut *self.crew()) {
            assert!(server.terminate().success(), "{name}");
        }
    }

    pub fn doctor(&self) -> Diagnosis {
        doctor_by(self.program(), &self.folder("till-1"))
    }

    /// The program with the configuration of this plant.
    pub fn program(&self) -> Command {
        let mut program = ordermill();
        program.env("ORDERMILL_CONFIG", self.folder.path().join("shop.toml"));
        program
    }

    fn crew(&self) -> MutexGuard<'_, BTreeMap<String, Server>> {
        self.crew.lock().unwrap()
    }
}

async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Waits until it holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// It is ready all the while. A look at a machine that stands still may come too late, and two do not.
pub async fn assert_ready(process: &Shop) {
    let is_ready = async || process.get("/readyz").await.status == 200;
    assert!(is_ready().await || is_ready().await, "it is ready");
}

/// The payment provider: apart, as a real one is, and spared.
struct Provider {
    child: Child,
    url: String,
}

impl Provider {
    fn start(folder: &Path) -> Self {
        let log: PathBuf = folder.join("provider.log");
        let output = File::create(&log).unwrap();
        let mut command = ordermill();
        command.args(["sandbox", "--listen", "127.0.0.1:0", "--data"]).arg(folder.join("provider"));
        let child = command.stdout(output.try_clone().unwrap()).stderr(output).stdin(Stdio::null()).spawn().unwrap();
        let mut provider = Self { child, url: String::new() };
        let deadline = Instant::now() + PATIENCE;
        while provider.url.is_empty() {
            let said = std::fs::read_to_string(&log).unwrap();
            let url = said.split_once("ready on ").and_then(|(_, rest)| rest.split_whitespace().next());
            provider.url = url.unwrap_or_default().to_owned();
            assert!(Instant::now() < deadline, "no provider:\n{said}");
            std::thread::sleep(Duration::from_millis(10));
        }
        provider
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
