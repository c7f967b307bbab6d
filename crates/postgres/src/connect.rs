//! Connections: how they are made, protected and lent out.

use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::{self, Metrics, Object, PoolError, RecycleError, RecycleResult};
use deadpool_postgres::ClientWrapper;
use ordermill_core::secret::SecretRef;
use ordermill_ports::secrets::{SecretError, Secrets};
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{ConnectError, OpenError, StoreError};
use crate::options::{Options, Tls};
use crate::tls;

/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// How long anybody waits for a connection to become free; beyond it the load is too high.
const FREE_WAIT_MAX: Duration = Duration::from_secs(2);

/// After how long without a word the other side is asked whether it is there, and how long unanswered data may be under way: a
/// cut network is noticed within seconds.
const KEEPALIVE: Duration = Duration::from_secs(5);
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// A connection lent from the pool. Given back when dropped.
pub(crate) type Client = Object<Connector>;

/// The server's side of a connection, to be driven by a task.
pub(crate) type Driver = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// Makes connections.
pub(crate) struct Connector {
    server: tokio_postgres::Config,
    tls: MakeRustlsConnect,
    password: Option<SecretRef>,
    secrets: Option<Arc<dyn Secrets>>,
    /// What every session begins with.
    session: String,
}

impl Connector {
    pub(crate) fn new(options: &Options) -> Result<Self, OpenError> {
        let mut server = options.server.clone();
        server.ssl_mode(if options.tls == Tls::Disable { SslMode::Disable } else { SslMode::Require });
        server.connect_timeout(CONNECT_MAX).keepalives(true).keepalives_idle(KEEPALIVE);
        server.keepalives_interval(KEEPALIVE).keepalives_retries(2).tcp_user_timeout(SILENCE_MAX);
        if server.get_application_name().is_none() {
            server.application_name("ordermill");
        }
        // The name is checked to be plain. Commits are durable whatever the server's default is. A process that stands still in the
        // middle of a transaction holds its locks no longer than its leases.
        let session = format!(
            "SET search_path TO {}; SET synchronous_commit TO on; SET lock_timeout TO '10s'; SET statement_timeout TO '30s'; \
             SET idle_in_transaction_session_timeout TO {}; SET default_transaction_isolation TO 'read committed'; \
             SET timezone TO 'UTC'; SET jit TO off",
            options.schema,
            options.lease.as_millis()
        );
        Ok(Self {
            server,
            tls: MakeRustlsConnect::new(tls::config(&options.tls)?),
            password: options.password.clone(),
            secrets: options.secrets.clone(),
            session,
        })
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
        Ok(server.connect(self.tls.clone()).await?)
    }

    /// Sets up the session of a connection whose driver runs.
    pub(crate) async fn set_up(&self, client: &tokio_postgres::Client) -> Result<(), ConnectError> {
        Ok(client.batch_execute(&self.session).await?)
    }
}

impl managed::Manager for Connector {
    type Type = ClientWrapper;
    type Error = ConnectError;

    async fn create(&self) -> Result<ClientWrapper, ConnectError> {
        let (client, driver) = self.connect().await?;
        let task = tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%error, "a connection to the ledger's server has ended");
            }
        });
        let client = ClientWrapper::new(client, task);
        self.set_up(&client).await?;
        Ok(client)
    }

    async fn recycle(&self, client: &mut ClientWrapper, _: &Metrics) -> RecycleResult<ConnectError> {
        // A transaction that was given up rolls itself back, in order before whatever comes next.
        if client.is_closed() { Err(RecycleError::message("closed")) } else { Ok(()) }
    }
}

/// The connections of one process.
#[derive(Clone)]
pub(crate) struct Pool(managed::Pool<Connector>);

impl Pool {
    pub(crate) fn new(connector: Connector, size: usize) -> Result<Self, OpenError> {
        let pool = managed::Pool::builder(connector)
            .max_size(size.max(4))
            .wait_timeout(Some(FREE_WAIT_MAX))
            .create_timeout(Some(CONNECT_MAX))
            .recycle_timeout(Some(CONNECT_MAX))
            .runtime(deadpool::Runtime::Tokio1)
            .build();
        pool.map(Self).map_err(|error| OpenError::Url(error.to_string()))
    }

    /// A connection; waits a bounded time for one to become free or to be made.
    pub(crate) async fn client(&self) -> Result<Client, StoreError> {
        self.0.get().await.map_err(|error| match error {
            PoolError::Timeout(managed::TimeoutType::Wait) => StoreError::Exhausted,
            PoolError::Timeout(_) | PoolError::NoRuntimeSpecified => StoreError::TimedOut,
            PoolError::Backend(error) => StoreError::Connect(error),
            PoolError::Closed | PoolError::PostCreateHook(_) => StoreError::Closed,
        })
    }

    /// Makes connections that the pool does not count.
    pub(crate) fn connector(&self) -> &Connector {
        self.0.manager()
    }
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
    pub(crate) const fn on(client: Client) -> Self {
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
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        self.client.as_ref().expect("it is there until the transaction is dropped")
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if let Some(client) = self.client.take().filter(|_| !self.is_over) {
            drop(Object::take(client));
        }
    }
}
