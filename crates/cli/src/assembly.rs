//! Puts a server together from its configuration: backends, gateways with their wrappers, roles, and the HTTP interface.
//!
//! Architecture invariant: this is the one place that knows which adapter stands behind which port.

mod absent;
#[cfg(feature = "kafka")]
mod kafka;
mod ledger;
pub mod payments;
#[cfg(feature = "postgres")]
pub mod postgres;
mod settings;
#[cfg(feature = "postgres")]
mod setup;
#[cfg(test)]
pub mod testing;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use ordermill_config as config;
use ordermill_config::{Config, ConfigError, Effective};
use ordermill_core::id::CustomerId;
use ordermill_core::process::Role;
use ordermill_embedded::secrets::LocalSecrets;
use ordermill_embedded::{mail, objects};
use ordermill_engine::{Parts, Running, TemplateError, Templates};
use ordermill_http::{App, Token, TokenList};
use ordermill_ports::clock::{SystemClock, SystemRandom};
use ordermill_ports::decorator::{Cached, Metered};
use ordermill_ports::{Clock, Mailer, Objects, Queries, Secrets};
use ordermill_telemetry as telemetry;
use tokio::net::TcpListener;
use tokio::runtime::{self, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use absent::Absent;

use crate::exit::BadOption;

/// Renders the metrics of the process.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// A server at work.
pub struct Server {
    /// Where it listens; `None` when it does not.
    pub address: Option<SocketAddr>,
    /// Whether that is the whole interface; health and metrics alone otherwise.
    pub has_api: bool,
    /// What its roles work with.
    pub parts: Parts,
    roles: Running,
    /// Ended last: the roles run on them.
    _role_threads: RoleThreads,
    stop: Option<oneshot::Sender<()>>,
    http: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Opens everything, starts the roles and listens. Ready when it returns.
    ///
    /// # Errors
    /// Something cannot be opened: a file, another process that has it, the port.
    pub async fn start(config: &Config, metrics: RenderMetrics) -> Result<Self> {
        let has_api = config.roles.0.contains(&Role::Api);
        // The port first: a second server on the same one must not touch anything.
        let listener = match has_api || config.http.is_listen_given {
            true => Some(listen(config.http.listen.0).await?),
            false => None,
        };
        std::fs::create_dir_all(&config.data)
            .with_context(|| format!("the data directory {} cannot be made", config.data.display()))?;
        let (parts, callers) = open(config).await?;
        let app = app(&parts, callers, config, metrics)?;
        if has_api {
            warn_of_missing_secrets(&app, config).await;
        }
        let role_threads = RoleThreads::start()?;
        let roles =
            role_threads.enter(|| ordermill_engine::start(parts.clone(), settings::engine(config), &config.roles.0));
        let address = listener.as_ref().map(TcpListener::local_addr).transpose()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let http = match listener {
            Some(listener) if has_api => tokio::spawn(ordermill_http::serve(listener, app, stopped)),
            // For whoever keeps the process running.
            Some(listener) => tokio::spawn(ordermill_http::serve_health(listener, app, stopped)),
            None => tokio::spawn(async move {
                // Sent, or dropped with the server: both mean the end.
                let _ = stopped.await;
                Ok(())
            }),
        };
        Ok(Self { address, has_api, parts, roles, _role_threads: role_threads, stop: Some(stop), http })
    }

    /// Returns only when the HTTP interface has failed, or the ledger for good.
    pub async fn failed(&mut self) -> anyhow::Error {
        let ended = tokio::select! {
            ended = &mut self.http => ended,
            reason = self.parts.ledger.failed() => return anyhow::anyhow!("the ledger has failed: {reason}"),
        };
        match ended {
            Ok(Ok(())) => anyhow::anyhow!("the HTTP interface ended by itself"),
            Ok(Err(error)) => anyhow::Error::new(error).context("the HTTP interface failed"),
            Err(error) => anyhow::Error::new(error).context("the HTTP interface ended with a defect"),
        }
    }

    /// Ends in the order that loses nothing: no new requests, then the roles, then the ledger.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            // It has ended already when nobody listens.
            let _ = stop.send(());
        }
        if !self.http.is_finished()
            && let Ok(Err(error)) = self.http.await
        {
            tracing::warn!(%error, "the interface ended with an error");
        }
        self.roles.stop().await;
        self.parts.ledger.close().await;
    }
}

/// Threads that only roles run on. Beside hundreds of connections on the same threads a role waits for its turn at every step, and
/// orders are taken faster than they are fulfilled; between threads the system shares the processor out fairly.
struct RoleThreads(Option<Runtime>);

impl RoleThreads {
    fn start() -> Result<Self> {
        // The other half is for HTTP and the ledger.
        let threads = std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1));
        let runtime =
            runtime::Builder::new_multi_thread().worker_threads(threads).thread_name("roles").enable_all().build();
        Ok(Self(Some(runtime.context("the threads of the roles cannot be started")?)))
    }

    /// Runs something whose tasks go to these threads.
    fn enter<T>(&self, start: impl FnOnce() -> T) -> T {
        let _entered = self.0.as_ref().map(Runtime::enter);
        start()
    }
}

