//! One run: a server, a load, and what came of it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cluster::{Cluster, Layout};
use super::figures::{Figures, Quantiles, Variant};
use super::load::{self, Shape, Tally};
use super::mailbox::{Mailbox, Store};
use super::server::{Program, Server};
use super::shop::{self, Goods, Orders};
use super::wire::Target;

/// How long no mail may come before the rest is given up.
const PATIENCE: Duration = Duration::from_secs(15);

/// What every run has in common.
pub(super) struct Plan {
    pub(super) shape: Shape,
    pub(super) goods: Goods,
    /// Processes on a ledger that several share.
    pub(super) layout: Layout,
    /// Options of the server, as environment.
    pub(super) environment: Vec<(String, String)>,
    /// Orders that a SQLite ledger holds before.
    pub(super) stored_before: u64,
}

impl Plan {
    /// The environment for a server with this ledger.
    pub(super) fn environment_of(&self, variant: Variant) -> Vec<(String, String)> {
        let mut environment = self.environment.clone();
        if variant == Variant::Memory {
            environment.push(("ORDERMILL_LEDGER".to_owned(), "memory:".to_owned()));
        }
        environment
    }
}

/// Runs the bare echo.
pub(super) async fn echo(plan: &Plan, data: &Path) -> anyhow::Result<Figures> {
    let server = Server::start(Program::Echo { data }).await?;
    let servers = std::slice::from_ref(&server);
    let before = Usage::of(servers);
    let targets = std::slice::from_ref(&server.target);
    let tally = load::drive(targets, &plan.shape, None, || Orders::for_echo(plan.goods)).await?;
    let mut figures = figures(Variant::Echo, &tally);
    before.compare(servers, &mut figures);
    server.stop().await?;
    Ok(figures)
}

/// Runs a server of ours on this data directory. Gives how many orders it took, too, the warm-up's included.
pub(super) async fn own(plan: &Plan, variant: Variant, data: &Path) -> anyhow::Result<(Figures, u64)> {
    let ready = Ready::start(plan, data, &plan.environment_of(variant), Layout::One).await?;
    let (mut figures, accepted) = ready.run(plan, variant).await?;
    if variant == Variant::Sqlite {
        let stored = plan.stored_before + accepted;
        let bytes = database_bytes(data);
        figures.database_bytes_per_order = (stored > 0).then(|| bytes as f64 / stored as f64);
    }
    Ok((figures, accepted))
}

/// Servers of ours with goods to sell, before their load.
pub(super) struct Ready {
    cluster: Cluster,
    idle_bytes: Option<u64>,
}

impl Ready {
    /// Starts them, and fills their catalogue.
    pub(super) async fn start(
        plan: &Plan,
        data: &Path,
        environment: &[(String, String)],
        layout: Layout,
    ) -> anyhow::Result<Self> {
        let cluster = Cluster::start(data, environment, layout).await?;
        let idle_bytes = memory(&cluster.servers).map(|(now, _)| now);
        shop::stock_up(cluster.front(), plan.goods).await?;
        Ok(Self { cluster, idle_bytes })
    }

    /// Loads them, and ends them. Gives how many orders they took, too, the warm-up's included.
    pub(super) async fn run(self, plan: &Plan, variant: Variant) -> anyhow::Result<(Figures, u64)> {
        let Self { cluster, idle_bytes } = self;
        let before = Usage::of(&cluster.servers);
        let (mut figures, tally) = orders(plan, variant, &cluster.targets(), Some(&cluster.mails)).await?;
        before.compare(&cluster.servers, &mut figures);
        figures.ready_ms =
            cluster.servers.iter().map(|server| server.ready_after.as_secs_f64() * 1_000.0).reduce(f64::max);
        figures.idle_memory_bytes = idle_bytes;
        cluster.stop().await?;
        Ok((figures, tally.accepted))
    }
}

