//! Connections: how they are made, protected and lent out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use deadpool::managed::{self, Metrics, Object, PoolError, RecycleError, RecycleResult};
use deadpool_postgres::ClientWrapper;
use ordermill_core::secret::SecretRef;
use ordermill_ports::Clock;
use ordermill_ports::secrets::{SecretError, Secrets};
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{ConnectError, OpenError, StoreError};
use crate::options::{Options, SCHEMA_DEFAULT, Tls};
use crate::rds::Login;
use crate::tls;

/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// How long anybody waits for a connection to become free; beyond it the load is too high.
const FREE_WAIT_MAX: Duration = Duration::from_secs(2);

/// After how long without a word the other side is asked whether it is there, and how long unanswered data may be under way: a
/// cut network is noticed within seconds.
const KEEPALIVE: Duration = Duration::from_secs(5);
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// The same on the server's side: what a process that is cut off or stands still has under way there, and its place among the
/// connections, is free again within seconds, and it holds up nobody's notifications. On a socket of the machine it means nothing.
const SILENCE: &str = "SET tcp_keepalives_idle TO 5; SET tcp_keepalives_interval TO 5; SET tcp_keepalives_count TO 2; \
                       SET tcp_user_timeout TO '15s'";

/// What the statements of the pool's connections are planned for. Each of them finds what it wants by an index. A plan that was made while a
/// table was small is kept until the table's statistics are renewed, and would read all of it meanwhile.
const POOLED: &str = "SET enable_seqscan TO off";

/// A connection lent from the pool. Given back when dropped.
pub(crate) type Client = Object<Connector>;

/// The server's side of a connection, to be driven by a task.
pub(crate) type Driver = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// Connections that serve commits beside those of the committers: one that counts, and one for finding out.
const SPARE_WRITERS: usize = 2;

/// A connection that notices when it is not answered.
pub(crate) struct Session {
    client: ClientWrapper,
    answer_max: Duration,
    /// Statements that were sent and whose answers nobody has seen, as they took too long or whoever waited went away.
    owed: AtomicUsize,
    /// Whether it is a [`Tx`]'s.
    is_in_transaction: AtomicBool,
}

impl Session {
    pub(crate) const fn new(client: ClientWrapper, answer_max: Duration) -> Self {
        Self { client, answer_max, owed: AtomicUsize::new(0), is_in_transaction: AtomicBool::new(false) }
    }

    /// Whether a statement that failed may be sent again by itself: what belongs to a transaction would be sent behind its COMMIT, and be a
    /// transaction of its own.
    pub(crate) fn may_send_again(&self) -> bool {
        !self.is_in_transaction.load(Ordering::Relaxed)
    }

    /// Waits for the answer to what `work` sends, for a bounded time. The server stops what takes too long a little earlier, so beyond it
    /// the server or the network hangs.
    pub(crate) async fn answered<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.owed.fetch_add(1, Ordering::Relaxed);
        let answer = timeout(self.answer_max.mul_f64(1.25), work).await.map_err(|_| StoreError::TimedOut)?;
        self.owed.fetch_sub(1, Ordering::Relaxed);
        answer
    }
}

impl std::ops::Deref for Session {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        &self.client
    }
}

impl std::ops::DerefMut for Session {
    fn deref_mut(&mut self) -> &mut ClientWrapper {
        &mut self.client
    }
}

/// Makes connections.
#[derive(Clone)]
pub(crate) struct Connector {
    server: tokio_postgres::Config,
    tls: MakeRustlsConnect,
    password: Option<SecretRef>,
    login: Option<Login>,
    clock: Arc<dyn Clock>,
    secrets: Option<Arc<dyn Secrets>>,
    /// What every session begins with.
    session: String,
    answer_max: Duration,
}

