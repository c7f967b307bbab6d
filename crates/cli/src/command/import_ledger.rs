//! `ordermill import-ledger FILE`: a ledger out of a file.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::read::MultiGzDecoder;
use ordermill_engine::audit::Finding;
use ordermill_engine::moving::{self, Imported};
use serde_json::json;

use super::ledgers::{self, Watch};
use super::{ConfigArgs, Global};
use crate::exit::Exit;
use crate::output::{self, count};

/// Bytes read at a time.
const BUFFER_BYTES: usize = 256 * 1024;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Findings shown to people; the rest is counted. `--json` shows all.
const SHOWN_MAX: usize = 100;

/// Arguments of `import-ledger`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The ledger that the configuration names has to be empty. Until everything is there, adds up to what was exported and has passed the \
audit of `ordermill doctor`, no server can open it. Broken off at any instant, it goes on where it was when you run it again with the \
same file.

Exit codes: 0 it is a ledger now; 1 the file or the ledger cannot be used, or another failure; 4 something does not add up, so that \
the ledger stays closed. Findings that the audit of the old ledger has as well can be taken along with --accept-findings.")]
pub struct Args {
    /// The file that `ordermill export` made, plain or packed with gzip; `-` for standard input
    file: PathBuf,
    #[command(flatten)]
    config: ConfigArgs,
    /// Open the ledger although the audit finds something, as it did where the ledger was
    #[arg(long)]
    accept_findings: bool,
}

/// Imports.
pub fn run(args: Args, global: &Global) -> Result<Exit> {
    let config = args.config.load(Vec::new())?.config;
    let mut watch = Watch::new(global.json);
    let mut findings = Vec::new();
    let is_stdin = args.file == Path::new("-");
    if !is_stdin {
        // Nothing is written before the whole file is known to be sound. What comes through a pipe is known at its end.
        let checked = moving::check(open(&args.file)?.as_mut(), &mut |word| watch.update(word));
        watch.finish();
        checked?;
    }
    let mut from = if is_stdin { unpacked(io::stdin().lock())? } else { open(&args.file)? };
    let mut target = ledgers::writer(&config)?;
    let mut take = |finding: &Finding| findings.push(finding.clone());
    let accept = args.accept_findings;
    let imported = moving::import(from.as_mut(), target.as_mut(), accept, &mut |word| watch.update(word), &mut take);
    watch.finish();
    let imported = imported.map_err(|error| match error {
        // Known only after the beginning was written.
        moving::ImportError::CutOff { lines: 1.. } | moving::ImportError::Damaged { .. } if is_stdin => {
            anyhow::anyhow!("{error}; {}", ledgers::how_to_go_on(&config))
        }
        error => error.into(),
    })?;
    print(&imported, &findings, global)?;
    Ok(if imported.is_finished { Exit::Ok } else { Exit::Violated })
}

fn open(path: &Path) -> Result<Box<dyn BufRead>> {
    let file = File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
    unpacked(BufReader::with_capacity(BUFFER_BYTES, file))
}

/// The content, whether it is packed or not.
fn unpacked(mut from: impl BufRead + 'static) -> Result<Box<dyn BufRead>> {
    let is_packed = from.fill_buf().context("the export cannot be read")?.starts_with(&GZIP_MAGIC);
    let plain: Box<dyn Read> = if is_packed { Box::new(MultiGzDecoder::new(from)) } else { Box::new(from) };
    Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, plain)))
}

fn print(imported: &Imported, findings: &[Finding], global: &Global) -> Result<()> {
    let Imported { summary, resumed_behind, audited, differences, is_finished } = imported;
    if global.json {
        findings.iter().try_for_each(|finding| output::json(&json!({ "finding": finding })))?;
        return Ok(output::json(&json!({
            "export": summary.export, "counts": summary.counts, "totals": summary.totals, "resumed_behind": resumed_behind,
            "differences": differences, "findings": audited.findings, "finished": is_finished,
        }))?);
    }
    if let Some(lines) = resumed_behind {
        output::line(format_args!("went on behind line {}, where an earlier import had ended", count(*lines)))?;
    }
    differences.iter().try_for_each(|what| output::line(format_args!("differs: {what}")))?;
    for finding in findings.iter().take(SHOWN_MAX) {
        output::line(format_args!("{}: {}", finding.invariant.as_str(), finding.detail))?;
    }
    if findings.len() > SHOWN_MAX {
        let more = (findings.len() - SHOWN_MAX) as u64;
        output::line(format_args!("… and {} more; --json shows all", count(more)))?;
    }
    let (events, orders) = (count(summary.counts.events), count(summary.totals.orders.values().sum()));
    output::line(format_args!("{events} events of {orders} orders are imported"))?;
    if *is_finished {
        return Ok(output::line("the ledger adds up to what was exported, and can be served")?);
    }
    let advice = if differences.is_empty() {
        "the ledger stays closed; if `ordermill doctor` found the same before, import again with --accept-findings"
    } else {
        "the ledger is not what was exported, and stays closed"
    };
    Ok(writeln!(io::stderr(), "{advice}")?)
}
