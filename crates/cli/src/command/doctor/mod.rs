//! `ordermill doctor`: audits every invariant, on a live or a stopped ledger.

mod stores;
mod totals;

use std::io::{self, Write as _};

use anyhow::{Context, Result};
use ordermill_engine::audit::{self, Finding, Phase};
use serde_json::json;

use super::{ConfigArgs, Global};
use crate::exit::Exit;
use crate::output::{self, count};
use crate::progress::Progress;

/// Findings shown to people; the rest is counted. `--json` shows all.
const SHOWN_MAX: usize = 100;

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArgs,
}

/// Audits, and prints findings and totals.
pub fn run(args: Args, global: &Global) -> Result<Exit> {
    let config = args.config.load(Vec::new())?.config;
    let mut parts = stores::parts(&config)?;
    let mut watch = Watch { quiet: global.json, phase: None };
    let mut findings = Findings { is_json: global.json, shown: Vec::new(), count: 0, failed: None };
    let outcome = audit::run(&mut parts, &mut |progress| watch.update(progress), &mut |finding| findings.take(finding));
    watch.finish();
    findings.print()?;
    match outcome {
        Ok(counted) => {
            if global.json {
                output::json(&totals::last_line(&counted)?)?;
            } else {
                totals::print(&counted)?;
            }
            Ok(if counted.is_clean() { Exit::Ok } else { Exit::Violated })
        }
        Err(error) if findings.count == 0 => Err(error).context("the audit could not be ended"),
        // What was found stands, though there may be more.
        Err(error) => {
            // That nobody reads it changes nothing of what was found.
            let _ = writeln!(io::stderr().lock(), "error: the audit could not be ended: {error}");
            Ok(Exit::Violated)
        }
    }
}

/// Takes findings as they come.
struct Findings {
    is_json: bool,
    /// For people: shown when no progress bar is in the way.
    shown: Vec<Finding>,
    count: usize,
    failed: Option<io::Error>,
}

impl Findings {
    fn take(&mut self, finding: &Finding) {
        self.count += 1;
        if !self.is_json {
            if self.shown.len() < SHOWN_MAX {
                self.shown.push(finding.clone());
            }
        } else if self.failed.is_none() {
            self.failed = output::json(&json!({ "finding": finding })).err();
        }
    }

    fn print(&mut self) -> io::Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        for finding in &self.shown {
            output::line(format_args!("{}: {}", finding.invariant.as_str(), finding.detail))?;
        }
        if !self.is_json && self.count > self.shown.len() {
            let more = (self.count - self.shown.len()) as u64;
            output::line(format_args!("… and {} more; --json shows all", count(more)))?;
        }
        Ok(())
    }
}

/// Shows how far the audit is.
struct Watch {
    quiet: bool,
    phase: Option<(Phase, Progress)>,
}

impl Watch {
    fn update(&mut self, progress: audit::Progress) {
        if self.phase.as_ref().is_none_or(|(phase, _)| *phase != progress.phase) {
            self.finish();
            self.phase = Some((progress.phase, Progress::new(what(progress.phase), self.quiet)));
        }
        if let Some((_, shown)) = &mut self.phase {
            let share = progress.total.map(|total| progress.done as f64 / total.max(1) as f64);
            shown.update(progress.done, share);
        }
    }

    fn finish(&mut self) {
        if let Some((_, shown)) = self.phase.take() {
            shown.finish();
        }
    }
}

const fn what(phase: Phase) -> &'static str {
    match phase {
        Phase::Storage => "problems in the files of the ledger so far",
        Phase::Orders => "orders",
        Phase::Products => "products",
        Phase::Customers => "customers",
        Phase::Parcels => "parcels",
        Phase::Records => "records",
        Phase::Keys => "references and keys",
        Phase::Provider => "entries of the provider's journal",
        Phase::Mails => "mails",
        Phase::RecordObjects => "objects of records",
        Phase::SecondLook => "entries looked at again",
    }
}