impl Connector {
    pub(crate) fn new(options: &Options) -> Result<Self, OpenError> {
        let mut server = options.server.clone();
        server.ssl_mode(if options.tls == Tls::Disable { SslMode::Disable } else { SslMode::Require });
        server.connect_timeout(CONNECT_MAX).keepalives(true).keepalives_idle(KEEPALIVE);
        server.keepalives_interval(KEEPALIVE).keepalives_retries(2).tcp_user_timeout(SILENCE_MAX);
        if server.get_application_name().is_none() {
            // Tells the installations of one database apart, for whoever looks at the server's connections.
            server.application_name(match &*options.schema {
                SCHEMA_DEFAULT => "ordermill".to_owned(),
                schema => format!("ordermill/{schema}"),
            });
        }
        // The name is checked to be plain. Commits are durable whatever the server's default is. A process that stands still in the
        // middle of a transaction holds its locks no longer than its leases.
        let session = format!(
            "SET search_path TO {}; SET synchronous_commit TO on; SET lock_timeout TO {}; SET statement_timeout TO {}; \
             SET idle_in_transaction_session_timeout TO {}; SET default_transaction_isolation TO 'read committed'; \
             SET timezone TO 'UTC'; SET jit TO off; {SILENCE}",
            options.schema,
            options.answer_max.as_millis() / 2,
            options.answer_max.as_millis(),
            options.lease.as_millis()
        );
        Ok(Self {
            server,
            tls: MakeRustlsConnect::new(tls::config(&options.tls)?),
            password: options.password.clone(),
            login: options.rds_iam.as_deref().map(|region| Login::of(&options.server, region)).transpose()?,
            clock: Arc::clone(&options.clock),
            secrets: options.secrets.clone(),
            session,
            answer_max: options.answer_max,
        })
    }

    /// How long the server may take for anything.
    pub(crate) const fn answer_max(&self) -> Duration {
        self.answer_max
    }

    /// A connection of one's own, whose driver one has to run: for LISTEN, and for snapshots. Its session is set up by
    /// [`Self::set_up`].
    pub(crate) async fn connect(&self) -> Result<(tokio_postgres::Client, Driver), ConnectError> {
        let mut server = self.server.clone();
        if let Some(reference) = &self.password {
            let Some(secrets) = &self.secrets else {
                return Err(SecretError::new(reference, "nobody was told to ask for it").into());
            };
            server.password(secrets.reveal(reference).await?.expose());
        }
        if let Some(login) = &self.login {
            server.password(login.token(self.secrets.as_deref(), self.clock.now()).await?);
        }
        // The client's own bound ends where the server has taken the connection, which it may do without ever saying a word.
        timeout(CONNECT_MAX, server.connect(self.tls.clone()))
            .await
            .map_or(Err(ConnectError::TimedOut), |made| Ok(made?))
    }

    /// Sets up the session of a connection whose driver runs.
    pub(crate) async fn set_up(&self, client: &tokio_postgres::Client) -> Result<(), ConnectError> {
        Ok(client.batch_execute(&self.session).await?)
    }
}

impl managed::Manager for Connector {
    type Type = Session;
    type Error = ConnectError;

    async fn create(&self) -> Result<Session, ConnectError> {
        let (client, driver) = self.connect().await?;
        let task = tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%error, "a connection to the ledger's server has ended");
            }
        });
        let session = Session::new(ClientWrapper::new(client, task), self.answer_max);
        session.batch_execute(&format!("{}; {POOLED}", self.session)).await?;
        Ok(session)
    }

    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<ConnectError> {
        if session.is_closed() {
            return Err(RecycleError::message("closed"));
        }
        // Somebody waited for an answer in vain: it has to come before the connection is lent again. A transaction that was given up
        // rolls itself back before that.
        if *session.owed.get_mut() > 0 {
            session.batch_execute("").await.map_err(ConnectError::Postgres)?;
            *session.owed.get_mut() = 0;
        }
        Ok(())
    }
}

/// The connections of one process. Those that commit are apart from those that read: however many read, commits go on. And what callers
/// read is apart from what roles, the bus and the look at the server's health do: however long callers' reads take, the work goes on.
#[derive(Clone)]
pub(crate) struct Pool {
    callers: managed::Pool<Connector>,
    work: managed::Pool<Connector>,
    writers: managed::Pool<Connector>,
}

