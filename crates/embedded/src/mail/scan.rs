//! Reads a mail store for the auditor: one pass, nothing but headers kept, and no mail so odd that it stops the rest.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use ordermill_core::mail::MailKind;
use ordermill_ports::audit::{AuditError, StoredMail};

/// What the auditor does with each mail.
type Visit<'a> = dyn FnMut(StoredMail) -> Result<(), AuditError> + 'a;

/// The headers that tell what a mail is.
#[derive(Debug, Default)]
struct Headers {
    message_id: Option<String>,
    order_id: Option<String>,
    kind: Option<String>,
    /// Which of them the line before belonged to, as a folded header goes on in the next line.
    last: Option<Name>,
}

#[derive(Debug, Clone, Copy)]
enum Name {
    MessageId,
    OrderId,
    Kind,
}

/// Visits every mail in the file at `path`, oldest first, up to the byte `committed_end`, or up to the end of the file for
/// `None`. Without a file there is nothing to visit.
///
/// # Errors
/// [`AuditError`] when the file cannot be read, is shorter than `committed_end`, or holds something before its first mail; and of
/// the callback.
pub fn scan_mbox(path: &Path, committed_end: Option<u64>, visit: &mut Visit<'_>) -> Result<(), AuditError> {
    let failed = |error: io::Error| AuditError(format!("cannot read the mail file {}: {error}", path.display()));
    let file = match File::open(path) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(error)),
    };
    let length = file.as_ref().map_or(Ok(0), |file| file.metadata().map(|data| data.len())).map_err(failed)?;
    let until = committed_end.unwrap_or(length);
    if length < until {
        let path = path.display();
        return Err(AuditError(format!("the mail file {path} has {length} bytes, {until} are committed")));
    }
    let Some(file) = file else { return Ok(()) };
    let mut reader = BufReader::with_capacity(256 * 1024, file.take(until));
    let (mut line, mut offset, mut after_empty) = (Vec::new(), 0_u64, true);
    let (mut mail, mut in_headers): (Option<Headers>, bool) = (None, false);
    loop {
        line.clear();
        let count = reader.read_until(b'\n', &mut line).map_err(failed)?;
        let separator = after_empty && line.starts_with(b"From ");
        if count == 0 || separator {
            if let Some(headers) = mail.take() {
                visit(headers.stored(Some(offset)))?;
            }
            if count == 0 {
                return Ok(());
            }
            (mail, in_headers) = (Some(Headers::default()), true);
        } else if let Some(headers) = &mut mail {
            in_headers &= line.trim_ascii() != b"";
            if in_headers {
                headers.read(&line);
            }
        } else {
            return Err(AuditError(format!("the mail file {} does not begin with a mail", path.display())));
        }
        after_empty = line.trim_ascii().is_empty();
        offset += count as u64;
    }
}

/// Visits every mail in the maildir at `path`, in no promised order. Without a directory there is nothing to visit.
///
/// # Errors
/// [`AuditError`] when a directory cannot be read, and of the callback. A mail that disappears meanwhile, as a mail program moves
/// it, is passed over.
pub fn scan_maildir(path: &Path, visit: &mut Visit<'_>) -> Result<(), AuditError> {
    for part in ["new", "cur"] {
        let directory = path.join(part);
        let failed = |error: io::Error| AuditError(format!("cannot read {}: {error}", directory.display()));
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(error)),
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            if !entry.file_type().map_err(failed)?.is_file() {
                continue;
            }
            match read_headers(&entry.path()) {
                Ok(headers) => visit(headers.stored(None))?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
    Ok(())
}

fn read_headers(path: &Path) -> io::Result<Headers> {
    let mut reader = BufReader::with_capacity(2_048, File::open(path)?);
    let (mut headers, mut line) = (Headers::default(), Vec::new());
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 || line.trim_ascii().is_empty() {
            return Ok(headers);
        }
        headers.read(&line);
    }
}

impl Headers {
    /// Takes a line of the headers. Of a header that is there twice the first one counts.
    fn read(&mut self, line: &[u8]) {
        let folded = matches!(line.first(), Some(b' ' | b'\t'));
        if folded {
            if let Some(value) = self.last.and_then(|last| self.value(last).as_mut()) {
                value.push_str(&String::from_utf8_lossy(line.trim_ascii()));
            }
            return;
        }
        self.last = None;
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return };
        let name = &line[..colon];
        let known = [(Name::MessageId, "message-id"), (Name::OrderId, "x-order-id"), (Name::Kind, "x-ordermill-kind")];
        let found = known.into_iter().find(|(_, text)| name.eq_ignore_ascii_case(text.as_bytes()));
        let Some((name, _)) = found else { return };
        let value = self.value(name);
        if value.is_none() {
            *value = Some(String::from_utf8_lossy(line[colon + 1..].trim_ascii()).into_owned());
            self.last = Some(name);
        }
    }

    const fn value(&mut self, name: Name) -> &mut Option<String> {
        match name {
            Name::MessageId => &mut self.message_id,
            Name::OrderId => &mut self.order_id,
            Name::Kind => &mut self.kind,
        }
    }

    fn stored(self, end: Option<u64>) -> StoredMail {
        let kind = self.kind.as_deref().and_then(|text| text.split('/').next());
        StoredMail {
            message_id: self.message_id.unwrap_or_default(),
            order_id: self.order_id.and_then(|text| text.parse().ok()),
            kind: kind.and_then(|name| MailKind::ALL.into_iter().find(|kind| kind.as_str() == name)),
            end,
        }
    }
}
