//! How many reports of parcels a second are taken, counted from the answers.
//!
//! Batches as carriers send them, each over many parcels. Every parcel walks from the warehouse to its door, one report a batch, and
//! fresh ones begin all the time, so the ledger grows as it does in life.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::figures::{Quantiles, Variant};
use super::load::{self, Reports, Requests, Tally};
use super::measure::{self, Plan, Usage};
use super::scratch::Scratch;
use super::server::{Program, Server};
use super::wire::{JSON, Target};
use super::{Args, say};
use crate::command::Global;
use crate::exit::Exit;
use crate::output::{self, Align, count};

/// Where carriers report.
const PATH: &str = "/order/tracking";

/// The way of every parcel.
const WAY: [&str; 3] = ["PICKED_UP_AT_WAREHOUSE", "OUT_FOR_DELIVERY", "DELIVERED"];

/// One run.
#[derive(Debug, Clone, Serialize)]
struct Figures {
    /// Reports that moved their parcel per second, in the measured window.
    events_per_second: f64,
    batches_per_second: f64,
    /// From the request to its whole answer.
    batch_ms: Option<Quantiles>,
    /// Reports that moved their parcel.
    moved: u64,
    /// Reports that were taken and moved nothing: late, or there before.
    idle: u64,
    /// Reports that could not be.
    refused: u64,
    /// Batches answered 4xx.
    refused_4xx: u64,
    /// Batches answered 503.
    shed_503: u64,
    /// Batches answered 5xx otherwise.
    failed_5xx: u64,
    /// Batches not answered.
    broken: u64,
    memory_peak_bytes: Option<u64>,
    server_cores: Option<f64>,
    /// Of the ledger after the stop, by all reports sent in batches that were accepted.
    database_bytes_per_event: Option<f64>,
}

/// Measures, and prints the figures.
pub(super) async fn run(args: &Args, global: &Global) -> Result<Exit> {
    let plan = args.plan()?;
    let variant = args.variants()[0];
    let scratch = Scratch::new(args.data.as_deref().filter(|_| args.url.is_none()))?;
    let mut runs = Vec::new();
    for number in 1..=args.runs {
        say(&format!("run {number} of {}", args.runs));
        let figures = match &args.url {
            Some(url) => figures(&load(&plan, &Target::from_url(url)?, args.batch).await?),
            None => {
                let data = scratch.directory(&format!("tracking-{number}-{}", variant.as_str()))?;
                own(&plan, variant, &data.path, args.batch).await?
            }
        };
        say(&format!("  {} reports/s", per_second(figures.events_per_second)));
        runs.push(figures);
    }
    runs.sort_by(|a, b| a.events_per_second.total_cmp(&b.events_per_second));
    let median = &runs[(runs.len() - 1) / 2];
    if global.json {
        let variant = if args.url.is_some() { Variant::Running } else { variant };
        let spread = [runs.first(), runs.last()].map(|run| run.map(|run| run.events_per_second));
        output::json(&json!({
            "ledger": variant,
            "connections": args.connections,
            "batch": args.batch,
            "duration_seconds": args.duration,
            "cores": std::thread::available_parallelism().map_or(1, usize::from),
            "tracking": median,
            "spread_per_second": spread,
            "all_runs": runs,
        }))?;
    } else {
        print(median)?;
    }
    // Every report of this load is one that a carrier may send: none of them may be refused, and none lost.
    let is_whole = runs.iter().all(|run| run.broken + run.refused + run.idle + run.refused_4xx + run.failed_5xx == 0);
    Ok(if is_whole { Exit::Ok } else { Exit::Failure })
}

