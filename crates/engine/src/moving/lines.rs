//! Reads lines, and adds up their checksum.

use std::io::{BufRead, ErrorKind, Read};

use ordermill_ports::moving::Mark;
use sha2::{Digest, Sha256};

use super::ImportError;
use super::format::{AnyHeader, FORMAT, Header, Line, Trailer};

/// The longest line: an event and what is around it, several times over.
const LINE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Why a line is none of an export. The parser knows that line alone, and would call it its first.
fn unparsed(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The lines of a file behind its header.
pub(super) struct Lines<'a> {
    from: &'a mut dyn BufRead,
    digest: Sha256,
    /// Lines read, the header included.
    pub(super) lines: u64,
    buffer: Vec<u8>,
}

impl<'a> Lines<'a> {
    /// Reads the header.
    pub(super) fn begin(from: &'a mut dyn BufRead) -> Result<(Self, Header), ImportError> {
        let mut lines = Self { from, digest: Sha256::new(), lines: 0, buffer: Vec::new() };
        if !lines.read()? {
            return Err(ImportError::CutOff { lines: 0 });
        }
        let any: AnyHeader = serde_json::from_slice(&lines.buffer).map_err(|_| ImportError::NoExport)?;
        if any.header.format > FORMAT {
            return Err(ImportError::Newer { found: any.header.format });
        }
        match serde_json::from_slice(&lines.buffer) {
            Ok(Line::Header(header)) => {
                lines.take();
                Ok((lines, header))
            }
            Ok(_) => Err(ImportError::NoExport),
            Err(error) => Err(lines.damaged(unparsed(&error))),
        }
    }

    /// Reads the next line; `false` at the end of the file.
    fn read(&mut self) -> Result<bool, ImportError> {
        self.buffer.clear();
        let mut bounded = Read::take(&mut *self.from, LINE_BYTES_MAX);
        match bounded.read_until(b'\n', &mut self.buffer) {
            Ok(_) => {}
            // A packed file that is cut off.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                return Err(ImportError::CutOff { lines: self.lines });
            }
            Err(error) if error.kind() == ErrorKind::InvalidInput || error.kind() == ErrorKind::InvalidData => {
                return Err(self.damaged(error.to_string()));
            }
            Err(error) => return Err(ImportError::Input(error)),
        }
        if self.buffer.is_empty() {
            return Ok(false);
        }
        if self.buffer.last() != Some(&b'\n') {
            let is_long = self.buffer.len() as u64 == LINE_BYTES_MAX;
            return Err(if is_long {
                self.damaged("it is longer than any line of an export".to_owned())
            } else {
                ImportError::CutOff { lines: self.lines }
            });
        }
        Ok(true)
    }

    /// Counts the line that was read.
    fn take(&mut self) {
        self.digest.update(&self.buffer);
        self.lines += 1;
    }

    /// The next line; after the trailer there is none.
    pub(super) fn next(&mut self) -> Result<Line<'_>, ImportError> {
        if !self.read()? {
            return Err(ImportError::CutOff { lines: self.lines });
        }
        let line = self.lines + 1;
        // The trailer is not part of what it sums up.
        if !self.buffer.starts_with(br#"{"trailer":"#) {
            self.take();
        }
        let text = self.buffer.trim_ascii_end();
        serde_json::from_slice(text).map_err(|error| ImportError::Damaged { line, problem: unparsed(&error) })
    }

    /// How far it is.
    pub(super) fn mark(&self) -> Mark {
        Mark { lines: self.lines, digest: self.digest.clone().finalize().into() }
    }

    /// Compares the trailer with what was read, and makes sure that nothing follows it.
    pub(super) fn end(&mut self, trailer: &Trailer) -> Result<(), ImportError> {
        if trailer.lines != self.lines {
            return Err(
                self.damaged(format!("it speaks of {} lines, and {} came before it", trailer.lines, self.lines))
            );
        }
        if trailer.sha256 != hex(&self.mark().digest) {
            return Err(self.damaged("its checksum is not that of the lines before it".to_owned()));
        }
        if self.read()? {
            return Err(ImportError::Damaged { line: self.lines + 2, problem: "it follows the trailer".to_owned() });
        }
        Ok(())
    }

    /// Something is wrong with the line behind those that were taken.
    pub(super) fn damaged(&self, problem: String) -> ImportError {
        ImportError::Damaged { line: self.lines + 1, problem }
    }
}
