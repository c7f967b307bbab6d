//! Writes a ledger as lines.

use std::io::Write;

use ordermill_core::Timestamp;
use ordermill_ports::moving::{Counts, Item, LedgerReader, MoveError};
use sha2::{Digest, Sha256};

use super::format::{FORMAT, Header, Line, Trailer, line_of};
use super::lines::hex;
use super::{Phase, Progress, Summary};

/// Lines between two words on how far it is.
const LINES_PER_WORD: u64 = 512;

/// What the header says of the export itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// A name that no other export has.
    pub export: String,
    /// The version of this program.
    pub program: String,
    /// Now.
    pub at: Timestamp,
}

/// Writes lines, counts them, and adds up their checksum.
struct Output<'a> {
    to: &'a mut dyn Write,
    digest: Sha256,
    lines: u64,
    buffer: Vec<u8>,
}

impl Output<'_> {
    fn put(&mut self, line: &Line<'_>) -> Result<(), MoveError> {
        self.buffer.clear();
        serde_json::to_writer(&mut self.buffer, line).map_err(|error| MoveError::Output(error.into()))?;
        self.buffer.push(b'\n');
        self.digest.update(&self.buffer);
        self.lines += 1;
        Ok(self.to.write_all(&self.buffer)?)
    }
}

/// Writes everything there is. Blocks. The output is flushed, not closed.
///
/// # Errors
/// [`MoveError`] when the ledger cannot be read, or not be written as lines.
pub fn export(
    reader: &mut dyn LedgerReader,
    about: About,
    to: &mut dyn Write,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Summary, MoveError> {
    let (source, live, counts) = (reader.source(), reader.in_use().is_some(), reader.counts()?);
    let mut output = Output { to, digest: Sha256::new(), lines: 0, buffer: Vec::new() };
    let About { export, program, at } = about;
    let (backend, schema) = (source.backend.to_owned(), source.schema);
    let header = Header { format: FORMAT, export: export.clone(), program, at, backend, schema, live, counts };
    output.put(&Line::Header(header))?;
    let (mut found, mut last) = (Counts::default(), 0);
    reader.each(&mut |item| {
        count(&mut found, &item);
        if let Item::Event(event) = &item {
            // Positions are the feed: one that is missing is an event that is missing.
            if event.position != last + 1 {
                let what = format!("the event at {} follows the one at {last}", event.position);
                return Err(MoveError::Unreadable(what));
            }
            last = event.position;
        }
        output.put(&line_of(&item).map_err(MoveError::Unreadable)?)?;
        if output.lines.is_multiple_of(LINES_PER_WORD) {
            on_progress(Progress { phase: Phase::Export, done: output.lines, total: Some(counts.sum()) });
        }
        Ok(())
    })?;
    if found != counts {
        return Err(MoveError::Store(format!("the ledger is not what it was at first: {counts:?}, {found:?}")));
    }
    let totals = reader.totals()?;
    let sha256 = hex(&output.digest.clone().finalize());
    output.put(&Line::Trailer(Trailer { lines: output.lines, totals: totals.clone(), sha256 }))?;
    on_progress(Progress { phase: Phase::Export, done: output.lines, total: Some(output.lines) });
    output.to.flush()?;
    Ok(Summary { export, counts, totals })
}

/// Counts a thing in.
pub(super) const fn count(counts: &mut Counts, item: &Item) {
    match item {
        Item::Event(_) => counts.events += 1,
        Item::Stock(_) => counts.stock += 1,
        Item::Key(..) => counts.keys += 1,
        Item::Parked(_) => counts.parked += 1,
        Item::DeadLetter(_) => counts.dead_letters += 1,
        Item::Cursor(_) => counts.cursors += 1,
        Item::Ends(_) => {}
    }
}