/// A server of our own on this data directory.
async fn own(plan: &Plan, variant: Variant, data: &Path, batch: usize) -> Result<Figures> {
    let environment = plan.environment_of(variant);
    let server = Server::start(Program::Serve { data, environment: &environment }).await?;
    let before = Usage::of(std::slice::from_ref(&server));
    let tally = load(plan, &server.target, batch).await?;
    let mut figures = figures(&tally);
    figures.server_cores = before.cores_since(std::slice::from_ref(&server));
    figures.memory_peak_bytes = server.memory().map(|(_, peak)| peak);
    server.stop().await?;
    if variant == Variant::Sqlite && tally.accepted > 0 {
        let reports = tally.accepted as f64 * batch as f64;
        figures.database_bytes_per_event = Some(measure::database_bytes(data) as f64 / reports);
    }
    Ok(figures)
}

async fn load(plan: &Plan, target: &Target, batch: usize) -> Result<Tally> {
    load::drive(std::slice::from_ref(target), &plan.shape, None, || Carrier::new(batch)).await
}

fn figures(tally: &Tally) -> Figures {
    let seconds = tally.ended.saturating_duration_since(tally.began).as_secs_f64();
    let rate = |number: u64| if seconds > 0.0 { number as f64 / seconds } else { 0.0 };
    let Reports { moved, idle, refused } = tally.reports;
    Figures {
        events_per_second: rate(moved),
        batches_per_second: rate(tally.accepted_measured),
        batch_ms: Quantiles::of(&tally.latency_us),
        moved,
        idle,
        refused,
        refused_4xx: tally.refused,
        shed_503: tally.shed,
        failed_5xx: tally.failed,
        broken: tally.broken,
        memory_peak_bytes: None,
        server_cores: None,
        database_bytes_per_event: None,
    }
}

/// Reports of one carrier, who has one connection.
struct Carrier {
    batch: usize,
    name: String,
    /// Parcels begun so far.
    begun: u64,
    /// Parcels on their way, with the state each comes to next.
    under_way: VecDeque<(u64, usize)>,
}

impl Carrier {
    fn new(batch: usize) -> Self {
        Self { batch, name: Uuid::new_v4().simple().to_string(), begun: 0, under_way: VecDeque::new() }
    }

    /// The parcels of the next batch, each once, with the states they come to: up to two thirds are those longest on their way, the
    /// others begin theirs.
    fn walk(&mut self) -> Vec<(u64, usize)> {
        let older = self.under_way.len().min(self.batch * 2 / 3);
        let mut steps: Vec<(u64, usize)> = self.under_way.drain(..older).collect();
        while steps.len() < self.batch {
            steps.push((self.begun, 0));
            self.begun += 1;
        }
        let next = steps.iter().map(|(parcel, step)| (*parcel, step + 1));
        self.under_way.extend(next.filter(|(_, step)| *step < WAY.len()));
        steps
    }

    fn body(&mut self, seen_at: Timestamp) -> String {
        use std::fmt::Write as _;
        let mut body = String::from("{\"event\":[");
        for (index, (parcel, step)) in self.walk().into_iter().enumerate() {
            let (comma, name, status) = (if index > 0 { "," } else { "" }, &self.name, WAY[step]);
            write!(
                body,
                "{comma}{{\"orderId\":\"{name}-{parcel}\",\"status\":\"{status}\",\"eventTs\":\"{seen_at}\"}}"
            )
            .expect("a text takes any text");
        }
        body.push_str("]}");
        body
    }
}

/// What is answered to one report.
#[derive(Deserialize)]
struct Answer {
    accepted: bool,
    published: bool,
}

impl Requests for Carrier {
    fn next(&mut self, target: &Target) -> Request<Full<Bytes>> {
        target.request(Method::POST, PATH, JSON, Full::new(self.body(Timestamp::now()).into()))
    }

    fn reports(&mut self, answer: &Bytes) -> Result<Reports> {
        let answers: Vec<Answer> = serde_json::from_slice(answer).context("the answer to a batch of reports")?;
        anyhow::ensure!(answers.len() == self.batch, "{} of {} reports were answered", answers.len(), self.batch);
        let mut reports = Reports::default();
        for answer in answers {
            match (answer.accepted, answer.published) {
                (true, true) => reports.moved += 1,
                (true, false) => reports.idle += 1,
                (false, _) => reports.refused += 1,
            }
        }
        Ok(reports)
    }
}