/// Bytes of the ledger. What a stop leaves in the log beside the database is data as well.
pub(super) fn database_bytes(data: &Path) -> u64 {
    let bytes_of = |name| std::fs::metadata(data.join(name)).map_or(0, |data| data.len());
    bytes_of("ordermill.db") + bytes_of("ordermill.db-wal")
}

/// Puts the load on servers that take orders, and waits for the mail of the last one where the mail store is known.
pub(super) async fn orders(
    plan: &Plan,
    variant: Variant,
    targets: &[Target],
    mails: Option<&Store>,
) -> anyhow::Result<(Figures, Tally)> {
    let mailbox = mails.map(Mailbox::follow).transpose()?.map(Arc::new);
    let tally = load::drive(targets, &plan.shape, mailbox.as_ref(), || Orders::new(plan.goods)).await?;
    let mut figures = figures(variant, &tally);
    if let Some(mailbox) = mailbox {
        let last = mailbox.wait_for(tally.accepted, PATIENCE).await.unwrap_or_else(|| mailbox.newest());
        let seconds = last.saturating_duration_since(tally.began).as_secs_f64();
        let mails = mailbox.count();
        figures.unmailed = Some(tally.accepted.saturating_sub(mails));
        figures.fulfilled_per_second =
            (seconds > 0.0).then(|| mails.saturating_sub(tally.mails_before) as f64 / seconds);
        // The connections are gone by now, and with them every other owner.
        if let Ok(mailbox) = Arc::try_unwrap(mailbox) {
            figures.mailed_ms = Quantiles::of(&mailbox.finish()?);
        }
    }
    Ok((figures, tally))
}

fn figures(variant: Variant, tally: &Tally) -> Figures {
    let seconds = tally.ended.saturating_duration_since(tally.began).as_secs_f64();
    Figures {
        variant,
        accepted_per_second: if seconds > 0.0 { tally.accepted_measured as f64 / seconds } else { 0.0 },
        fulfilled_per_second: None,
        accept_ms: Quantiles::of(&tally.latency_us),
        mailed_ms: None,
        accepted: tally.accepted_measured,
        unmailed: None,
        refused_4xx: tally.refused,
        shed_503: tally.shed,
        failed_5xx: tally.failed,
        broken: tally.broken,
        unsent: tally.unsent,
        ready_ms: None,
        idle_memory_bytes: None,
        memory_bytes: None,
        memory_peak_bytes: None,
        server_cores: None,
        database_bytes_per_order: None,
        postgres: None,
    }
}

/// Memory that servers have in use now, and the most that each ever had, in bytes, together.
pub(super) fn memory(servers: &[Server]) -> Option<(u64, u64)> {
    let of_each: Option<Vec<(u64, u64)>> = servers.iter().map(Server::memory).collect();
    of_each?.into_iter().reduce(|(now, peak), (also, also_peak)| (now + also, peak + also_peak))
}

/// What the processes of servers had used before their load.
pub(super) struct Usage {
    at: Instant,
    processor: Option<Duration>,
}

impl Usage {
    pub(super) fn of(servers: &[Server]) -> Self {
        Self { at: Instant::now(), processor: servers.iter().map(Server::processor_time).sum() }
    }

    /// Cores they have kept in use since, by what the system says.
    pub(super) fn cores_since(&self, servers: &[Server]) -> Option<f64> {
        let now = Self::of(servers);
        let used = now.processor.zip(self.processor).map(|(now, before)| now.saturating_sub(before).as_secs_f64());
        used.map(|used| used / now.at.duration_since(self.at).as_secs_f64())
    }

    /// What they have used since.
    fn compare(&self, servers: &[Server], figures: &mut Figures) {
        figures.server_cores = self.cores_since(servers);
        if let Some((now, peak)) = memory(servers) {
            (figures.memory_bytes, figures.memory_peak_bytes) = (Some(now), Some(peak));
        }
    }
}
