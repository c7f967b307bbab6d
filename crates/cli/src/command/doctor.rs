//! `ordermill doctor`: audits every invariant, on a live or a stopped ledger.

use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context, Result, bail};
use ordermill_config::{Config, Ledger, Mail, Objects, PaymentProvider};
use ordermill_core::invariant::Invariant;
use ordermill_core::money::{Currency, Money};
use ordermill_embedded::{mail, sandbox, sqlite};
use ordermill_engine::audit::{self, Finding, Parts, Phase, Totals};
use ordermill_ports::audit::{AuditError, LedgerSnapshot};
use serde_json::{Value, json};

use super::{ConfigArgs, Global};
use crate::exit::{Exit, Usage};
use crate::output::{self, Align, count};
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
    let mut parts = parts(&config)?;
    let mut watch = Watch { quiet: global.json, phase: None };
    let mut findings = Findings { is_json: global.json, shown: Vec::new(), count: 0, failed: None };
    let outcome = audit::run(&mut parts, &mut |progress| watch.update(progress), &mut |finding| findings.take(finding));
    watch.finish();
    findings.print()?;
    match outcome {
        Ok(totals) => {
            if global.json {
                output::json(&last_line(&totals)?)?;
            } else {
                print_totals(&totals)?;
            }
            Ok(if totals.is_clean() { Exit::Ok } else { Exit::Violated })
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

/// The stores that the configuration names.
fn parts(config: &Config) -> Result<Parts<'_>> {
    let Ledger::Sqlite(path) = &config.ledger else {
        return Err(Usage("a ledger in memory can only be audited by the process that holds it".to_owned()).into());
    };
    if !path.exists() {
        bail!("there is no ledger at {}", path.display());
    }
    let PaymentProvider::Sandbox = config.payments;
    let journal = &config.sandbox.journal;
    let Objects::File(objects) = &config.objects;
    Ok(Parts {
        ledger: Box::new(move || Ok(Box::new(sqlite::Snapshot::open(path)?) as Box<dyn LedgerSnapshot>)),
        provider: Some(Box::new(move |visit| sandbox::read_journal(journal, visit))),
        mails: Some(Box::new(move |end, visit| match &config.mail {
            Mail::Mbox(path) => mail::scan_mbox(path, end.filter(|end| is_that_long(path, *end)), visit),
            Mail::Maildir(path) => mail::scan_maildir(path, visit),
        })),
        archive: Some(Box::new(move |keys| keys.iter().map(|key| read_object(objects, key)).collect())),
    })
}

/// A mail file that is shorter than what was committed is read as far as it goes: the mails that are gone are findings, by name.
fn is_that_long(path: &Path, end: u64) -> bool {
    std::fs::metadata(path).is_ok_and(|data| data.len() >= end)
}

/// Reads an object as the file it is: the auditor makes nothing, not even the directory of a store that is not there.
fn read_object(directory: &Path, key: &str) -> Result<Option<Vec<u8>>, AuditError> {
    match std::fs::read(directory.join(key)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(AuditError(format!("cannot read the object {key}: {error}"))),
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
        Phase::Keys => "references and keys",
        Phase::Provider => "entries of the provider's journal",
        Phase::Mails => "mails",
        Phase::SecondLook => "records looked at again",
    }
}

/// `{"totals": {"confirmed": 480, …}, "orders": 500, …}`: orders by outcome, and beside them everything else that was counted.
fn last_line(totals: &Totals) -> Result<Value> {
    let mut line = serde_json::to_value(totals)?;
    if let Some(fields) = line.as_object_mut()
        && let Some(by_status) = fields.remove("by_status")
    {
        fields.insert("totals".to_owned(), by_status);
    }
    Ok(line)
}

fn print_totals(totals: &Totals) -> io::Result<()> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |what: &str, value: String| rows.push(vec![what.to_owned(), value]);
    row("orders", count(totals.orders));
    for (status, number) in totals.by_status.iter().filter(|(_, number)| **number > 0) {
        row(&format!("  {status}"), count(*number));
        if *status == "rejected" {
            totals.rejected.iter().for_each(|(reason, number)| row(&format!("    {reason}"), count(*number)));
        }
    }
    row("waiting for a person", count(totals.attention));
    row("open", count(totals.open));
    row("events", count(totals.events));
    for (currency, money) in &totals.money {
        let parts = [
            ("authorized", money.authorized),
            ("  held", money.held),
            ("  captured", money.captured),
            ("    kept", money.kept),
            ("    refunded", money.refunded),
            ("  voided", money.voided),
            ("  expired", money.expired),
        ];
        parts.into_iter().for_each(|(what, amount)| row(what, major(amount, currency)));
    }
    let stock = &totals.stock;
    row("products", count(stock.products));
    let units = [
        ("units brought in", stock.brought_in),
        ("units returned", stock.returned),
        ("  available", stock.available),
        ("  reserved", stock.reserved),
        ("  sold", stock.sold),
    ];
    units.into_iter().for_each(|(what, units)| row(what, units.to_string()));
    row("mails", count(totals.mails.values().sum()));
    totals.mails.iter().for_each(|(kind, number)| row(&format!("  {kind}"), count(*number)));
    row("archived objects", count(totals.archive_objects));
    row("entries of the provider's journal", count(totals.provider_entries));
    row("order references", count(totals.order_refs));
    row("idempotency keys", count(totals.idempotency_keys));
    output::table(&[("audited", Align::Left), ("total", Align::Right)], rows)?;
    if totals.is_clean() {
        return output::line(format_args!("everything is in balance: all {} invariants hold", Invariant::ALL.len()));
    }
    let broken: Vec<String> = totals.findings.iter().map(|(name, number)| format!("{name} ({number})")).collect();
    output::line(format_args!("violated: {}", broken.join(", ")))
}

/// Minor units as people write them; sums beyond any real amount as they are.
fn major(amount_minor: i128, currency: &str) -> String {
    match (i64::try_from(amount_minor), currency.parse::<Currency>()) {
        (Ok(amount_minor), Ok(currency)) => Money { amount_minor, currency }.to_string(),
        _ => format!("{amount_minor} minor units of {currency}"),
    }
}