fn per_second(rate: f64) -> String {
    count(rate.round() as u64)
}

fn print(figures: &Figures) -> io::Result<()> {
    let ms = |of: fn(&Quantiles) -> f64| {
        figures.batch_ms.as_ref().map_or_else(|| "-".to_owned(), |times| format!("{:.2}", of(times)))
    };
    let known =
        |value: Option<f64>, digits: usize| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"));
    let rows = [
        ("taken, moving a parcel", "reports/s", per_second(figures.events_per_second)),
        ("batches", "answers/s", per_second(figures.batches_per_second)),
        ("batch p50", "ms", ms(|times| times.p50)),
        ("batch p90", "ms", ms(|times| times.p90)),
        ("batch p99", "ms", ms(|times| times.p99)),
        ("batch max", "ms", ms(|times| times.max)),
        ("moved a parcel", "reports", count(figures.moved)),
        ("late or there before", "reports", count(figures.idle)),
        ("refused", "reports", count(figures.refused)),
        ("answered 4xx", "batches", count(figures.refused_4xx)),
        ("answered 503", "batches", count(figures.shed_503)),
        ("answered 5xx otherwise", "batches", count(figures.failed_5xx)),
        ("not answered", "batches", count(figures.broken)),
        ("memory at its peak", "MiB", known(figures.memory_peak_bytes.map(|bytes| bytes as f64 / 1_048_576.0), 1)),
        ("processor cores in use", "cores", known(figures.server_cores, 2)),
        ("database", "bytes/report", known(figures.database_bytes_per_event, 0)),
    ];
    let rows = rows.map(|(name, unit, value)| vec![name.to_owned(), unit.to_owned(), value]);
    output::table(&[("figure", Align::Left), ("unit", Align::Left), ("value", Align::Right)], rows.to_vec())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn every_parcel_walks_its_way_once_and_fresh_ones_begin_all_the_time() {
        let mut carrier = Carrier::new(100);
        let mut at: HashMap<u64, usize> = HashMap::new();
        for batch in 0..50 {
            let steps = carrier.walk();
            assert_eq!(steps.len(), 100);
            let parcels: std::collections::HashSet<u64> = steps.iter().map(|(parcel, _)| *parcel).collect();
            assert_eq!(parcels.len(), 100, "a parcel is in a batch once");
            assert!(steps.iter().filter(|(_, step)| *step == 0).count() >= 34, "batch {batch}");
            for (parcel, step) in steps {
                assert_eq!(at.insert(parcel, step), step.checked_sub(1), "parcel {parcel}");
            }
        }
        assert!(at.values().filter(|step| **step == 2).count() > 1_000);
    }

    #[test]
    fn a_batch_is_what_the_interface_takes_and_its_answers_are_counted() {
        let mut carrier = Carrier::new(3);
        let body: serde_json::Value =
            serde_json::from_str(&carrier.body("2026-01-01T00:00:00Z".parse().expect("a time"))).expect("JSON");
        assert_eq!(body["event"].as_array().map(Vec::len), Some(3));
        assert_eq!(body["event"][2]["status"], "PICKED_UP_AT_WAREHOUSE");
        let answer = r#"[{"orderId":"a","accepted":true,"published":true},{"orderId":"b","accepted":true,"published":false,
            "reason":"late"},{"orderId":"c","accepted":false,"published":false,"reason":"same_status"}]"#;
        let counted = carrier.reports(&Bytes::from(answer)).expect("an answer");
        assert_eq!(counted, Reports { moved: 1, idle: 1, refused: 1 });
        assert!(carrier.reports(&Bytes::from_static(b"[]")).is_err(), "each report has an answer");
    }
}