impl Drop for RoleThreads {
    fn drop(&mut self) {
        // Waiting for them is not allowed on a thread that runs tasks; roles that are to end in peace were stopped before.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Refuses what only the parts can tell to be wrong, with its place, and without beginning anything.
///
/// # Errors
/// Every option that is wrong.
pub fn check(effective: &Effective) -> Result<(), ConfigError> {
    let config = &effective.config;
    let ledger = match &config.ledger {
        #[cfg(feature = "postgres")]
        config::Ledger::Postgres(url) => postgres::options(config, url, Arc::new(SystemClock)).map(drop),
        config::Ledger::Sqlite(_) | config::Ledger::Memory => Ok(()),
    };
    let templates = load_templates(config).map(drop);
    let checked = [
        ledger::check(config),
        ledger,
        templates.map_err(|error| BadOption::new("notifications.templates", error)),
        telemetry::check_level(&config.log.level).map_err(|error| BadOption::new("log.level", error)),
    ];
    let wrong: Vec<BadOption> = checked.into_iter().filter_map(Result::err).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(ConfigError::Invalid(wrong.into_iter().map(|bad| effective.problem(bad.key, bad.message)).collect()))
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// Opens the backends and puts their wrappers around the gateways. Beside the parts there is what callers read by.
async fn open(config: &Config) -> Result<(Parts, Arc<dyn Queries>)> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    // Both read through their indexes at the start, which takes its time once there are millions of orders.
    let payments = tokio::task::spawn_blocking({
        let (config, clock) = (config.clone(), Arc::clone(&clock));
        move || payments::open(&config, &clock)
    });
    let store = ledger::open(config, &clock).await?;
    let mailer = open_mail(config, &*store.queries).await?;
    let config::Objects::File(archive) = &config.objects;
    let objects: Arc<dyn Objects> = Arc::new(objects::FileObjects::open(archive)?);
    let parts = Parts {
        ledger: store.ledger,
        queries: store.queries,
        bus: store.bus,
        payments: payments.await??,
        mailer: Arc::new(Metered::mailer(mailer)),
        objects: Arc::new(Metered::objects(objects)),
        clock: store.clock,
        random: Arc::new(SystemRandom::default()),
        templates: Arc::new(load_templates(config)?),
        publisher: store.publisher,
    };
    Ok((parts, store.callers))
}

/// The mail store; a mail file has one process that writes it, so it is left alone where the role does not run.
async fn open_mail(config: &Config, queries: &dyn Queries) -> Result<Arc<dyn Mailer>> {
    if !config.roles.0.contains(&Role::Notifications) {
        return Ok(Arc::new(Absent(Role::Notifications)));
    }
    let from = &config.notifications.from;
    Ok(match &config.mail {
        config::Mail::Mbox(path) => Arc::new(mail::Mbox::open(path, queries.mailbox_end().await?, from)?),
        config::Mail::Maildir(path) => Arc::new(mail::Maildir::open(path, from)?),
    })
}

/// The templates of mails. Where none are written the operator's need not be there.
fn load_templates(config: &Config) -> Result<Templates, TemplateError> {
    let directory = config.notifications.templates.as_path();
    let is_given = !directory.as_os_str().is_empty() && config.roles.0.contains(&Role::Notifications);
    Templates::load(is_given.then_some(directory))
}

fn app(parts: &Parts, queries: Arc<dyn Queries>, config: &Config, metrics: RenderMetrics) -> Result<App> {
    let source: Arc<dyn Secrets> = Arc::new(LocalSecrets::new(&config.data));
    let kept = |refresh: config::Period| -> Arc<dyn Secrets> {
        Arc::new(Cached::<dyn Secrets>::new(Arc::clone(&source), refresh.std()))
    };
    Ok(App {
        ledger: Arc::clone(&parts.ledger),
        queries,
        bus: Arc::clone(&parts.bus),
        clock: Arc::clone(&parts.clock),
        random: Arc::clone(&parts.random),
        authenticator: Arc::new(TokenList::new(kept(config.auth.token_refresh), tokens(&config.auth)?)),
        secrets: kept(config.records.token_refresh),
        metrics,
        settings: settings::http(config),
    })
}

/// A secret that cannot be had keeps callers out until it can; whoever starts the server should not learn it from them.
async fn warn_of_missing_secrets(app: &App, config: &Config) {
    let tokens = config.auth.tokens.iter().map(|token| &token.token);
    for reference in tokens.chain(&config.records.token) {
        if let Err(error) = app.secrets.reveal(reference).await {
            tracing::warn!(%error, "a token is not there; nobody is let in with it until it is");
        }
    }
}

fn tokens(auth: &config::Auth) -> Result<Vec<Token>> {
    let token = |token: &config::Token| {
        Ok(Token {
            reference: token.token.clone(),
            subject: CustomerId::new(&token.subject)?,
            scopes: token.scopes.iter().map(|scope| scope.as_str().into()).collect(),
        })
    };
    auth.tokens.iter().map(token).collect()
}

/// Sets up logs and metrics as configured.
pub fn init_telemetry(log: &config::Log) -> Result<telemetry::Telemetry> {
    let format = match log.format {
        config::LogFormat::Pretty => telemetry::Format::Pretty,
        config::LogFormat::Json => telemetry::Format::Json,
        config::LogFormat::Auto => telemetry::Format::Auto,
    };
    Ok(telemetry::init(&telemetry::LogSettings { format, level: log.level.clone() })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_starts_on_either_ledger_and_ends() {
        for is_in_memory in [true, false] {
            let dir = tempfile::tempdir().expect("a directory can be made");
            let mut config = Config::with_defaults(dir.path());
            config.http.listen = config::Listen(([127, 0, 0, 1], 0).into());
            if is_in_memory {
                config.ledger = config::Ledger::Memory;
            }
            let server = Server::start(&config, Arc::new(String::new)).await.expect("it starts");
            let url = format!("http://{}", server.address.expect("it listens"));
            let client = ordermill_client::Client::new(&url).expect("a URL");
            client.ready().await.expect("it is ready");
            server.stop().await;
            assert!(client.ready().await.is_err());
        }
    }
}
