//! The journal file: appended to, read once at open, never rewritten.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::mem;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc;

use ordermill_ports::audit::{AuditError, ProviderEntry};
use parking_lot::Mutex;

use super::OpenError;
use super::index::Index;
use super::line::{LINE_BYTES_MAX, Line, Parser};

/// The first line: names the format, so that a later one can be told from it.
const HEADER: &[u8] = b"# ordermill payment sandbox journal, version 1\n";

const NO_JOURNAL: &str = "this is no sandbox journal of version 1";

/// Bytes read at once: large reads are cheap, and this much stays in the processor's cache.
const READ_BYTES: usize = 256 * 1024;

/// Bytes of the journal that are given out at once.
const PAGE_BYTES: usize = 1024 * 1024;

/// Lines that go from the reading thread to the indexing one at once, and how many such batches may wait.
const BATCH_LINES: usize = 4_096;
const BATCHES_WAITING: usize = 4;

/// What an order has in the journal nearly always: two lines.
const ORDER_BYTES: u64 = 160;

/// The journal, open for appending and locked.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    written: Mutex<Written>,
    synced: Mutex<Synced>,
}

#[derive(Debug)]
struct Written {
    /// Where the last whole line ends, in bytes.
    end: u64,
    line: Vec<u8>,
    /// A part of a line is behind `end`, and could not be cut off yet.
    torn: bool,
}

#[derive(Debug)]
struct Synced {
    end: u64,
    /// After a failed sync the system may take the lost pages for written: only a restart reads what is really there.
    failed: bool,
}

impl Journal {
    /// Opens, locks and reads the journal. With `fsync` all of it is on the disk before this returns.
    pub(super) fn open(path: &Path, fsync: bool) -> Result<(Self, Index), OpenError> {
        let failed = |source| OpenError::Io { path: path.to_owned(), source };
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(failed)?;
        }
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let length = file.metadata().map_err(failed)?.len();
        let index = Index::with_capacity(usize::try_from(length / ORDER_BYTES).unwrap_or(0));
        let scan = scan_into(&mut file, &index);
        let end = match scan {
            Ok(end) => end,
            Err(ScanError::Io(source)) => return Err(failed(source)),
            Err(ScanError::Damaged { offset, problem }) => {
                return Err(OpenError::Damaged { path: path.to_owned(), offset, problem });
            }
            Err(ScanError::Stopped(error)) => return Err(failed(io::Error::other(error.0))),
        };
        let end = mend(&mut file, end).map_err(failed)?;
        let Some(end) = end else {
            return Err(OpenError::Damaged { path: path.to_owned(), offset: 0, problem: NO_JOURNAL });
        };
        if fsync {
            // What the process before had not synced is durable before anything is answered from it, and so is the file's name.
            file.sync_all().map_err(failed)?;
            let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
            File::open(directory.unwrap_or(Path::new(".")))
                .and_then(|directory| directory.sync_all())
                .map_err(failed)?;
        }
        let written = Mutex::new(Written { end, line: Vec::with_capacity(LINE_BYTES_MAX), torn: false });
        Ok((Self { file, written, synced: Mutex::new(Synced { end, failed: false }) }, index))
    }

    /// Appends a line with one `write`: after it, the end of the process can take nothing away.
    ///
    /// # Errors
    /// When the line is not in the file, as the disk is full for instance.
    pub(super) fn append(&self, line: &Line) -> io::Result<()> {
        let mut written = self.written.lock();
        let Written { end, line: text, torn } = &mut *written;
        if *torn {
            self.file.set_len(*end)?;
            *torn = false;
        }
        text.clear();
        line.write(text);
        let outcome = loop {
            match (&self.file).write(text) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => break outcome,
            }
        };
        match outcome {
            Ok(count) if count == text.len() => {
                *end += count as u64;
                Ok(())
            }
            Ok(count) => {
                *torn = count > 0 && self.file.set_len(*end).is_err();
                Err(io::Error::new(io::ErrorKind::StorageFull, "only a part of the line could be written"))
            }
            Err(error) => Err(error),
        }
    }

    /// Returns when everything appended before this call is on the disk. Calls that wait for one another share a sync.
    pub(super) fn sync(&self) -> io::Result<()> {
        let wanted = self.written.lock().end;
        let mut synced = self.synced.lock();
        if synced.failed {
            return Err(io::Error::other("a sync has failed before; the sandbox has to be opened again"));
        }
        if synced.end >= wanted {
            return Ok(());
        }
        let end = self.written.lock().end;
        if let Err(error) = self.file.sync_data() {
            synced.failed = true;
            return Err(error);
        }
        synced.end = end;
        Ok(())
    }

    /// Whole lines from byte `after` on, about [`PAGE_BYTES`] of them, the header included at 0; nothing at the end. `None` when no line
    /// begins there.
    pub(super) fn page(&self, after: u64) -> io::Result<Option<Vec<u8>>> {
        let end = self.written.lock().end;
        if after >= end {
            return Ok((after == end).then(Vec::new));
        }
        if after > 0 {
            let mut before = [0];
            self.file.read_exact_at(&mut before, after - 1)?;
            if before != *b"\n" {
                return Ok(None);
            }
        }
        let length = usize::try_from(end - after).map_or(PAGE_BYTES, |length| length.min(PAGE_BYTES));
        let mut page = vec![0; length];
        self.file.read_exact_at(&mut page, after)?;
        // Everything before `end` is whole lines, and a page is far longer than a line.
        page.truncate(memchr::memrchr(b'\n', &page).map_or(0, |last| last + 1));
        Ok(Some(page))
    }

    /// Whether a sync has failed, after which nothing is answered any more.
    pub(super) fn is_broken(&self) -> bool {
        self.synced.lock().failed
    }
}

