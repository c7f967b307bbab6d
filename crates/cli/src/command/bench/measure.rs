//! One run: a server, a load, and what came of it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::figures::{Figures, Quantiles, Variant};
use super::load::{self, Shape, Tally};
use super::mailbox::Mailbox;
use super::server::{Program, Server};
use super::shop::{self, Goods, Orders};
use super::wire::Target;

/// How long no mail may come before the rest is given up.
const PATIENCE: Duration = Duration::from_secs(15);

/// What every run has in common.
pub(super) struct Plan {
    pub(super) shape: Shape,
    pub(super) goods: Goods,
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
    let before = Usage::of(&server);
    let tally = load::drive(&server.target, &plan.shape, None, || Orders::for_echo(plan.goods)).await?;
    let mut figures = figures(Variant::Echo, &tally);
    before.compare(&server, &mut figures);
    server.stop().await?;
    Ok(figures)
}

/// Runs a server of ours on this data directory. Gives how many orders it took, too, the warm-up's included.
pub(super) async fn own(plan: &Plan, variant: Variant, data: &Path) -> anyhow::Result<(Figures, u64)> {
    let environment = plan.environment_of(variant);
    let server = Server::start(Program::Serve { data, environment: &environment }).await?;
    let idle = server.memory();
    shop::stock_up(&server.target, plan.goods).await?;
    let before = Usage::of(&server);
    let (mut figures, tally) = orders(plan, variant, &server.target, Some(&data.join("mail.mbox"))).await?;
    before.compare(&server, &mut figures);
    figures.ready_ms = Some(server.ready_after.as_secs_f64() * 1_000.0);
    figures.idle_memory_bytes = idle.map(|(now, _)| now);
    server.stop().await?;
    if variant == Variant::Sqlite {
        let stored = plan.stored_before + tally.accepted;
        let bytes = database_bytes(data);
        figures.database_bytes_per_order = (stored > 0).then(|| bytes as f64 / stored as f64);
    }
    Ok((figures, tally.accepted))
}

/// Bytes of the ledger. What a stop leaves in the log beside the database is data as well.
pub(super) fn database_bytes(data: &Path) -> u64 {
    let bytes_of = |name| std::fs::metadata(data.join(name)).map_or(0, |data| data.len());
    bytes_of("ordermill.db") + bytes_of("ordermill.db-wal")
}

/// Puts the load on a server that takes orders, and waits for the mail of the last one where the mail file is known.
pub(super) async fn orders(
    plan: &Plan,
    variant: Variant,
    target: &Target,
    mail_file: Option<&Path>,
) -> anyhow::Result<(Figures, Tally)> {
    let mailbox = mail_file.map(Mailbox::follow).transpose()?.map(Arc::new);
    let tally = load::drive(target, &plan.shape, mailbox.as_ref(), || Orders::new(plan.goods)).await?;
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
    }
}

/// What a server's process had used before its load.
pub(super) struct Usage {
    at: Instant,
    processor: Option<Duration>,
}

impl Usage {
    pub(super) fn of(server: &Server) -> Self {
        Self { at: Instant::now(), processor: server.processor_time() }
    }

    /// Cores it has kept in use since, by what the system says.
    pub(super) fn cores_since(&self, server: &Server) -> Option<f64> {
        let now = Self::of(server);
        let used = now.processor.zip(self.processor).map(|(now, before)| now.saturating_sub(before).as_secs_f64());
        used.map(|used| used / now.at.duration_since(self.at).as_secs_f64())
    }

    /// What it has used since.
    fn compare(&self, server: &Server, figures: &mut Figures) {
        figures.server_cores = self.cores_since(server);
        if let Some((now, peak)) = server.memory() {
            (figures.memory_bytes, figures.memory_peak_bytes) = (Some(now), Some(peak));
        }
    }
}