impl Pool {
    pub(crate) fn new(connector: &Connector, options: &Options) -> Result<Self, OpenError> {
        let writers = options.committers.max(1) + SPARE_WRITERS;
        let readers = options.connections.saturating_sub(writers).max(2);
        // Roles read for many orders at once, callers for one.
        let work = readers.div_ceil(3);
        Ok(Self {
            callers: pool(connector.clone(), readers - work)?,
            work: pool(connector.clone(), work)?,
            writers: pool(connector.clone(), writers)?,
        })
    }

    /// A connection for the work of this process; waits a bounded time for one to become free or to be made.
    pub(crate) async fn client(&self) -> Result<Client, StoreError> {
        lend(&self.work).await
    }

    /// A connection for what a caller wants to know; waits as long.
    pub(crate) async fn caller(&self) -> Result<Client, StoreError> {
        lend(&self.callers).await
    }

    /// A connection for a commit and what belongs to it; waits as long.
    pub(crate) async fn writer(&self) -> Result<Client, StoreError> {
        lend(&self.writers).await
    }

    /// Makes connections that the pool does not count.
    pub(crate) fn connector(&self) -> &Connector {
        self.work.manager()
    }
}

fn pool(connector: Connector, size: usize) -> Result<managed::Pool<Connector>, OpenError> {
    let pool = managed::Pool::builder(connector)
        .max_size(size)
        .wait_timeout(Some(FREE_WAIT_MAX))
        .create_timeout(Some(CONNECT_MAX))
        .recycle_timeout(Some(CONNECT_MAX))
        .runtime(deadpool::Runtime::Tokio1)
        .build();
    pool.map_err(|error| OpenError::Url(error.to_string()))
}

async fn lend(pool: &managed::Pool<Connector>) -> Result<Client, StoreError> {
    pool.get().await.map_err(|error| match error {
        PoolError::Timeout(managed::TimeoutType::Wait) => StoreError::Exhausted,
        PoolError::Timeout(_) | PoolError::NoRuntimeSpecified => StoreError::TimedOut,
        PoolError::Backend(error) => StoreError::Connect(error),
        PoolError::Closed | PoolError::PostCreateHook(_) => StoreError::Closed,
    })
}

/// A transaction whose statements can be sent one behind the other without waiting, its BEGIN and its COMMIT among them. Dropped before
/// its end is known, it takes its connection along: nobody gets one that is in the middle of something.
pub(crate) struct Tx {
    /// `None` only while it is dropped.
    client: Option<Client>,
    is_over: bool,
}

impl Tx {
    /// A transaction on this connection; [`Self::begin`] is the first thing to send.
    pub(crate) fn on(client: Client) -> Self {
        client.is_in_transaction.store(true, Ordering::Relaxed);
        Self { client: Some(client), is_over: false }
    }

    /// Sends BEGIN. May be awaited together with the first statements, as the first of them.
    pub(crate) async fn begin(&self) -> Result<(), StoreError> {
        Ok(self.batch_execute("BEGIN").await?)
    }

    /// Sends COMMIT. May be awaited together with the last statements, as the last of them: if one of those failed, so has this, though it
    /// gives no error. [`Self::over`] has to follow.
    pub(crate) async fn commit(&self) -> Result<(), StoreError> {
        Ok(self.batch_execute("COMMIT").await?)
    }

    /// Undoes everything, and gives the connection back.
    pub(crate) async fn roll_back(mut self) -> Result<(), StoreError> {
        self.batch_execute("ROLLBACK").await?;
        self.is_over = true;
        Ok(())
    }

    /// The server has answered the COMMIT: gives the connection back.
    pub(crate) fn over(mut self) {
        self.is_over = true;
    }
}

impl std::ops::Deref for Tx {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.client.as_ref().expect("it is there until the transaction is dropped")
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        match self.client.take() {
            Some(client) if self.is_over => client.is_in_transaction.store(false, Ordering::Relaxed),
            Some(client) => drop(Object::take(client)),
            None => {}
        }
    }
}
