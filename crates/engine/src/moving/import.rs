//! Reads lines into a ledger, and makes sure that it is the ledger they came from.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

use ordermill_core::event::EventType;
use ordermill_core::process::Role;
use ordermill_ports::moving::{Counts, Item, LedgerWriter, Mark, MovedCursor};

use super::export::count;
use super::format::{Header, Line, Trailer, item_of};
use super::lines::Lines;
use super::{ImportError, Phase, Progress, Summary};
use crate::audit::{self, Finding, Parts};

/// Things written in one commit.
const ITEMS_AT_ONCE: usize = 10_000;

/// Bytes of event data in one commit, about.
const BYTES_AT_ONCE: usize = 8 * 1024 * 1024;

/// Lines between two words on how far it is.
const LINES_PER_WORD: u64 = 4_096;

/// The role that hands events on to a broker. A ledger without one never had it: it begins where the slowest of the others is, so that
/// nothing settled is told again to a year's listeners, and nothing unsettled is missed.
const RELAY: &str = "relay";

/// A ledger that was imported.
#[derive(Debug)]
pub struct Imported {
    /// What the file holds.
    pub summary: Summary,
    /// Lines that an earlier import of the same file had written.
    pub resumed_behind: Option<u64>,
    /// What the audit counted.
    pub audited: audit::Totals,
    /// What the totals of the ledger have other than the trailer, in words; empty when all is well.
    pub differences: Vec<String>,
    /// Whether a process can open the ledger now.
    pub is_finished: bool,
}

/// What was read so far has to be in order.
#[derive(Default)]
struct Order {
    counts: Counts,
    last_position: u64,
    last_kind: usize,
}

impl Order {
    fn check(&mut self, item: &Item) -> Result<(), String> {
        let kind = match item {
            Item::Event(event) => {
                if event.position != self.last_position + 1 {
                    return Err(format!("the event at {} follows the one at {}", event.position, self.last_position));
                }
                self.last_position = event.position;
                0
            }
            Item::Stock(_) => 1,
            Item::Key(..) => 2,
            Item::Parked(_) => 3,
            Item::DeadLetter(_) => 4,
            Item::Cursor(_) => 5,
            Item::Ends(_) => 6,
        };
        if kind < self.last_kind {
            return Err("it does not belong behind the line before it".to_owned());
        }
        self.last_kind = kind;
        count(&mut self.counts, item);
        Ok(())
    }

    fn end(&self, header: &Header) -> Result<(), String> {
        if self.counts == header.counts && self.last_kind == 6 {
            return Ok(());
        }
        Err(format!("the header speaks of {:?}, and there are {:?}", header.counts, self.counts))
    }
}

/// Reads a whole file to see whether it can be imported. Blocks.
///
/// # Errors
/// [`ImportError`]: what is wrong with it.
pub fn check(from: &mut dyn BufRead, on_progress: &mut dyn FnMut(Progress)) -> Result<Summary, ImportError> {
    let (mut lines, header) = Lines::begin(from)?;
    let mut order = Order::default();
    let total = Some(header.counts.sum());
    loop {
        match lines.next()? {
            Line::Trailer(trailer) => return end(&mut lines, &order, header, trailer),
            line => {
                let checked = item_of(line).and_then(|item| order.check(&item));
                checked.map_err(|problem| ImportError::Damaged { line: lines.lines, problem })?;
            }
        }
        if lines.lines.is_multiple_of(LINES_PER_WORD) {
            on_progress(Progress { phase: Phase::Check, done: lines.lines, total });
        }
    }
}

fn end(lines: &mut Lines<'_>, order: &Order, header: Header, trailer: Trailer) -> Result<Summary, ImportError> {
    lines.end(&trailer)?;
    order.end(&header).map_err(|problem| lines.damaged(problem))?;
    Ok(Summary { export: header.export, counts: header.counts, totals: trailer.totals })
}

/// Fills a ledger, or goes on with that. Blocks. Only when everything is there, adds up and was audited, can a process open the ledger;
/// what does not add up stays as it is, for whoever wants to find out why. What the auditor finds may have been wrong before: with
/// `accept_findings` it does not hold the ledger back.
///
/// # Errors
/// [`ImportError`]; what was written until then is gone on with by the next import of the same file.
pub fn import(
    from: &mut dyn BufRead,
    target: &mut dyn LedgerWriter,
    accept_findings: bool,
    on_progress: &mut dyn FnMut(Progress),
    on_finding: &mut dyn FnMut(&Finding),
) -> Result<Imported, ImportError> {
    let (mut lines, header) = Lines::begin(from)?;
    let mark = target.begin(&header.export)?;
    let summary = fill(&mut lines, header, mark, target, on_progress)?;
    target.derive(&mut |done| on_progress(Progress { phase: Phase::Derive, done, total: None }))?;
    let differences = target.totals()?.differences(&summary.totals);
    let audited = audit(target, on_progress, on_finding)?;
    let is_finished = differences.is_empty() && (accept_findings || audited.is_clean());
    if is_finished {
        target.finish()?;
    }
    Ok(Imported { summary, resumed_behind: mark.map(|mark| mark.lines), audited, differences, is_finished })
}