/// Cuts off what is behind the last whole line, and begins an empty file. Returns where the file ends now, or `None` when its
/// content is not of this program and is left alone.
fn mend(file: &mut File, end: u64) -> io::Result<Option<u64>> {
    let length = file.metadata()?.len();
    if end == 0 && length > 0 {
        let mut begin = vec![0; HEADER.len()];
        file.rewind()?;
        let count = file.read(&mut begin)?;
        let begin = &begin[..count];
        if !HEADER.starts_with(begin) && begin.iter().any(|byte| *byte != 0) {
            return Ok(None);
        }
    }
    if end < length {
        tracing::warn!(cut_bytes = length - end, end, "the sandbox journal ends in the middle of a line; cut off");
        file.set_len(end)?;
    }
    if end > 0 {
        return Ok(Some(end));
    }
    file.write_all(HEADER)?;
    Ok(Some(HEADER.len() as u64))
}

/// Visits every completed operation in the journal at `path`, oldest first, also while a sandbox works on it. A line that is
/// not finished at the end is left out; without a file there is nothing to visit.
///
/// # Errors
/// [`AuditError`] of the first line that cannot be read, or of the callback.
pub fn read_journal(
    path: &Path,
    visit: &mut dyn FnMut(ProviderEntry) -> Result<(), AuditError>,
) -> Result<(), AuditError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(AuditError(format!("cannot open {}: {error}", path.display()))),
    };
    read_lines(&mut file, &path.display().to_string(), visit)
}

/// Visits every completed operation in a journal; `name` is what it is called in errors.
pub(super) fn read_lines(
    source: &mut impl Read,
    name: &str,
    visit: &mut dyn FnMut(ProviderEntry) -> Result<(), AuditError>,
) -> Result<(), AuditError> {
    match scan(source, |line| visit(line.entry())) {
        Ok(_) => Ok(()),
        Err(ScanError::Io(error)) => Err(AuditError(format!("cannot read {name}: {error}"))),
        Err(ScanError::Damaged { offset, problem }) => {
            Err(AuditError(format!("{name} is damaged at byte {offset}: {problem}")))
        }
        Err(ScanError::Stopped(error)) => Err(error),
    }
}

/// Reads the lines on this thread and indexes them on another: the one is bound by the processor, the other by memory, and
/// together they take half the time for a long journal.
fn scan_into(file: &mut File, index: &Index) -> Result<u64, ScanError> {
    let (sender, batches) = mpsc::sync_channel::<Vec<Line>>(BATCHES_WAITING);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for line in batches.into_iter().flatten() {
                index.shard(line.order_id).add(line.order_id, line.operation);
            }
        });
        let mut batch = Vec::with_capacity(BATCH_LINES);
        let end = scan(file, |line| {
            batch.push(line);
            if batch.len() == BATCH_LINES {
                let full = mem::replace(&mut batch, Vec::with_capacity(BATCH_LINES));
                sender.send(full).map_err(|_| AuditError("the indexing thread has ended".to_owned()))?;
            }
            Ok(())
        });
        let sent =
            sender.send(batch).map_err(|_| ScanError::Stopped(AuditError("the indexing thread has ended".to_owned())));
        // With the sender the thread ends, and the scope waits for it.
        drop(sender);
        end.and_then(|end| sent.map(|()| end))
    })
}

enum ScanError {
    Io(io::Error),
    Damaged { offset: u64, problem: &'static str },
    Stopped(AuditError),
}

/// Reads every line from the beginning; returns where the last good one ends, 0 when there is not even a header. What follows
/// may be anything but a good line: a write that was cut short leaves a part of a line, or blocks of zeros.
fn scan(source: &mut impl Read, mut visit: impl FnMut(Line) -> Result<(), AuditError>) -> Result<u64, ScanError> {
    let mut buffer = vec![0; READ_BYTES];
    let (mut filled, mut offset, mut good_end) = (0, 0_u64, 0_u64);
    let mut bad: Option<(u64, &'static str)> = None;
    let mut parser = Parser::default();
    loop {
        let count = match source.read(&mut buffer[filled..]) {
            Ok(0) => return Ok(good_end),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(ScanError::Io(error)),
        };
        filled += count;
        let mut start = 0;
        while let Some(length) = memchr::memchr(b'\n', &buffer[start..filled]) {
            let line = &buffer[start..start + length];
            let read = if offset == 0 { header(line).map(|()| None) } else { parser.parse(line).map(Some) };
            match (read, bad) {
                (Ok(_), Some((offset, problem))) => return Err(ScanError::Damaged { offset, problem }),
                (Ok(line), None) => {
                    good_end = offset + length as u64 + 1;
                    line.map_or(Ok(()), &mut visit).map_err(ScanError::Stopped)?;
                }
                (Err(problem), None) if offset == 0 => return Err(ScanError::Damaged { offset, problem }),
                (Err(problem), None) => bad = Some((offset, problem)),
                (Err(_), Some(_)) => {}
            }
            start += length + 1;
            offset += length as u64 + 1;
        }
        if start == 0 && filled == buffer.len() {
            // No line is this long: it is a bad one, and its beginning is of no further use.
            bad = bad.or(Some((offset, "a line is too long")));
            start = filled;
            offset += filled as u64;
        }
        buffer.copy_within(start..filled, 0);
        filled -= start;
    }
}

fn header(line: &[u8]) -> Result<(), &'static str> {
    if line == &HEADER[..HEADER.len() - 1] { Ok(()) } else { Err(NO_JOURNAL) }
}