/// Writes the lines that are not there yet.
fn fill(
    lines: &mut Lines<'_>,
    header: Header,
    mark: Option<Mark>,
    target: &mut dyn LedgerWriter,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Summary, ImportError> {
    let known = mark.map_or(0, |mark| mark.lines);
    let other_file = || ImportError::OtherFile { lines: known };
    let (mut order, mut roles) = (Order::default(), Roles::default());
    let (mut items, mut bytes) = (Vec::with_capacity(ITEMS_AT_ONCE), 0);
    let total = Some(header.counts.sum());
    loop {
        let item = match lines.next()? {
            Line::Trailer(trailer) => {
                // What is there agrees with what is in the file, up to where it ends.
                if lines.lines < known {
                    return Err(other_file());
                }
                let summary = end(lines, &order, header, trailer)?;
                target.write(items, &lines.mark())?;
                return Ok(summary);
            }
            line => item_of(line),
        };
        let damaged = |problem| ImportError::Damaged { line: lines.lines, problem };
        let item = item.map_err(damaged)?;
        order.check(&item).map_err(damaged)?;
        roles.see(&item);
        if lines.lines == known && mark != Some(lines.mark()) {
            return Err(other_file());
        }
        if lines.lines.is_multiple_of(LINES_PER_WORD) {
            on_progress(Progress { phase: Phase::Import, done: lines.lines, total });
        }
        if lines.lines <= known {
            continue;
        }
        match &item {
            Item::Event(event) => bytes += event.data.len(),
            Item::Cursor(cursor) if cursor.role == RELAY && !relays(&header) => continue,
            Item::Ends(_) if roles.relay.is_none() || !relays(&header) => {
                items.push(Item::Cursor(MovedCursor { role: RELAY.to_owned(), positions: vec![roles.slowest()] }));
            }
            _ => {}
        }
        items.push(item);
        if items.len() >= ITEMS_AT_ONCE || bytes >= BYTES_AT_ONCE {
            target.write(std::mem::take(&mut items), &lines.mark())?;
            bytes = 0;
        }
    }
}

/// Whether the backend that was exported ever hands events on to a broker. Elsewhere the relay's cursor means nothing.
fn relays(header: &Header) -> bool {
    header.backend != "sqlite"
}

/// From where on each role has not settled everything.
#[derive(Default)]
struct Roles {
    cursors: BTreeMap<String, u64>,
    /// The first event that each role reacts to.
    first: BTreeMap<&'static str, u64>,
    kinds: BTreeSet<EventType>,
    relay: Option<u64>,
    last: u64,
}

impl Roles {
    fn see(&mut self, item: &Item) {
        match item {
            Item::Event(event) => {
                self.last = event.position;
                // Each type is met for the first time once.
                if let Some(kind) = EventType::from_name(&event.kind)
                    && self.kinds.insert(kind)
                {
                    for role in Role::ALL.into_iter().filter(|role| role.reacts_to().contains(&kind)) {
                        self.first.entry(role.as_str()).or_insert(event.position);
                    }
                }
            }
            Item::Cursor(cursor) if cursor.role == RELAY => self.relay = Some(cursor.slowest()),
            Item::Cursor(cursor) => _ = self.cursors.insert(cursor.role.clone(), cursor.slowest()),
            _ => {}
        }
    }

    /// The cursor behind which everything lies that any role has not settled. A role without a cursor has settled nothing.
    fn slowest(&self) -> u64 {
        let unsettled = self.first.iter().filter(|(role, _)| **role != RELAY);
        let behind = unsettled.map(|(role, first)| self.cursors.get(*role).copied().unwrap_or(first - 1));
        behind.min().unwrap_or(self.last)
    }
}

fn audit(
    target: &dyn LedgerWriter,
    on_progress: &mut dyn FnMut(Progress),
    on_finding: &mut dyn FnMut(&Finding),
) -> Result<audit::Totals, ImportError> {
    let ledger = Box::new(move || target.snapshot());
    let mut parts = Parts { ledger, provider: None, mails: None, archive: None, records: None };
    let mut tell = |progress: audit::Progress| {
        let audit::Progress { phase, done, total } = progress;
        on_progress(Progress { phase: Phase::Audit(phase), done, total });
    };
    Ok(audit::run(&mut parts, &mut tell, on_finding)?)
}

#[cfg(test)]
mod tests;
